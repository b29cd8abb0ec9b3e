"""Elements of pages. They are trees that are written out in the end, so no text of a job's ever becomes markup."""

from xml.etree.ElementTree import Element, tostring

from ..printable import clean_lines

Child = Element | str | None


def element(tag: str, *children: Child, **attributes: object) -> Element:
    """An element with its children: texts, elements, and None, which is left out.

    In the names of attributes `_` stands for `-`, and one at the end is dropped (`class_`); those that are None are left out.
    """
    made = Element(
        tag,
        {name.rstrip("_").replace("_", "-"): clean_lines(str(value)) for name, value in attributes.items() if value is not None},
    )
    for child in children:
        add(made, child)
    return made


def add(parent: Element, child: Child) -> None:
    """Append a child, behind those that are there."""
    if child is None:
        return
    if isinstance(child, Element):
        parent.append(child)
        return
    text = clean_lines(child)
    if len(parent):
        parent[-1].tail = (parent[-1].tail or "") + text
    else:
        parent.text = (parent.text or "") + text


def to_html(root: Element) -> str:
    """An element written as HTML; SVG inside it, too."""
    return tostring(root, encoding="unicode", method="html")

"""A figure: a drawing, and beside it the same as a table."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .elements import Child, element

LONG = 100  # lines or rows of what is folded, and is not printed: about two sheets


@dataclass(frozen=True)
class Figure:
    """`drawing` is an SVG whose first child is its `<title>`, the text of `title`; `table` an HTML table of all that it shows.

    `note` says how it is to be read and what was left out of the drawing, None where there is nothing to say.
    """

    title: str
    drawing: Element
    table: Element
    note: str | None = None

    def element(self) -> Element:
        """The figure as it stands in a page: drawing, caption, and the table to unfold."""
        caption = element("figcaption", self.title, element("small", " ", self.note) if self.note else None)
        told = f"Data: {self.title}"
        rows = len(self.table.find("tbody") or ())
        data = folded(element("summary", "Data", aria_label=told), scrolled(self.table, told), lines=rows)
        return element("figure", caption, scrolled(self._sized(), f"Drawing: {self.title}"), data)

    def _sized(self) -> Element:
        """The drawing with the width at which its texts are as large as those of a page: a narrow page shows it so, and moves it
        sideways, where a wide one stretches it."""
        drawing = copy(self.drawing)
        drawing.set("width", drawing.get("viewBox", "0 0 720 0").split()[2])
        return drawing


def folded(summary: Element, *content: Child, lines: int, unfold: bool = False) -> Element:
    """What is seen when its `<summary>` is asked for. On paper it is unfolded, but for what has many lines."""
    return element("details", summary, *content, class_="long" if lines > LONG else None, open="" if unfold else None)


def scrolled(what: Element, label: str) -> Element:
    """Something wide, which is moved sideways where the page is narrow; with a keyboard, too."""
    return element("div", what, class_="scroll", tabindex="0", role="group", aria_label=label)


def table(
    header: Sequence[str], rows: Iterable[Sequence[Child]], caption: str | None = None, right: Iterable[int] = ()
) -> Element:
    """An HTML table. Cells are texts or elements; the columns `right` hold numbers."""
    classes = dict.fromkeys(right, "number")

    def cells(tag: str, texts: Sequence[Child], **attributes: str) -> Element:
        return element("tr", *(element(tag, text, class_=classes.get(i), **attributes) for i, text in enumerate(texts)))

    body = element("tbody", *(cells("td", row) for row in rows))
    return element(
        "table", element("caption", caption) if caption else None, element("thead", cells("th", header, scope="col")), body
    )

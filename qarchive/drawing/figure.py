"""A figure: a drawing, and beside it the same as a table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from .elements import Child, element


@dataclass(frozen=True)
class Figure:
    """`drawing` is an SVG whose first child is its `<title>`, the text of `title`; `table` an HTML table of all that it shows.

    `note` says what was left out of the drawing, None where nothing was.
    """

    title: str
    drawing: Element
    table: Element
    note: str | None = None

    def element(self) -> Element:
        """The figure as it stands in a page: drawing, caption, and the table to unfold."""
        caption = element("figcaption", self.title, element("small", " ", self.note) if self.note else None)
        data = element("details", element("summary", "Data"), element("div", self.table, class_="scroll"))
        return element("figure", caption, self.drawing, data)


def table(header: Sequence[str], rows: Iterable[Sequence[Child]], caption: str | None = None) -> Element:
    """An HTML table. Cells are texts or elements."""
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in header)))
    body = element("tbody", *(element("tr", *(element("td", cell) for cell in row)) for row in rows))
    return element("table", element("caption", caption) if caption else None, head, body)

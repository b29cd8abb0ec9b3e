"""What holds of every figure, whatever it shows: used by the tests of drawings."""

import re
from html.parser import HTMLParser

from qarchive.drawing.elements import to_html
from qarchive.printable import clean_lines

_VOID = {"br", "hr", "img", "input", "link", "meta"}
_KNOWN = {
    "figure", "figcaption", "small", "details", "summary", "div", "table", "caption", "thead", "tbody", "tr", "th", "td",
    "svg", "title", "desc", "g", "path", "circle", "rect", "text",
}  # fmt: skip
_NO_NUMBER = re.compile(r"\b(nan|inf|infinity|none)\b", re.IGNORECASE)
_NUMBERS = ("x", "y", "cx", "cy", "r", "rx", "width", "height", "d", "viewBox", "transform", "font-size", "stroke-width")


class Parsed(HTMLParser):
    """HTML read back: its elements as (tag, attributes, text), of which the text is that of the element itself."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs)
        self.elements.append((tag, dict(attrs), []))
        if tag not in _VOID:
            self._open.append((tag, self.elements[-1]))

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, data):
        if self._open:
            self._open[-1][1][2].append(data)

    def texts(self, tag):
        return ["".join(text) for name, _, text in self.elements if name == tag]

    def attributes(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]


def drawn(figure):
    """The figure's drawing, read back, of which all holds that is true of every drawing."""
    parsed = Parsed(to_html(figure.element()))
    assert {tag for tag, _, _ in parsed.elements} <= _KNOWN
    for tag, attributes, _ in parsed.elements:
        assert not [name for name in attributes if name == "style" or name.startswith("on") or name.endswith("href")]
        for name in _NUMBERS:
            assert not _NO_NUMBER.search(attributes.get(name.lower()) or ""), (tag, attributes)
    root = figure.drawing
    assert root[0].tag == "title" and root[0].text == clean_lines(figure.title)
    assert root.get("role") == "img" and root.get("aria-labelledby") == root[0].get("id")
    ids = [attributes["id"] for _, attributes, _ in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    return inside(parsed, root)


def inside(parsed, root):
    """Nothing that is placed stands outside the drawing."""
    width, height = map(float, root.get("viewBox").split()[2:])
    for tag in ("circle", "rect", "text"):
        for attributes in parsed.attributes(tag):
            if "transform" not in attributes:
                x = float(attributes.get("cx") or attributes.get("x"))
                y = float(attributes.get("cy") or attributes.get("y"))
                assert -0.1 <= x <= width + 0.1 and -0.1 <= y <= height + 0.1, (tag, attributes, width, height)
    return parsed


def rows(figure):
    """The rows of the figure's table as lists of texts."""
    return [["".join(cell.itertext()) for cell in row] for row in figure.table.find("tbody")]

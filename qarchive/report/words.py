"""How pages say things: facts, moments, statuses, numbers, and what could not be read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from os import environ
from typing import TypeVar
from xml.etree.ElementTree import Element

from ..drawing.elements import Child, element
from ..drawing.figure import scrolled, table
from ..errors import BadInput, JobFailed, MissingExtra, NotFinished, QArchiveError
from ..printable import clean
from ..values import Timestamp

Found = TypeVar("Found")
_NOTHING_WRONG = (NotFinished, JobFailed, BadInput, MissingExtra)  # with the bytes that are here
_SECTION = 2  # the level of the headings of a page's sections

# How statuses look: how much they ask of their reader, said in words as well.
_TONES = {
    **dict.fromkeys(("ERROR", "REFUSED", "TIMED_OUT"), "bad"),
    **dict.fromkeys(("CANCELLED", "PARTIAL", "UNKNOWN"), "odd"),
    **dict.fromkeys(("SENDING", "QUEUED", "RUNNING", "PAUSED", "PREPARED"), "open"),
    "DONE": "good",
}


def status(word: str) -> Element:
    """A job's status."""
    return element("span", clean(word), class_=f"status {_TONES.get(word, 'odd')}")


def moment(when: Timestamp | datetime | None, seconds: bool = True) -> Element | None:
    """A moment in UTC, to the second or to the minute."""
    if when is None:
        return None
    at = when.datetime if isinstance(when, Timestamp) else when.astimezone(UTC)
    shown = f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"
    return element("time", shown, datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def code(text: str) -> Element:
    """An id, a digest, a name of a program's."""
    return element("code", clean(text), class_="id")


def commands(*lines: str) -> Element:
    """Lines to be typed into a shell."""
    return element("pre", element("code", "\n".join(lines)), class_="commands", tabindex="0")


def link(text: str, address: str | None) -> Child:
    """Text that leads somewhere, where there is an address."""
    return text if address is None else element("a", text, href=address)


def linked(child: Element, address: str | None) -> Element:
    """An element that leads somewhere, where there is an address."""
    return child if address is None else element("a", child, href=address)


def facts(pairs: Iterable[tuple[str, Child | Sequence[Child]]]) -> Element:
    """Names and what is so called; those without anything are left out."""
    rows = []
    for name, value in pairs:
        children = [part for part in (value if isinstance(value, (list, tuple)) else [value]) if part is not None and part != ""]
        if children:
            rows.append(element("div", element("dt", *_breakable(name)), element("dd", *children)))
    return element("dl", *rows, class_="facts")


def _breakable(name: str) -> Iterator[Child]:
    """A name with places where a line may break: between its words."""
    for i, part in enumerate(name.split("_")):
        if i:
            yield "_"
            yield element("wbr")
        yield part


def commas(children: Iterable[Child]) -> list[Child]:
    """Children with commas between them."""
    found: list[Child] = []
    for child in children:
        found += [", ", child] if found else [child]
    return found


def wide_table(header: Sequence[str], rows: Iterable[Sequence[Child]], caption: str, right: Iterable[int] = ()) -> Element:
    """A table under its name; the columns `right` hold numbers."""
    return scrolled(table(header, rows, caption, right), caption)


def remark(*children: Child) -> Element:
    return element("p", *children, class_="remark")


def problem(error: Exception) -> Element:
    """What could not be read, where it would have stood."""
    return element("p", element("strong", "This cannot be read."), " ", str(error), class_="problem")


class Reader:
    """Reads parts of jobs for a page. What cannot be read is said in its place, and its error is kept in `problems`."""

    def __init__(self, level: int = _SECTION):
        self.problems: list[QArchiveError] = []
        self.level = level
        self.shown: dict[tuple[str, ...], str] = {}  # the job with which a page shows a device and its calibration

    def __call__(self, part: Callable[[], Found]) -> Found | None:
        """What `part` gives; None where it cannot be read, or is not there."""
        try:
            return _made(part)
        except _NOTHING_WRONG:
            return None
        except QArchiveError as error:
            self.problems.append(error)
            return None

    def said(self, part: Callable[[], Child]) -> Child:
        """The same for a child of a page, with the reason in its place; None for what is yet to come."""
        try:
            return _made(part)
        except (NotFinished, JobFailed):
            return None
        except QArchiveError as error:
            return self._reason(error)

    def section(self, title: str, id: str, part: Callable[[], Iterable[Child]]) -> Element | None:
        """A section under a heading; None for one that holds nothing."""
        try:
            children = _made(lambda: [child for child in part() if child is not None])
        except QArchiveError as error:
            children = [self._reason(error)]
        if not children:
            return None
        return element("section", element(f"h{self.level}", title, id=id), *children)

    def _reason(self, error: QArchiveError) -> Element:
        if isinstance(error, _NOTHING_WRONG):
            return remark(str(error))
        self.problems.append(error)
        return problem(error)

    def heading(self, title: str) -> Element:
        """A heading inside a section."""
        return element(f"h{self.level + 1}", title)


def _made(part: Callable[[], Found]) -> Found:
    """What `part` gives. Raises BadInput for values of another shape than ours: anybody can make a bundle."""
    try:
        return part()
    except (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        if environ.get("QARCHIVE_DEBUG") == "1":
            raise
        reason = f"is not made as it should be ({type(error).__name__}: {error})"
        raise BadInput("what is archived of this", reason, "ask whoever made it") from None

"""How things look: tables, JSON, escaped text, colour, progress. Data goes to stdout, everything else to stderr."""

import json
import os
import shutil
import sys
import textwrap
import time
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import click

from ..printable import clean
from ..printable import count as count  # for those who write with it
from ..printable import size as size
from ..values import Timestamp

PATIENCE_S = 0.5  # work shorter than this shows no progress
_GAP = "  "
_SKEW_S = 5  # by which a clock may be ahead without a word
_LONG_AGO_S = 60 * 86_400
_NARROWEST = 8  # columns of a terminal that a cell keeps when its table is fitted
_STATUS_COLOURS = {
    **dict.fromkeys(("ERROR", "REFUSED", "TIMED_OUT"), "red"),
    **dict.fromkeys(("CANCELLED", "PARTIAL", "UNKNOWN"), "yellow"),
    **dict.fromkeys(("SENDING", "QUEUED", "RUNNING", "PAUSED"), "cyan"),
}


def write(text: str = "") -> None:
    """A line, or several, on stdout."""
    click.echo(text)


def pages(texts: Iterable[str]) -> None:
    """Texts of many lines on stdout, one after another as they come; on a terminal through its pager where they are too long."""
    texts, shown, lines = iter(texts), [], 0
    if on_terminal():
        for text in texts:
            shown.append(text)
            lines += text.count("\n") + 1
            if lines >= shutil.get_terminal_size().lines:
                click.echo_via_pager(chain(["\n".join(shown)], (f"\n{text}" for text in texts)))
                return
    for text in chain(shown, texts):
        write(text)


def note(text: object) -> None:
    """One line on stderr."""
    click.echo(f"qarchive: {clean(text)}", err=True)


def dump(fields: dict[str, Any]) -> str:
    """A JSON document: pure ASCII, indented for a terminal, on one line otherwise."""
    return json.dumps(fields, indent=2 if on_terminal() else None, allow_nan=False)


def document(name: str, /, **fields: Any) -> None:
    """One JSON document on stdout; `name` and the version 1 are its schema."""
    write(dump({"schema": f"qarchive/{name}/1", **fields}))


def on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "ascii"


def paint(text: str, **style: Any) -> str:
    """Text in a colour, where stdout is a terminal and nobody objects ($NO_COLOR, TERM=dumb)."""
    if not text or not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, **style)


def heading(text: str) -> str:
    return paint(text, bold=True)


def paint_status(cell: str) -> str:
    colour = _STATUS_COLOURS.get(cell.strip())
    return paint(cell, fg=colour) if colour else cell


def minute(moment: Timestamp) -> str:
    return f"{str(moment)[:16]}Z"


def ago(moment: Timestamp) -> str:
    """How long ago, in the largest unit of which it is two or more; the day where that is long, the minute of what is to come."""
    seconds = time.time() - moment.ns / 1e9
    if seconds < -_SKEW_S:
        return minute(moment)
    for length, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {name} ago" if seconds < _LONG_AGO_S else str(moment)[:10]
    return f"{max(seconds, 0):.0f} s ago"


def second(moment: Timestamp) -> str:
    return f"{str(moment)[:19]}Z"


_NARROW = ("Mn", "Me", "Cf")  # the categories of marks on other characters, and of joiners


def width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.category(c) in _NARROW else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, columns: int, middle: bool = False) -> str:
    """Text that takes at most so many columns of a terminal, with an ellipsis where its end, or its middle, is left out."""
    if width(text) <= columns:
        return text
    ellipsis = "…" if encoding().lower().startswith("utf") else "..."
    end = ""
    while middle and width(end) < (columns - len(ellipsis)) // 2:
        text, end = text[:-1], text[-1] + end
    while text and width(text) + width(end) > columns - len(ellipsis):
        text = text[:-1]
    return text.rstrip() + ellipsis + end.lstrip()


class Table:
    """Rows under a header. Columns are as wide as the rows of the first batch need.

    `right` are the columns of numbers; `yielding` are those that are cut, the widest first, where a terminal is too narrow, those
    of `middle` in their middle, and `dropping` those that are left out, in this order, where that is not enough. With `wrapping`
    the last column goes on in further lines. In a pipe nothing is cut.
    """

    def __init__(self, header: Sequence[str], right: Iterable[int] = (), yielding: Sequence[int] = (), indent: str = "",
                 dropping: Sequence[int] = (), middle: Iterable[int] = (), wrapping: bool = False):  # fmt: skip
        self.header, self.right, self.yielding, self.indent = header, frozenset(right), yielding, indent
        self.dropping, self.middle, self.wrapping = dropping, frozenset(middle), wrapping
        self._widths: list[int] | None = None
        self._left_out: set[int] = set()

    def write(self, rows: Sequence[Sequence[str]], status: int | None = None) -> None:
        """Print a batch of rows; `status` is the column that is coloured as a status."""
        if text := self.text(rows, status):
            write(text)

    def text(self, rows: Sequence[Sequence[str]], status: int | None = None) -> str:
        """A batch of rows, a line each, the first one under the header."""
        lines = []
        if self._widths is None:
            self._widths = self._fit([self.header, *rows])
            if any(self.header):
                lines.append(paint(self._line(self.header), dim=True))
        return "\n".join([*lines, *(self._line(row, status) for row in rows)])

    def _fit(self, rows) -> list[int]:
        widths = [max(map(width, column)) for column in zip(*rows)]
        if on_terminal():
            excess = width(self.indent) + sum(widths) + len(_GAP) * (len(widths) - 1) - shutil.get_terminal_size().columns
            while excess > 0 and (wide := [column for column in self.yielding if widths[column] > _NARROWEST]):
                widths[max(wide, key=widths.__getitem__)] -= 1
                excess -= 1
            for column in self.dropping if excess > 0 else ():
                excess -= widths[column] + len(_GAP)
                self._left_out.add(column)
                if excess <= 0:
                    break
            for column in (column for column in self.yielding if column not in self._left_out):
                more = min(-excess, max(map(width, (row[column] for row in rows))) - widths[column])
                if more > 0:
                    widths[column] += more
                    excess += more
        return widths

    def _line(self, row, status=None) -> str:
        cells, plain = [], []
        for column, (text, columns) in enumerate(zip(row, self._widths)):
            if column in self._left_out:
                continue
            more: list[str] = []
            if on_terminal() and self.wrapping and column == len(row) - 1:
                text, *more = textwrap.wrap(text, max(columns, 1)) or [""]
            elif on_terminal() and column in self.yielding:
                text = cut(text, columns, column in self.middle)
            padding = " " * (columns - width(text))
            cell = padding + text if column in self.right else text + padding
            if more:
                begin = " " * sum(width(each) + len(_GAP) for each in plain)
                cell = f"\n{self.indent}{begin}".join([cell.rstrip(), *more])
            plain.append(cell)
            cells.append(paint_status(cell) if column == status else cell)
        return self.indent + _GAP.join(cells).rstrip()


def pairs(fields: Iterable[tuple[str, str]], indent: str = "") -> None:
    """Names and values, one a line, the values aligned; fields without a value are left out."""
    shown = [(name, value) for name, value in fields if value]
    columns = max((width(name) for name, _ in shown), default=0)
    for name, value in shown:
        write(f"{indent}{paint(name + ' ' * (columns - width(name)), dim=True)}{_GAP}{value}")


class Progress:
    """A bar on stderr for work that takes long, where stderr is a terminal. Called with what is done and the total, in bytes, or
    in what `shown` makes words of."""

    def __init__(self, label: str, shown: Callable[[int], str] = size):
        self.label, self._text = label, shown
        self._shown = 0
        self._next = time.monotonic() + PATIENCE_S
        self.active = sys.stderr is not None and sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self.active or now < self._next:
            return
        self._next = now + 0.1
        part = done / total if total else 1.0
        filled = round(20 * part)
        line = f"{self.label} [{'#' * filled}{' ' * (20 - filled)}] {part:4.0%} of {self._text(total)}"
        sys.stderr.write(f"\r{line.ljust(self._shown)}")
        sys.stderr.flush()
        self._shown = len(line)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            sys.stderr.write(f"\r{' ' * self._shown}\r")
            sys.stderr.flush()

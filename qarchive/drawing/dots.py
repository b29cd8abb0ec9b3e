"""Numbers by name, each a dot with its bar of error on one scale."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from .canvas import sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure
from .frames import INSET
from .palette import ACCENT, GRID, MUTED
from .scales import axis, coordinate, finite, si

MOST = 60  # rows of a drawing
_WIDTH, _TOP, _RIGHT, _ROW = 720, 8, 12, 21
_LONGEST = 34  # characters of a name


def dots(rows: Sequence[tuple[str, float, float | None]], title: str, x: str, table: Element, *, note: str | None = None,
         key: str = "") -> Figure:  # fmt: skip
    """(name, value, error) one below another, in the order given, on a scale that `x` names and 0 is on; no error is no bar."""
    known = [(name, at, finite(error)) for name, value, error in rows if (at := coordinate(value)) is not None]
    shown = known[:MOST]
    said = sentences(note, f"The first {MOST} of {len(known):,} are drawn." if len(known) > MOST else None,
                     f"Without a number: {len(rows) - len(known):,}." if len(rows) > len(known) else None)  # fmt: skip
    return Figure(title, _drawing(shown, title, x, key), table, said)


def _drawing(rows: list[tuple[str, float, float | None]], title: str, x: str, key: str) -> Element:
    if not rows:
        nothing = words(_WIDTH / 2, 34, "No numbers are known.", text_anchor="middle", fill=MUTED)
        return svg("dots", title, _WIDTH, 60, nothing, key=key)
    scale = axis([end for _, value, error in rows for end in (value - (error or 0.0), value + (error or 0.0))], zero=True)
    names = [shortened(name, _LONGEST) for name, *_ in rows]
    left = 16 + 7.0 * max(map(len, names))
    floor = _TOP + _ROW * len(rows) + 4

    def across(value: float) -> float:
        return left + INSET + (_WIDTH - _RIGHT - left - 2 * INSET) * scale.at(value)

    lines = "".join(stroke((across(tick), _TOP), (across(tick), floor)) for tick in scale.ticks)
    group = [element("path", d=lines, stroke=GRID),
             element("path", d=stroke((across(0.0), _TOP), (across(0.0), floor)), stroke=MUTED)]  # fmt: skip
    whiskers, labels, marks = "", [], element("g", fill=ACCENT)
    for i, (name, value, error) in enumerate(rows):
        at, height = across(value), _TOP + _ROW * (i + 0.5)
        if error:
            low, high = across(value - error), across(value + error)
            whiskers += stroke((low, height), (high, height)) + stroke((low, height - 3), (low, height + 3))
            whiskers += stroke((high, height - 3), (high, height + 3))
        told = f"{name}: {si(value, digits=6)}" + (f" ± {si(error, digits=2)}" if error else "")
        marks.append(element("circle", element("title", told), cx=short(at), cy=short(height), r=3.8))
        labels.append(words(left - 8, height + 4, names[i], name))
    group += [element("path", d=whiskers, stroke=ACCENT, stroke_width=1.4, fill="none") if whiskers else None, marks,
              element("g", *labels, text_anchor="end", font_family="monospace", font_size=11)]  # fmt: skip
    numbers = [words(across(tick), floor + 15, text) for tick, text in zip(scale.ticks, scale.labels)]
    group.append(element("g", *numbers, text_anchor="middle", font_size=11))
    group.append(words((left + _WIDTH - _RIGHT) / 2, floor + 34, x, text_anchor="middle", font_size=11))
    describe = f"{len(rows)} numbers; the table beside it has them."
    return svg("dots", title, _WIDTH, floor + 40, *group, describe=describe, key=key)

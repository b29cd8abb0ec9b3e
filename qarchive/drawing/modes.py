"""Photonic modes as lines, with what was measured on each."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.etree.ElementTree import Element

from .canvas import MOST_ROWS, beyond, sentences, short, shortened, stroke, svg, words
from .elements import element
from .figure import Figure, table
from .palette import INK, MUTED, PAPER, ink_on, shade
from .scales import finite, si

_WIDTH, _LEFT, _RIGHT, _TOP, _LANE = 640, 60, 20, 34, 30
_MOST_MODES, _MOST_COLUMNS = 200, 6
_NO_UNITS: Mapping[str, str] = MappingProxyType({})


def modes(
    columns: Mapping[str, Sequence[float | None]], title: str, units: Mapping[str, str] = _NO_UNITS, key: str = ""
) -> Figure:
    """Modes from the top as lines, and on them for each figure its number in a box, coloured from its least to its largest.

    `columns` has by name one number a mode, None where there is none; `units` their units, none for plain numbers.
    """
    names = list(columns)
    count = max(map(len, columns.values()), default=0)
    numbers = {name: [finite(value) for value in column] + [None] * (count - len(column)) for name, column in columns.items()}
    rows = [
        (f"m{i}", *(_shown(numbers[name][i], units.get(name, ""), 4) for name in names)) for i in range(min(count, MOST_ROWS))
    ]
    note = sentences(
        "Colours run from the least to the largest number of each column.",
        f"The first {_MOST_MODES} of {count:,} modes are drawn." if count > _MOST_MODES else None,
        f"The first {_MOST_COLUMNS} of {len(names)} figures are drawn." if len(names) > _MOST_COLUMNS else None,
        beyond(count, "modes"),
    )
    drawing = _drawing(names[:_MOST_COLUMNS], numbers, units, min(count, _MOST_MODES), title, key)
    return Figure(title, drawing, table(("mode", *names), rows, title, right=range(1, len(names) + 1)), note)


def _shown(value: float | None, unit: str, digits: int = 3) -> str:
    return "no value" if value is None else si(value, unit, digits)


def _drawing(names: Sequence[str], numbers, units: Mapping[str, str], count: int, title: str, key: str) -> Element:
    if not names or not count:
        nothing = words(_WIDTH / 2, 34, "No modes are known.", text_anchor="middle", fill=MUTED)
        return svg("modes", title, _WIDTH, 60, nothing, key=key)
    each = (_WIDTH - _LEFT - _RIGHT) / len(names)
    heights = [_TOP + _LANE * (i + 0.5) for i in range(count)]
    lines = "".join(stroke((_LEFT, y), (_WIDTH - _RIGHT, y)) for y in heights)
    labels = [words(_LEFT - 8, y + 4, f"m{i}") for i, y in enumerate(heights)]
    group = [element("path", d=lines, stroke=INK, stroke_width=1.5), element("g", *labels, text_anchor="end")]
    for i, name in enumerate(names):
        x, column = _LEFT + each * (i + 0.5), numbers[name][:count]
        known = [value for value in column if value is not None]
        ends = (min(known), max(known)) if known else (0.0, 0.0)
        group.append(words(x, 18, shortened(name, max(6, int(each / 7))), name, text_anchor="middle"))
        wide = min(96.0, each - 14)
        unit = units.get(name, "")
        group += [_box(x, y, wide, value, unit, f"m{j} {name}", ends) for j, (y, value) in enumerate(zip(heights, column))]
    return svg("modes", title, _WIDTH, _TOP + _LANE * count + 6, *group, describe=f"{count} modes.", key=key)


def _box(x: float, y: float, wide: float, value: float | None, unit: str, name: str, ends: tuple[float, float]) -> Element:
    text = _shown(value, unit)
    box = {"x": short(x - wide / 2), "y": short(y - 10), "width": short(wide), "height": 20, "rx": 4}
    hint = element("title", f"{name}: {text}")
    if value is None:
        shape = element("rect", hint, **box, fill=PAPER, stroke=MUTED, stroke_dasharray="3 2")
        return element("g", shape, words(x, y + 4, text, text_anchor="middle", font_size=11, fill=MUTED))
    low, high = ends
    colour = shade((value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5)
    shape = element("rect", hint, **box, fill=colour, stroke=INK)
    return element(
        "g", shape, words(x, y + 4, text, text_anchor="middle", font_size=11, fill=ink_on(colour), pointer_events="none")
    )

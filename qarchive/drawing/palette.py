"""Colours of drawings: the page's own, a few for lines, and a scale that gets lighter from end to end.

They are told apart by people who see fewer colours than others; where one bears a meaning, a shape or a text bears it, too.
"""

# Of the page, by its custom properties; what stands behind the comma holds where it sets none.
INK = "var(--ink, #222)"
PAPER = "var(--paper, #fff)"
MUTED = "var(--muted, #666)"
ACCENT = "var(--accent, #0072b2)"
GRID = "var(--grid, #ddd)"

_SERIES = ("#0072b2", "#c44e00", "#00805c", "#a8548a", "#8a6100", "#5b6ee1", "#222")
_DASHES = (None, "7 3", "2 3", "9 3 2 3", "12 4", "5 2 1 2", "1 2")
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "plus", "bar")

_STOPS = tuple(
    tuple(bytes.fromhex(stop))
    for stop in ("1f2a5c", "1f477f", "186795", "2b849e", "41a1a1", "6abb89", "a8cc66", "d9d75c", "fbe98a")
)
_SHADES = 48  # as many as an eye tells apart, and few enough to keep a map small


def line_style(place: int) -> tuple[str, str | None, str]:
    """(colour, dashes or None for a whole line, marker) of the line at a place; no two of the first seven share one."""
    i = place % len(_SERIES)
    return f"var(--series-{i + 1}, {_SERIES[i]})", _DASHES[i], MARKERS[i]


def shade(share: float) -> str:
    """The colour at 0 (dark blue) to 1 (light yellow) of the scale, which gets lighter all the way."""
    place = round(min(1.0, max(0.0, share)) * _SHADES) / _SHADES * (len(_STOPS) - 1)
    i = min(int(place), len(_STOPS) - 2)
    part = place - i
    return "#" + bytes(round(a + (b - a) * part) for a, b in zip(_STOPS[i], _STOPS[i + 1])).hex()


def luminance(colour: str) -> float:
    """How light `#rrggbb` is, 0 to 1, as accessibility guidelines count it."""
    parts = (part / 255 for part in bytes.fromhex(colour[1:]))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink_on(colour: str) -> str:
    """Black or white, whichever is easier to read on `#rrggbb`."""
    light = luminance(colour)
    return "#000" if (light + 0.05) ** 2 > 0.05 * 1.05 else "#fff"

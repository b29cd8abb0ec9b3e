"""Plots with matplotlib, of plain values. Each gives the Axes that it drew on, those that it was given or new ones."""

from collections.abc import Iterable, Mapping
from math import inf, isfinite, nan
from typing import Any

from .drawing import histogram as histograms
from .drawing import scales
from .drawing.canvas import shortened
from .drawing.device import limit
from .drawing.layouts import layout
from .drawing.palette import line_style
from .errors import MissingExtra
from .printable import clean
from .sweeps import Column, Sweep

Qubits = tuple[int, ...]

_LABEL = 24  # characters of a state
_FLAT = 4  # characters of a label that need not be turned, of up to `_WIDE` bars
_WIDE = 16
_COLOUR, _OTHER = "#0072b2", "#bbbbbb"
_MAP = "cividis"  # read alike by those who see fewer colours
_MOST = 2_000  # places of a map
_ROWS = 60  # names one below another
_NAME = 40  # characters of one
_MARKS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "cross": "x", "plus": "+", "bar": "|"}


def histogram(counts: Mapping[str, int | float], title: str, most: int = 32, ax: Any = None) -> Any:
    """Bars of the most frequent states, the rest as one; of counts as shares, with the standard deviation of shot noise."""
    ax = _axes(ax, 8, 4)
    found = histograms.selected(counts, most)
    names = [_plain(shortened(clean(state), _LABEL)) for state, _ in found.bars]
    values = [value for _, value in found.bars]
    places = range(len(values))
    noise = [found.noise(value) for value in values] if found.total else None
    ax.bar(places, values, yerr=noise, color=_COLOUR, ecolor="0.5", capsize=3 if len(values) <= _WIDE else 1)
    if found.other is not None:
        ax.bar([len(values)], [found.other], color=_OTHER, hatch="//", edgecolor="0.5")
        names.append(f"other ({found.rest:,})")
        tallest = max(value + found.noise(value) for value in values)
        if found.other > histograms.TOWERING * tallest > 0:
            ax.set_ylim(top=1.25 * tallest)
            ax.text(len(values), 1.2 * tallest, f"{scales.si(found.other)} ↑", ha="center", va="top", rotation=90,
                    bbox={"facecolor": "w", "edgecolor": "none", "pad": 1}, color="k", fontsize="small")  # fmt: skip
    turned = max(map(len, names), default=0) > _FLAT or len(names) > _WIDE
    ax.set_xticks(range(len(names)), names, rotation=90 if turned else 0, family="monospace")
    unit = histograms.unit_of(False, [found.known.values()])
    ax.set_ylabel(unit if found.total is None else f"share of {round(found.total):,} shots")
    ax.set_xlabel(f"state, {histograms.order_said(found.rest > 0)}")
    return _titled(ax, title)


def sweep(found: Sweep, title: str, ax: Any = None) -> Any:
    """Numbers over a parameter, a time, or the sets of parameter values, by name, with their errors."""
    ax = _axes(ax, 8, 4)
    for place, (name, points) in enumerate(found.series.items()):
        known = [(at, value, error or 0.0) for at, value, error in points if value is not None]
        at, numbers, errors = zip(*sorted(known)) if known else ((), (), ())
        colour, _, mark = line_style(place)
        ax.errorbar(at, numbers, yerr=errors if any(errors) else None, capsize=2, markersize=4, linewidth=1.2,
                    color=colour.rpartition(" ")[2].rstrip(")"), marker=_MARKS[mark], linestyle="-" if found.over.joined else "",
                    label=_plain(name))  # fmt: skip
    if 0.0 in found.within:
        ax.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    if not found.over.joined:
        ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel(_plain(found.over.name.partition(" (")[0]))
    ax.set_ylabel(_plain(found.y))
    if any(found.series):
        beside = {"bbox_to_anchor": (1.01, 1), "loc": "upper left"}
        ax.legend(frameon=False, fontsize="small", ncols=1 + len(found.series) // 16, **beside)
    return _titled(ax, title)


def values(found: Column, title: str, ax: Any = None) -> Any:
    """Numbers by name, one below another, with their errors."""
    shown = found.values[:_ROWS]
    ax = _axes(ax, 8, max(1.4, min(12, 0.9 + 0.3 * len(shown))))
    errors = [error or 0.0 for *_, error in shown]
    ax.errorbar([value for _, value, _ in shown], range(len(shown)), xerr=errors if any(errors) else None, fmt="o", markersize=4,
                capsize=3, color=_COLOUR)  # fmt: skip
    ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(shown)), [_plain(shortened(name, _NAME)) for name, *_ in shown], family="monospace")
    ax.set_ylim(len(shown) - 0.4, -0.6)
    more = f", the first {len(shown)} of {len(found.values):,}" if len(shown) < len(found.values) else ""
    ax.set_xlabel(f"expectation value{more}")
    return _titled(ax, title)


def places(values: Mapping[Qubits, float], couplings: Iterable[tuple[int, int]], name: str, unit: str, title: str,
           letter: str = "q", ax: Any = None) -> Any:  # fmt: skip
    """A figure of a calibration: on a map of the device where its couplings are known, else as bars.

    `values` are in SI units, of places, of pairs, or of any number of them; a map has pairs in both directions as the larger.
    """
    pairs = {_up(pair) for pair in couplings if pair[0] != pair[1]}
    known = {place for qubits in values for place in qubits} | {place for pair in pairs for place in pair}
    if pairs and len(known) <= _MOST and {len(qubits) for qubits in values} in ({1}, {2}):
        return _map(values, sorted(known), pairs, name, unit, title, ax)
    ax = _axes(ax, 8, 4)
    ordered = sorted(values)
    names = [
        "-".join(map(str, qubits)) if len(qubits) > 1 else f"{letter}{qubits[0]}" if qubits else "device" for qubits in ordered
    ]
    ax.bar(range(len(ordered)), [values[qubits] for qubits in ordered], color=_COLOUR)
    if len(names) <= 2 * _WIDE:
        ax.set_xticks(range(len(names)), names, rotation=90 if len(names) > _WIDE else 0)
    _measured(ax.yaxis, unit)
    ax.set_ylabel(_plain(clean(name)))
    return _titled(ax, title)


def _map(
    found: Mapping[Qubits, float], known: list[int], pairs: set[tuple[int, int]], name: str, unit: str, title: str, ax: Any
) -> Any:
    """Places in the layout of our drawings, those that have the figure in colour, and so for pairs; hollow is without a value."""
    from matplotlib.collections import LineCollection

    at = layout(known, pairs)
    across, down = zip(*(at[place] for place in known))
    flat = (max(down) - min(down) + 1.4) / (max(across) - min(across) + 1.4)  # so that no empty room parts it from its title
    ax = _axes(ax, 8, min(6.0, max(1.8, 6.4 * flat + 0.6)))
    size = 26_000 / max(len(known), 60)
    of_pairs = len(next(iter(found))) == 2
    pairs |= {_up(qubits) for qubits in found if of_pairs}
    lines = sorted(pairs)
    values = (
        [max((found[way] for way in (pair, pair[::-1]) if way in found), default=nan) for pair in lines] if of_pairs else None
    )
    drawn = LineCollection([[at[one], at[other]] for one, other in lines], zorder=1, linewidths=6 if of_pairs else 1.5, cmap=_MAP)
    ax.add_collection(drawn)
    if of_pairs:
        drawn.set_array(values)
        ax.scatter(across, down, s=size / 2, c="white", edgecolors="0.4", zorder=2)
    else:
        drawn.set_color("0.6")
        hollow = [place for place in known if (place,) not in found]
        ax.scatter(*([at[place][i] for place in hollow] for i in (0, 1)), s=size, c="white", edgecolors="0.5", zorder=2)
        full = [place for place in known if (place,) in found]
        colours = [found[place,] for place in full]
        drawn = ax.scatter(
            *([at[place][i] for place in full] for i in (0, 1)), s=size, c=colours, cmap=_MAP, edgecolors="0.3", zorder=2
        )
    top = limit(sorted(value for value in found.values() if isfinite(value)))
    if top < inf:
        drawn.set_clim(vmax=top)
    for place in known:
        value = None if of_pairs else found.get((place,))
        dark = value is not None and drawn.norm(value) < 0.5
        ax.text(*at[place], str(place), ha="center", va="center", fontsize=max(4, min(9, size**0.5 / 2.4)),
                color="w" if dark else "k", zorder=3)  # fmt: skip
    ax.set_aspect("equal")
    ax.set(xlim=(min(across) - 0.7, max(across) + 0.7), ylim=(max(down) + 0.7, min(down) - 0.7))  # downwards
    ax.set_axis_off()
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.8, extend="max" if top < inf else "neither")
    _measured(bar.ax.yaxis, unit)
    bar.set_label(_plain(clean(name)))
    return _titled(ax, title)


def _up(pair: tuple[int, int]) -> tuple[int, int]:
    return pair if pair[0] < pair[1] else (pair[1], pair[0])


def _measured(axis: Any, unit: str) -> None:
    """Numbers with their unit on an axis."""
    axis.set_major_formatter(lambda value, place: scales.si(value, unit))


def _titled(ax: Any, title: str) -> Any:
    ax.set_title(_plain(clean(title)))
    return ax


def _plain(text: str) -> str:
    """Text of which matplotlib takes nothing for a formula."""
    return text.replace("$", r"\$")


def _axes(ax: Any, width: float, height: float) -> Any:
    """The Axes that were given, or new ones in a figure of pyplot's, so that notebooks show it. Raises MissingExtra."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MissingExtra("a plot", "plot") from None
    return pyplot.subplots(figsize=(width, height), layout="constrained")[1] if ax is None else ax

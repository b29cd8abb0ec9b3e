"""Numbers and moments as people read them, and axes that stop at round ones. None stands for what has no value."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_DIGITS = 15  # all that a float holds for certain
_FEWEST_FOR_LOG = 30.0  # how many times the smallest number the largest is
_LEAST, _LARGEST = 1e-200, 1e300  # smaller numbers stand at zero, larger ones at the end: steps between them are no longer sound

FAR = 1e100  # the largest coordinate that is drawn

_DAY = 86400
_UNITS_S = ((_DAY, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_STEPS_S = (
    *(float(f"{n}e{power}") for power in range(-6, 0) for n in (1, 2, 5)),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(days * _DAY for days in (1, 2, 7, 14, 30, 90, 180, 365, 730, 1825, 3650, 36500, 365000)),
)
_EPOCH = datetime(2000, 1, 3, tzinfo=UTC)  # a Monday, so that steps of weeks start on one


def finite(value: object) -> float | None:
    """A number as a float; None for NaN, infinities, what is too large for a float, and all that is no number."""
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def coordinate(value: object) -> float | None:
    """As `finite`, of a coordinate: None also for one so large that distances to it would be no numbers."""
    number = finite(value)
    return None if number is None or abs(number) > FAR else number


def si(value: float, unit: str = "", digits: int = 3) -> str:
    """A number with its unit, SI prefixes where there is a unit: `120 µs`, `4.97 GHz`, `0.0075`; - for what is no number."""
    number = finite(value)
    if number is None:
        return "-"
    if number == 0 or not unit.isalpha():
        return f"{number:.{digits}g} {unit}".replace("e-0", "e-").replace("e+0", "e+").strip()
    power = min(18, max(-18, 3 * math.floor(math.log10(abs(number)) / 3)))
    shown = f"{number / 10.0**power:.{digits}g}"
    if abs(float(shown)) >= 1000 and power < 18:
        power += 3
        shown = f"{number / 10.0**power:.{digits}g}"
    return f"{shown} {_PREFIXES[power]}{unit}"


def labels(values: Sequence[float], unit: str = "") -> list[str]:
    """As `si`, with as many digits as it takes to tell different numbers apart."""
    wanted = len(set(values))
    for digits in range(3, _DIGITS + 1):
        found = [si(value, unit, digits) for value in values]
        if len(set(found)) == wanted:
            break
    return found


def duration(seconds: float) -> str:
    """A time in words, its two largest units: `3 d 4 h`, `1 min 5 s`, `4.2 s`, `120 ms`."""
    number = finite(seconds)
    if number is None:
        return "-"
    if abs(number) < 59.95:
        return si(number, "s")
    whole = round(abs(number))
    size, name, less, other = next(unit for unit in _UNITS_S if whole >= unit[0])
    rest = whole % size // less
    return ("-" if number < 0 else "") + f"{whole // size} {name}" + (f" {rest} {other}" if rest else "")


def utc(moment: datetime) -> datetime:
    """A moment in UTC; one without a zone is taken for UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """`2026-11-22 03:26:28.5`: UTC without saying so, with as much of a second as there is."""
    moment = utc(moment).replace(tzinfo=None)
    text = moment.isoformat(" ", "microseconds" if moment.microsecond else "seconds")
    return text.rstrip("0") if moment.microsecond else text


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`, ticks at round numbers with their labels. `low` is less than `high`, above 0 if `log`."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Where a number stands: 0 at `low`, 1 at `high`; what lies beyond stands at the ends."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            value = math.log10(max(value, self.low))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low)))


def axis(values: Iterable[float], unit: str = "", zero: bool = False, log: bool | None = None, most: int = 6) -> Axis:
    """An axis with room for finite numbers, from tick to tick. `zero`: with 0 on it. `log` None: where the range asks for it."""
    found = [0.0 if abs(value) < _LEAST else max(-_LARGEST, min(_LARGEST, value)) for value in values]
    low, high = (min(found), max(found)) if found else (0.0, 1.0)
    if zero:
        low, high, log = min(0.0, low), max(0.0, high), False
    if low > 0 and (log or (log is None and high / low >= _FEWEST_FOR_LOG)):
        return _log(low, high, unit, most)
    if low == high:
        apart = abs(low) / 20 or 0.5
        low, high = low - apart, high + apart
    step = _step(low, high, most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = sorted({_rounded(i * step, step) for i in range(first, last + 1)})
    if len(ticks) < 2:  # numbers so close that no float is between them
        ticks = [low, high]
    return Axis(ticks[0], ticks[-1], tuple(ticks), tuple(labels(ticks, unit)))


def _step(low: float, high: float, most: int) -> float:
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= raw * 0.999)


def _rounded(value: float, step: float) -> float:
    """A multiple of a step without the dust of binary fractions."""
    return round(value, min(300, max(0, 2 - math.floor(math.log10(step)))))


def _log(low: float, high: float, unit: str, most: int) -> Axis:
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    every = max(1, math.ceil((last - first) / most))
    nice = (1, 2, 5) if last - first <= 2 else (1,)
    ticks = [
        number
        for power in range(first, last + 1, every)
        for n in nice
        if low * 0.999 <= (number := float(f"{n}e{power}")) <= high
    ]
    below = max((float(f"{n}e{first}") for n in nice if float(f"{n}e{first}") <= low * 1.001), default=low)
    above = min(
        (x for n in nice for x in (float(f"{n}e{last - 1}"), float(f"{n}e{last}")) if high * 0.999 <= x < 1e308), default=high
    )
    ticks = sorted({below, *ticks, above})
    return Axis(ticks[0], ticks[-1], tuple(ticks), tuple(labels(ticks, unit)), log=True)


def time_ticks(start: datetime, end: datetime, most: int = 6) -> list[tuple[datetime, str]]:
    """Round moments in UTC from `start` to `end` with their labels: a date where the day is new, else the time of day."""
    start, end = utc(start), utc(end)
    span = (end - start).total_seconds()
    step = next((step for step in _STEPS_S if span / step <= most), _STEPS_S[-1])
    every = timedelta(seconds=step)
    first = -((_EPOCH - start) // every)
    found, day = [], None
    for i in range(first, first + most + 2):
        try:
            moment = _EPOCH + i * every
        except OverflowError:
            break
        if moment > end:
            break
        found.append((moment, _short(moment, step, moment.date() != day)))
        day = moment.date()
    return found


def _short(moment: datetime, step: float, new_day: bool) -> str:
    if step >= _DAY:
        return f"{moment:%Y-%m-%d}"
    text = f"{moment:%H:%M}" if step >= 60 else f"{moment:%H:%M:%S}"
    if step < 1:
        text += f".{moment.microsecond:06d}"[: 1 + max(1, math.ceil(-math.log10(step) - 1e-9))]
    return f"{moment:%Y-%m-%d} {text}" if new_day else text

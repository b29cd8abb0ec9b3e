"""What a job shows of itself: in notebooks, and as a plot."""

from collections.abc import Callable, Mapping
from typing import Any

from . import codec
from .errors import BadInput, QArchiveError
from .outcomes import Points
from .store import Store

_SMALL = 1 << 18  # bytes of a result that is read for a notebook
_FEW = 8  # circuits
_VALUES = 3  # of parameters in a title


class Shown:
    """A job as it is shown."""

    _store: Store
    _provider: Callable[[], Any]
    row: Any
    outcome: Mapping[str, Any] | None

    @property
    def order(self) -> str:
        """How its states are read ("bit 0 is the rightmost"); empty where its provider does not say."""
        return self._provider().order

    def _repr_html_(self) -> str:
        from . import notebook  # what is not shown needs no drawings

        return notebook.job(self, self._at_hand())

    def plot(self, index: int = 0, most: int = 32, ax: Any = None) -> Any:
        """Draw what came out of circuit `index` with matplotlib; the Axes.

        Counts are shares of the shots with the standard deviation of shot noise: the `most` most frequent states, and all others
        as one bar. Of several sets of parameter values, or times, the shares of the most frequent states are lines. Expectation
        values have their standard errors, over the parameter where one varies; quantum states are probabilities. `ax` are Axes to
        draw on; else there is a new figure. Raises NotFinished, JobFailed, BadInput, MissingExtra.
        """
        from . import plotting, sweeps

        data = self.data()
        if type(index) is not int or not 0 <= index < len(data):
            known = f"it has {len(data)}, counted from 0" if data else "its result is not a list of circuits' results"
            raise BadInput(f"circuit {index!r}", f"is not in job {self.id[:12]}", known)
        entry, found = data[index], self.points()
        points = found[index] if len(found) == len(data) else None
        title = f"{self._named(index, len(data), points)}, job {self.id[:12]}"
        if (known := sweeps.drawn(entry, points)) is not None:
            name, what = known
            title = f"{name} of {title}" if name else title
            if type(what) is dict:
                return plotting.histogram(what, title, most, ax)
            return (plotting.sweep if isinstance(what, sweeps.Sweep) else plotting.values)(what, title, ax)
        raise BadInput(f"circuit {index}", f"job {self.id[:12]} has neither counts nor values of it",
                       f"`job.data()[{index}]` has {', '.join(sorted(entry)) or 'nothing'}")  # fmt: skip

    def _named(self, index: int, size: int, points: Points | None) -> str:
        """What a circuit is called, with the values that it was bound to."""
        from .sweeps import number

        names, place = self.names, index if points is None else points.circuit
        name = names[place] if place < len(names) and (points is not None or len(names) == size) else ""
        bound = points.parameters if points is not None and not points.shape else {}
        values = [f"{parameter} = {number(found[0], 4)}" for parameter, found in bound.items() if len(bound) <= _VALUES]
        return ", ".join([name or f"circuit {index}", *values])

    def _at_hand(self) -> Any:
        """What of the first circuit is drawn, with its name, if it is read at once; None where there is nothing, or something
        cannot be read: whatever it is, the rest of the job is shown."""
        from .sweeps import drawn

        try:
            outcome = self.outcome
            if outcome is None or "result" not in outcome or self.row.size > _FEW or not self._is_small(outcome["result"].digest):
                return None
            data, points = self.data(), self.points()
            return drawn(data[0], points[0] if len(points) == len(data) else None) if data else None
        except (QArchiveError, OSError):
            return None

    def _is_small(self, result: bytes) -> bool:
        """Whether a result is small, with all that it refers to."""
        pending, size = [result], 0
        for digest in pending:
            data = self._store.get(digest)
            size += len(data)
            if size > _SMALL or len(pending) > _FEW:
                return False
            pending += (link.digest for link in codec.links(codec.decode(data)))
        return True

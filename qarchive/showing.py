"""What a job shows of itself: in notebooks, and as a plot."""

from collections.abc import Mapping
from typing import Any

from . import codec
from .errors import BadInput, QArchiveError
from .outcomes import numbers_of, table_of
from .store import Store

_SMALL = 1 << 18  # bytes of a result that is read for a notebook
_FEW = 8  # circuits


class Shown:
    """A job as it is shown."""

    _store: Store
    row: Any
    outcome: Mapping[str, Any] | None

    def _repr_html_(self) -> str:
        from . import notebook  # what is not shown needs no drawings

        return notebook.job(self, self._counts_at_hand())

    def plot(self, index: int = 0, most: int = 32, ax: Any = None) -> Any:
        """Draw what came out of circuit `index` with matplotlib; the Axes.

        Counts are shares of the shots with the standard deviation of shot noise: the `most` most frequent states, and all others
        as one bar. Expectation values have their standard errors. `ax` are Axes to draw on; else there is a new figure.
        Raises NotFinished, JobFailed, BadInput, MissingExtra.
        """
        from . import plotting

        data = self.data()
        if type(index) is not int or not 0 <= index < len(data):
            known = f"it has {len(data)}, counted from 0" if data else "its result is not a list of circuits' results"
            raise BadInput(f"circuit {index!r}", f"is not in job {self.id[:12]}", known)
        names = self.names
        title = f"{names[index] if len(names) == len(data) and names[index] else f'circuit {index}'}, job {self.id[:12]}"
        if (counts := table_of(data[index])) is not None:
            return plotting.histogram(counts, title, most, ax)
        if (means := numbers_of(data[index].get("evs"))) is not None:
            errors = numbers_of(data[index].get("stds"))
            return plotting.values(means, errors if errors is not None and len(errors) == len(means) else None, title, ax)
        raise BadInput(f"circuit {index}", f"job {self.id[:12]} has neither counts nor values of it",
                       f"`job.data()[{index}]` has {', '.join(sorted(data[index])) or 'nothing'}")  # fmt: skip

    def _counts_at_hand(self) -> dict[str, int | float] | None:
        """Counts of the first circuit, if they are read at once; None where there are none, or something cannot be read: whatever
        it is, the rest of the job is shown."""
        try:
            outcome = self.outcome
            if outcome is None or "result" not in outcome or self.row.size > _FEW or not self._is_small(outcome["result"].digest):
                return None
            data = self.data()
            return table_of(data[0]) if data else None
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

"""What came out of a job, as tables and as JSON."""

from typing import Any

from ..errors import BadInput, JobFailed
from ..job import Job
from ..json_forms import to_json
from ..outcomes import is_table
from ..printable import clean
from ..text_forms import describe, to_text
from . import output

STATES = 20  # shown of a circuit
CIRCUITS = 10  # shown of a job
_TABLES = ("counts", "probabilities")


def chosen(circuit: int | None, size: int) -> range:
    """The places of the circuits that are asked for. Raises BadInput."""
    if circuit is None:
        return range(size)
    if not 0 <= circuit < size:
        raise BadInput(f"--circuit {circuit}", f"the job has {output.count(size, 'circuit')}", "count from 0")
    return range(circuit, circuit + 1)


def as_json(job: Job, circuit: int | None = None) -> list[dict[str, Any]]:
    """What came out of each circuit, or of one. Raises NotFinished, JobFailed, BadInput."""
    data = job.data()
    return [{"index": place, "name": _name(job, place, len(data)), "counts": data[place].get("counts"),
             "data": {key: to_json(value) for key, value in data[place].items() if key != "counts"}}
            for place in chosen(circuit, len(data))]  # fmt: skip


def show(job: Job, circuit: int | None = None, everything: bool = False) -> None:
    """Print a table of counts for each circuit, and what else there is by its kind and size.

    Raises NotFinished, JobFailed, BadInput.
    """
    data = job.data()
    if not data and circuit is None:
        output.write(to_text(job.get(job.outcome["result"]), everything))
    places = chosen(circuit, len(data))
    shown = places if everything else places[:CIRCUITS]
    for place in shown:
        title = f"{place}  {clean(_name(job, place, len(data)) or '')}".rstrip()
        output.write(("" if place == places[0] else "\n") + output.heading(title))
        _circuit(data[place], everything)
    if len(shown) < len(places):
        output.note(f"{len(shown)} of {len(places):,} circuits; --all shows all, --circuit N one")


def judge(job: Job) -> None:
    """After all that there is was printed: raise JobFailed for a failed job, warn of one that failed in part."""
    message = (job.error or {}).get("message", "")
    if job.status == "PARTIAL":
        output.note(f"warning: job {job.id[:12]} is PARTIAL: {message}")
    elif job.status != "DONE":
        raise JobFailed(job.id[:12], job.status, message)


def _circuit(data: dict[str, Any], everything: bool) -> None:
    if not data:
        output.write("   no data")
    for name in _TABLES:
        if is_table(data.get(name)):
            _table(data[name], everything)
    rest = [(clean(key), describe(value)) for key, value in data.items() if key not in _TABLES or not is_table(value)]
    output.pairs(rest, indent="   ")


def _table(numbers: dict[str, int | float], everything: bool) -> None:
    """States with their counts, or with their probabilities, the largest first."""
    total = sum(numbers.values())
    ordered = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered if everything else ordered[:STATES]
    rows = [(clean(state), _number(number), _share(number, total)) for state, number in shown]
    if rest := ordered[len(shown) :]:
        others = sum(number for _, number in rest)
        rows.append((f"{output.count(len(rest), 'other')}", _number(others), _share(others, total)))
    output.Table(("", "", ""), right=(1, 2), indent="   ").write(rows)


def _number(number: int | float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.6g}"


def _share(number: int | float, total: int | float) -> str:
    return f"{number / total:.1%}" if total else ""


def _name(job: Job, place: int, size: int) -> str | None:
    """The circuit's name; None where parameter binds made several results of one circuit."""
    return job.names[place] if len(job.names) == size else None

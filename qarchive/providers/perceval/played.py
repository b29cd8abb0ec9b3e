"""What Perceval's own methods leave behind when they have run here, made of an archived job in place of a run."""

import copy
from functools import cache
from typing import Any

from ..sdk import sdk
from .calls import unconverted

_MITIGATED_LATER = "mitigations"
_WORDS = {"DONE": "SUCCESS", "PARTIAL": "SUCCESS", "ERROR": "ERROR", "CANCELLED": "CANCELED", "TIMED_OUT": "CANCELED"}


def put_status(status: Any, record: Any) -> None:
    """Let one of Perceval's statuses say how an archived job ended."""
    known = sdk("perceval.runtime", "a job of Perceval's", "perceval").RunningStatus
    word = (record.outcome or {}).get("provider_status")
    status.start_run()
    status.stop_run(
        known[word if word in known.__members__ else _WORDS.get(record.status, "UNKNOWN")], (record.error or {}).get("message")
    )


def end_job(job: Any, record: Any, args: tuple, kwargs: dict[str, Any]) -> None:
    """Leave a LocalJob, which was to be executed with these arguments, as the archived one ended.

    Raises what Perceval raises of arguments that it does not take, and of a job that was executed before.
    """
    if not job._status.waiting:
        raise AssertionError("job has already been executed")  # Perceval's own words
    if "progress_callback" in kwargs:
        job._user_cb = kwargs["progress_callback"]
    job._delta_parameters["command"]["progress_callback"] = job._progress_cb
    job._handle_params(*args, **kwargs)
    put_status(job._status, record)
    if "result" in (record.outcome or {}):
        job._results = record.result()
        if unconverted(record) is None:
            job._result_mapping_function = None  # they have been through it


def started(computer: Any, computation: Any, record: Any) -> tuple[list, Any, list[list[Any]]]:
    """What `execute_async` of a computer gives: (mitigations that are to be applied, imperfections, rows of getters)."""
    imperfections = copy.deepcopy(computer._get_imperfections(computation))
    has_result = "result" in (record.outcome or {})
    if not has_result or unconverted(record) != _MITIGATED_LATER:
        whole = record.result() if has_result else None
        return [], imperfections, [[_getter()(record, whole, whole)]]
    answers = iter(record.result()["results_list"])
    rows = [[_getter()(record, next(answers), None) for _ in row] for row in computer.extend_computation(computation)]
    return copy.deepcopy(computer._get_local_mitigations()), imperfections, rows


def results(computer: Any, computation: Any, record: Any, out: dict | None) -> dict:
    """What `execute` of a computer gives, in `out` where there is one. Raises JobFailed."""
    record.result()  # raises where there is none
    _, imperfections, rows = started(computer, computation, record)
    return computer.get_results(computation, imperfections, rows, out)


def whole_of(getter: Any) -> dict | None:
    """All results of an archived job that stands for one of an execution's threads; None for a real one."""
    return getattr(getter, "whole", None)


@cache
def _getter() -> type:
    base = sdk("perceval.runtime.async_getter", "a computer", "perceval").AsyncGetter

    class Getter(base):
        """What an Execution asks for its results, in place of a thread."""

        def __init__(self, record: Any, answer: dict | None, whole: dict | None):
            super().__init__()
            self._answer, self.whole = answer, whole
            self._name = record.id[:12]
            put_status(self._status, record)

        def cancel(self) -> None:
            raise RuntimeError("Job is not waiting or running, cannot cancel it")  # as Perceval's own

        def _get_results(self) -> dict | None:
            return self._answer

        def _update_status(self) -> None:
            pass

        def get_details(self) -> str:
            return f"Archived: {{id: {self._name}, status: {self._status.status.name}}}"

    return Getter

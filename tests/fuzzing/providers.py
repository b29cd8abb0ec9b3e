"""Targets: what each provider makes of a job that a stranger wrote. Its blobs stand in the input, so that links lead somewhere.

An input is a map: `provider`, `job` and `outcome` (records), `backend` (a plain value), `calibration` (a link or None),
`attached` (a plain value or None), and `blobs`, a list of [digest, value].
"""

import warnings
from collections.abc import Callable
from typing import Any

from qarchive import records
from qarchive.calibration import Calibration
from qarchive.errors import NotFound, QArchiveError
from qarchive.outcomes import Points
from qarchive.providers import registry
from qarchive.values import Link

from .reading import decoded
from .sentry import watched

_FAMILIES = {"qiskit": {"aer", "qiskit"}, "ibm": {"ibm", "ibm_local"}, "perceval": {"perceval"}, "pulser": {"pulser"},
             "pasqal": {"pasqal"}}  # fmt: skip


def target_of(family: str) -> Callable[[bytes], None]:
    """The target of a family of providers."""
    return lambda data: _target(decoded(data), _FAMILIES[family])


def _target(case: Any, names: set[str]) -> None:
    """Whatever is asked of the job is answered, or refused with an error of qarchive's own."""
    if type(case) is not dict or type(case.get("blobs")) is not list:
        return
    if type(case.get("provider")) is not str or case["provider"] not in names:
        return
    job, outcome = case.get("job"), case.get("outcome")
    if records.wrong(job) is not None or job["type"] != "job":
        return
    blobs = {pair[0]: pair[1] for pair in case["blobs"] if type(pair) is list and len(pair) == 2 and type(pair[0]) is bytes}

    def get(link: Link) -> Any:
        if type(link) is not Link:
            raise TypeError(f"{link!r} is no link")
        if link.digest not in blobs:
            raise NotFound(f"blob {link}", "the archive")
        return blobs[link.digest]

    provider = registry.named(case["provider"])
    calls: list[str] = []
    with watched(calls), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _ask(provider.load_input, get, job)
        assert all(type(text) is str for text in _ask(provider.text, get, job) or ())
        assert all(type(found) is Points for found in _ask(provider.points, get, job) or ())
        if records.wrong(outcome) is None and outcome["type"] == "outcome" and "result" in outcome:
            _ask(provider.load_result, get, job, outcome)
            assert type(_ask(provider.counts, get, job, outcome, 0)) in (dict, type(None))
            assert type(_ask(provider.data, get, job, outcome)) in (list, type(None))
        if type(case.get("backend")) is dict:
            calibration = case.get("calibration")
            _ask(provider.load_backend, get, job, case["backend"], calibration if type(calibration) is Link else None)
        if type(case.get("calibration")) is Link:
            _ask(lambda: Calibration("run", str(case["calibration"]), None, get).figures)
        if type(case.get("attached")) is dict:
            _ask(provider.load_attachment, get, case["attached"])
    assert not calls, f"code of the archive's was run: {calls}"


def _ask(read: Callable, *args: Any) -> Any:
    try:
        return read(*args)
    except QArchiveError:
        return None

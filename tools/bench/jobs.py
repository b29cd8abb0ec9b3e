"""Jobs without an SDK, for measuring the store by itself: real sizes, random content where real jobs differ."""

import os
import random

from qarchive import records
from qarchive.environment import environment
from qarchive.stage import Stage
from qarchive.store import Store

BACKEND = {"type": "backend", "name": "aer_simulator", "version": "0.18.2", "options": {"method": "automatic", "shots": 1024}}
CONFIG = {"options": {"shots": 1024, "seed_simulator": 42}}


def stage_job(
    store: Store, size: int = 2000, created: int | None = None, done: bool = False, backend: str = "aer_simulator"
) -> Stage:
    """A job with `size` bytes of blobs of its own and 2 records (3 with its outcome), staged but not committed."""
    stage = Stage(store)
    half = size // 2
    input_link = stage.put("input", {"type": "bench", "payload": os.urandom(half)})
    result = stage.put("result", {"type": "bench", "payload": os.urandom(size - half)})
    record = records.job_record(
        provider="aer",
        kind="simulator",
        backend=backend,
        input=input_link,
        config=_known(stage, "config", CONFIG),
        shots=1024,
        size=1,
        names=["bell"],
        labels={"tags": [random.choice(["paper", "test", "vqe"])]},
    )
    if created is not None:
        record["created"] = type(record["created"])(created)
    job = stage.record(record)
    attempt = stage.record(
        records.attempt_record(
            job=job,
            number=1,
            backend=_known(stage, "backend", BACKEND),
            calibration=None,
            gaps=[],
            environment=_known(stage, "environment", environment()),
            local=True,
        )
    )
    if done:
        stage.record(
            records.outcome_record(
                job=job,
                attempt=attempt,
                status="DONE",
                provider_status="DONE",
                provider_job=os.urandom(8).hex(),
                result=result,
                volatile={},
                error=None,
                usage={},
                gaps=[],
            )
        )
    return stage


_links: dict[tuple[int, str], object] = {}


def _known(stage: Stage, kind: str, value: object):
    """A snapshot that stays the same from job to job, remembered as providers remember theirs."""
    link = _links.get((id(stage.store), kind))
    if link is None or not stage.again(link):
        link = _links[(id(stage.store), kind)] = stage.put(kind, value)
    return link

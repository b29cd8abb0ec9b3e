"""Perceval's JobGroup: computations added to a group, which writes its whole file for each. No cloud is asked."""

import os
import time

from orders import serve

_made: dict = {}


def prepare(folder: str) -> None:
    import perceval
    from perceval.providers.quandela.rpc_handler import RPCHandler
    from perceval.runtime.legacy import JobGroup
    from perceval.serialization import serialize

    JobGroup._DIR_PATH = folder
    _made["group"] = JobGroup("many")
    _made["handler"] = RPCHandler("sim:none", "https://localhost", "token")
    experiment = perceval.catalog["postprocessed cnot"].build_experiment()
    experiment.with_input(perceval.BasicState([0, 1, 0, 1]))
    experiment.min_detected_photons_filter(2)
    _made["payload"] = {"command": "sample_count", "experiment": serialize(experiment)}
    _made["version"] = perceval.__version__


def add(number: int) -> float:
    """Seconds that one more computation takes."""
    from perceval.runtime.legacy import RemoteJob

    payload = {**_made["payload"], "max_samples": 1000 + number}
    body = {"platform_name": "sim:none", "pcvl_version": _made["version"], "payload": payload}
    job = RemoteJob(body, _made["handler"], "a job")
    start = time.perf_counter()
    _made["group"].add(job)
    return time.perf_counter() - start


def size() -> int:
    return os.path.getsize(_made["group"]._file_path)


if __name__ == "__main__":
    serve(prepare=prepare, add=add, size=size)

"""Backends as other packages write them: a job that only answers when it is asked, and one that has ended when it is made."""

import threading
import time
import uuid

from qiskit.exceptions import QiskitError
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.providers.basic_provider import BasicSimulator


class _Backend(BackendV2):
    def __init__(self, job):
        super().__init__(name=job.__name__.lower(), backend_version="1")
        self._job = job
        self._target = BasicSimulator().target

    @property
    def target(self):
        return self._target

    @property
    def max_circuits(self):
        return None

    @classmethod
    def _default_options(cls):
        return Options(shots=100, seed_simulator=None)

    def run(self, run_input, **options):
        job = self._job(self, str(uuid.uuid4()), run_input, options)
        job.submit()
        return job


class Polled(JobV1):
    """It runs in a thread of its own, a daemon, which nothing but its status tells about."""

    def __init__(self, backend, job_id, circuits, options):
        super().__init__(backend, job_id)
        self._circuits, self._options, self._result = circuits, options, None
        self._error = None

    def submit(self):
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        time.sleep(0.02)
        try:
            self._result = _simulated(self.backend(), self.job_id(), self._circuits, self._options)
        except QiskitError as error:
            self._error = error

    def result(self):
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    def status(self):
        if self._thread.is_alive():
            return JobStatus.RUNNING
        return JobStatus.DONE if self._error is None else JobStatus.ERROR


class Finished(JobV1):
    """It runs while it is submitted."""

    def __init__(self, backend, job_id, circuits, options):
        super().__init__(backend, job_id)
        self._circuits, self._options = circuits, options

    def submit(self):
        self._result = _simulated(self.backend(), self.job_id(), self._circuits, self._options)

    def result(self):
        return self._result

    def status(self):
        return JobStatus.DONE


def _simulated(backend, job_id, circuits, options):
    result = BasicSimulator().run(circuits, **options).result()
    result.backend_name, result.job_id = backend.name, job_id
    return result


def polled():
    return _Backend(Polled)


def finished():
    return _Backend(Finished)

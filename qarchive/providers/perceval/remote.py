"""Executions in a cloud: what passes an RPC handler, since everything that Perceval sends anywhere does.

A handler's methods are replaced, not the handler: an Analyzer makes itself one of its own, and would leave one of ours behind.
"""

import json
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadInput, NotFound, QArchiveError
from .. import choosing, hooks
from ..base import Follower, Provider
from ..sdk import sdk
from .objects import EXECUTIONS, handler_of, is_a
from .platforms import address, named, ours
from .serialized import check_texts

FINAL = {"completed": "DONE", "error": "ERROR", "canceled": "CANCELLED"}
ON_THE_WAY = {"waiting": "QUEUED", "running": "RUNNING", "suspended": "PAUSED", "cancel_requested": "RUNNING"}
HANDLERS = ("perceval.providers.quandela.rpc_handler.RPCHandler", "perceval.providers.scaleway.scaleway_rpc_handler.RPCHandler",
             "perceval.providers.kipu.kipu_rpc_handler.KipuRPCHandler")  # fmt: skip


@dataclass(eq=False)
class RemoteRun:
    """A job in a cloud as its user's own requests show it: the last answers, and who follows it."""

    handler: Any
    id: str | None = None
    status: dict | None = None  # the service's last answer about its status
    results: dict | None = None  # its answer with the results
    final: dict | None = None  # what the user was given, after conversions
    followers: list[Follower] = field(default_factory=list)
    told: str | None = None  # the last status that followers were told
    over: bool = False
    looked_through: set[str] = field(default_factory=set)  # other platforms' names, of which its user was warned

    @property
    def word(self) -> str:
        """The service's own word for its status."""
        return str((self.status or {}).get("status", ""))


@dataclass(frozen=True)
class Sending:
    """A handler that is about to send a body; `name` is the platform's."""

    handler: Any
    body: dict

    @property
    def name(self) -> Any:
        return getattr(self.handler, "name", None)


class Remote:
    """The replaced methods of a provider, and the jobs that are followed."""

    def __init__(self, provider: Provider):
        self._provider = provider
        self._mutex = threading.RLock()
        self._runs: weakref.WeakValueDictionary[tuple[str, str], RemoteRun] = weakref.WeakValueDictionary()
        self._of_jobs: weakref.WeakKeyDictionary[Any, RemoteRun] = (
            weakref.WeakKeyDictionary()
        )  # by the RemoteJob that is followed
        self._met: set[tuple[str, str]] = set()  # jobs of other processes that were looked up before
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)
        self._whole = threading.local()  # whether results that are read now pass one of Perceval's own methods next

    def _forget(self) -> None:
        """In a forked child: what the parent follows is the parent's."""
        self._mutex = threading.RLock()
        self._runs, self._of_jobs, self._met = weakref.WeakValueDictionary(), weakref.WeakKeyDictionary(), set()

    def replacements(self) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """What everything sent to a cloud passes, to be replaced."""
        for path in HANDLERS:
            module, _, name = path.rpartition(".")
            yield from self.of_handler(getattr(sdk(module, "a platform", "perceval"), name))
        yield sdk("perceval.runtime.legacy", "a job", "perceval").RemoteJob, "_get_results", self._results_of_job
        layers = sdk("perceval.providers.rpc_based_communication_layer", "a platform", "perceval")
        yield layers.RPCBasedCommunicationLayer, "get_results", self._results_of_layer
        for module, name in (("quandela", "QuandelaCommunicationLayer"), ("kipu", "KipuCommunicationLayer"),
                             ("scaleway", "ScalewayCommunicationLayer")):  # fmt: skip
            kind = getattr(sdk(f"perceval.providers.{module}", "a platform", "perceval"), name)
            if "from_rpc" in vars(kind):
                yield kind, "from_rpc", self._from_rpc

    def of_handler(self, kind: type) -> Iterator[tuple[type, str, Callable[[Callable], Callable]]]:
        """The same for one class of handlers, wherever in its family a method stands."""
        methods = {
            "create_job": self._create_job,
            "rerun_job": self._rerun_job,
            "cancel_job": self._cancel_job,
            "get_job_status": self._get_job_status,
            "get_job_results": self._get_job_results,
        }
        for name, replacement in methods.items():
            owner = next((base for base in kind.__mro__ if name in vars(base)), None)
            if owner is not None:
                yield owner, name, replacement

    # Sending

    def _create_job(self, original: Callable) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(handler: Any, cloud_data: dict) -> str:
            recorder = choosing.recorder_of(handler)
            if recorder is None or not recorder.wanted():
                return original(handler, cloud_data)
            run = RemoteRun(handler)

            def send(_: dict) -> RemoteRun:
                run.id = original(handler, cloud_data)
                return run

            return recorder.run(provider, Sending(handler, cloud_data), (), {}, send).id

        return method

    def _rerun_job(self, original: Callable) -> Callable:
        provider = self._provider

        @hooks.passed_over
        def method(handler: Any, job_id: str) -> str:
            recorder = choosing.recorder_of(handler)
            if recorder is None or not recorder.wanted():
                return original(handler, job_id)
            run = RemoteRun(handler)

            def send() -> RemoteRun:
                run.id = original(handler, job_id)
                return run

            return recorder.retry(provider, job_id, Sending(handler, {}), send).id

        return method

    def _cancel_job(self, original: Callable) -> Callable:
        def method(handler: Any, job_id: str) -> Any:
            answer = original(handler, job_id)
            recorder = None if ours.get() else choosing.recorder_of(handler)
            if recorder is not None:
                recorder.event(self._provider, job_id, "cancellation asked for")
            return answer

        return method

    # Following

    def _get_job_status(self, original: Callable) -> Callable:
        @hooks.passed_over
        def method(handler: Any, job_id: str) -> dict:
            answer = original(handler, job_id)
            run = None if ours.get() else self._looked_at(handler, job_id)
            if run is not None and isinstance(answer, dict):
                run.status = answer
                if FINAL.get(run.word, "DONE") != "DONE":
                    self._end(run)
                else:
                    self._tell(run)
            return answer

        return method

    def _get_job_results(self, original: Callable) -> Callable:
        @hooks.passed_over
        def method(handler: Any, job_id: str) -> dict:
            answer = original(handler, job_id)
            run = None if ours.get() else self._looked_at(handler, job_id)
            if run is not None and isinstance(answer, dict):
                run.results = answer
                if not getattr(self._whole, "coming", False):
                    self._end(run)
            return answer

        return method

    def _results_of_job(self, original: Callable) -> Callable:
        @hooks.passed_over
        def method(job: Any) -> Any:
            return self._given(job._rpc_handler, job._id, lambda: original(job))

        return method

    def _results_of_layer(self, original: Callable) -> Callable:
        @hooks.passed_over
        def method(layer: Any, remote_id: str) -> dict:
            return self._given(layer._rpc_handler, remote_id, lambda: original(layer, remote_id))

        return method

    @hooks.passed_over
    def _given(self, handler: Any, job_id: str, read: Callable[[], Any]) -> Any:
        """What Perceval makes of the results of a job for its user; they end it."""
        self._whole.coming = True
        try:
            found = read()
        finally:
            self._whole.coming = False
        run = None if ours.get() else self._known(handler, job_id)
        if run is not None and run.results is not None:
            run.final = found if isinstance(found, dict) else None
            self._end(run)
        return found

    def _from_rpc(self, original: Any) -> Any:
        def method(rpc_handler: Any) -> Any:
            layer = original(rpc_handler)
            recorder = hooks.marked(rpc_handler)
            if recorder is not None:
                hooks.mark(layer._rpc_handler, recorder)
            return layer

        return staticmethod(method)

    def _known(self, handler: Any, job_id: str) -> RemoteRun | None:
        with self._mutex:
            return self._runs.get((address(handler), job_id))

    def _looked_at(self, handler: Any, job_id: str) -> RemoteRun | None:
        """The job that a user looks at, if it is archived and not complete: also one of another process."""
        run = self._known(handler, job_id)
        recorder = choosing.recorder_of(handler)
        if recorder is None or not recorder.wanted():
            return run
        if run is not None:
            _warn_of_another(run, handler)
            return run
        place = (address(handler), job_id)
        with self._mutex:
            first = place not in self._met
            self._met.add(place)
        return self._met_again(recorder, handler, job_id) if first else None

    def _met_again(self, recorder: Any, handler: Any, job_id: str) -> RemoteRun | None:
        """A job that is archived and was not followed here; None for one that is complete, or not archived."""
        try:
            archived = recorder.job(job_id)
            run = RemoteRun(named(handler, archived.backend), job_id)
            run.status = (archived.outcome or {}).get("volatile", {}).get("status")  # of a job that was cancelled, say
            recorder.resume(self._provider, run)
        except NotFound:
            return None
        except QArchiveError as error:
            hooks.warn(f"job {job_id} is not followed: {error}")
            return None
        _warn_of_another(run, handler)
        return self._known(handler, job_id)

    def _tell(self, run: RemoteRun) -> None:
        status = "RUNNING" if run.word == "completed" else ON_THE_WAY.get(run.word)  # DONE once its results are here
        if status is not None and run.word != run.told:
            run.told = run.word
            for follower in list(run.followers):
                follower.status(status, run.word)

    def _end(self, run: RemoteRun) -> None:
        with self._mutex:
            followers, run.followers = run.followers, []
            run.over = True
            self._runs.pop((address(run.handler), run.id), None)
            self._met.discard((address(run.handler), run.id))
        for follower in followers:
            follower.ended()

    # For the provider

    def run_of(self, native: Any) -> RemoteRun:
        """The job behind one of Perceval's objects."""
        if isinstance(native, RemoteRun):
            return native
        with self._mutex:
            run = self._of_jobs.get(native)
            job_id = _id_of(native)
            if run is None or run.id != job_id:  # it may not have been sent the last time
                handler = handler_of(native)
                run = self._of_jobs[native] = self._known(handler, job_id) or RemoteRun(handler, job_id)
        return run

    def follow(self, native: Any, follower: Follower) -> None:
        """Tell a follower how a job goes on, as its user asks for it."""
        run = self.run_of(native)
        with self._mutex:
            run.followers.append(follower)
            self._runs[address(run.handler), run.id] = run
        if native is not run and (results := _results_of(native)) is not None:
            run.final = results
            self._end(run)

    @staticmethod
    def received(run: RemoteRun) -> dict | None:
        """The results of a job as its platform sent them; None where there are none. No network."""
        text = (run.results or {}).get("results")
        if not isinstance(text, str):
            return None
        sent = json.loads(text)
        check_texts(sent)
        found = sdk("perceval.serialization", "a result", "perceval").deserialize(sent, strict=False)
        return found if isinstance(found, dict) else None


def _warn_of_another(run: RemoteRun, handler: Any) -> None:
    ran_on, name = run.handler.name, handler.name
    if name != ran_on and name not in run.looked_through:
        run.looked_through.add(name)
        hooks.warn(f"job {run.id} was sent to {ran_on}, and is looked at through {name}")


def _id_of(native: Any) -> str | None:
    """The cloud's id of a RemoteJob, or of an Execution that is one job; None where it was not sent. Raises BadInput."""
    if not is_a(native, EXECUTIONS):
        return native.id
    ids = [getter._remote_id for getters in native._getters for getter in getters]
    if len(ids) > 1:
        raise BadInput("an Execution", f"it is {len(ids)} jobs of the cloud", "wrap its computer before it runs")
    return ids[0] if ids else None


def _results_of(native: Any) -> dict | None:
    """The results that a RemoteJob or an Execution has read before."""
    if is_a(native, EXECUTIONS):
        native = native._getters[0][0]
    return native._results if isinstance(getattr(native, "_results", None), dict) and native._results else None

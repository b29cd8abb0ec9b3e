"""Which of the SDKs' objects runs a job of a group: what its user gives, what it was prepared with, or what the archive makes."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..clouds import Clients
from ..errors import BadInput
from ..index import Member
from ..library import Library
from ..providers import registry
from ..providers.base import Cloud


class Targets:
    """Devices for jobs, each made once. `prepared` holds what was given to `add` and `map` in this process, by sequence."""

    def __init__(self, library: Library, clients: Clients, prepared: Mapping[tuple[str, int], Any] | None = None):
        self._library, self.clients, self._prepared = library, clients, prepared or {}
        self._made: dict[Any, Any] = {}

    def of(self, member: Member, record: Mapping[str, Any]) -> Any:
        """What `load_call` takes for this job. Raises BadInput, NotFound, MissingExtra."""
        provider = registry.named(record["provider"])
        found = snapshot(self._library, member, record)
        remote = found.get("remote", False)
        target = self._prepared.get((member.author, member.sequence))
        if target is not None:
            owner = registry.owner(target)
            device = owner.device_of(target)
            if device is not None:
                return device
            client = owner.client_of(target) if isinstance(owner, Cloud) else None
            if client is not None and remote:
                name = record["backend"]
                return self._once((id(client), name), lambda: owner.device(client, name))
        if remote:
            name = record["backend"]
            return self._once((provider.name, name), lambda: provider.device(self.client(provider), name))
        return self._rebuilt(provider, record, found)

    def client(self, provider: Cloud) -> Any:
        """The SDK's client for a cloud. Raises BadInput, MissingExtra."""
        return self.clients.of(provider)

    def _rebuilt(self, provider: Any, record: Mapping[str, Any], snapshot: Mapping[str, Any]) -> Any:
        """A simulator as it was when the job was prepared. Raises BadInput for anything else."""
        get = lambda link: self._library._store.value(link.digest)  # noqa: E731
        if "backend" not in snapshot or record["kind"] != "simulator":
            reason = "is no simulator, and cannot be made from the archive"
            raise BadInput(f"the backend {record['backend']}", reason, "give it: `backends=[backend]`")

        def rebuild() -> Any:
            return provider.load_backend(get, record, get(snapshot["backend"]), snapshot.get("calibration"))

        if not provider.rebuilds_alike:
            return rebuild()
        return self._once((provider.name, snapshot["backend"], snapshot.get("calibration"), record["config"]), rebuild)

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def snapshot(library: Library, member: Member, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The backend that a job was prepared for, or first sent to where it was not prepared, as in a job's `prepared`."""
    if "prepared" in record:
        return record["prepared"]
    attempts = (attempt.record for attempt in library._recorder.folded(member.id).attempts)
    first = min((found for found in attempts if found is not None), key=lambda found: found["number"], default=None)
    if first is None:
        return {}
    if first["status"] == "SENDING":
        return {"backend": first["backend"], "remote": True}
    return {name: first[name] for name in ("backend", "calibration") if first.get(name) is not None}


def is_remote(library: Library, member: Member, record: Mapping[str, Any]) -> bool:
    """Whether a job is for a cloud."""
    return bool(snapshot(library, member, record).get("remote", False))


def together(record: Mapping[str, Any]) -> bool:
    """Whether the jobs of the call that prepared this one are sent by one request."""
    provider = registry.named(record["provider"])
    return isinstance(provider, Cloud) and provider.together


def clients_of(client: Any, prepared: Iterable[Any]) -> Clients:
    """The client that a user gives, or what a function of his makes; without one that of what jobs were prepared with here.

    Raises BadInput for what is no client of a cloud.
    """
    if callable(client) and not _is_native(client):
        client = client()
    if client is None:
        given = next((target for target in prepared if _client_in(target) is not None), None)
        return Clients(None if given is None else (registry.owner(given), _client_in(given)))
    found = _client_in(client)
    if found is None:
        raise BadInput(f"a {type(client).__name__}", "is no client of a cloud", "give one, or none")
    return Clients((registry.owner(client), found))


def _client_in(native: Any) -> Any:
    """The client in an SDK's object; None where it runs here."""
    provider = registry.owner(native)
    return provider.client_of(native) if isinstance(provider, Cloud) else None


def _is_native(thing: Any) -> bool:
    try:
        registry.owner(thing)
    except BadInput:
        return False
    return True

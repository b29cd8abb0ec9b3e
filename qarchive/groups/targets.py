"""Which of the SDKs' objects runs a job of a group: what its user gives, what it was prepared with, or what the archive makes."""

from collections.abc import Mapping
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
        target = self._prepared.get((member.author, member.sequence))
        if target is not None:
            owner = registry.owner(target)
            found = owner.device_of(target)
            if found is not None:
                return found
            client = owner.client_of(target) if isinstance(owner, Cloud) else None
            if client is not None and is_remote(record):
                name = record["backend"]
                return self._once((id(client), name), lambda: owner.device(client, name))
        if is_remote(record):
            name = record["backend"]
            return self._once((provider.name, name), lambda: provider.device(self.client(provider), name))
        return self._rebuilt(provider, record)

    def client(self, provider: Cloud) -> Any:
        """The SDK's client for a cloud. Raises BadInput, MissingExtra."""
        return self.clients.of(provider)

    def _rebuilt(self, provider: Any, record: Mapping[str, Any]) -> Any:
        """A simulator as it was when the job was prepared. Raises BadInput for anything else."""
        get = lambda link: self._library._store.value(link.digest)  # noqa: E731
        prepared = record.get("prepared")
        if prepared is None or record["kind"] != "simulator":
            reason = "is no simulator, and cannot be made from the archive"
            raise BadInput(f"the backend {record['backend']}", reason, "give it: `group.run_sequential(backends=[backend])`")

        def rebuild() -> Any:
            return provider.load_backend(get, record, get(prepared["backend"]), prepared.get("calibration"))

        if not provider.rebuilds_alike:
            return rebuild()
        return self._once((provider.name, prepared["backend"], prepared.get("calibration"), record["config"]), rebuild)

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def is_remote(record: Mapping[str, Any]) -> bool:
    """Whether a job was prepared for a cloud."""
    return bool(record.get("prepared", {}).get("remote", False))


def together(record: Mapping[str, Any]) -> bool:
    """Whether the jobs of the call that prepared this one are sent by one request."""
    provider = registry.named(record["provider"])
    return isinstance(provider, Cloud) and provider.together

"""What a group has cost so far, and whether one more job may be started."""

from collections.abc import Iterable

from ..errors import BadInput
from ..library import Library
from ..model import Folded
from ..providers import registry
from ..providers.base import Cloud
from ..values import Link


class Budget:
    """A limit on the sum of what jobs cost, in the unit of their cloud (QPU seconds, credits).

    What a job will cost is not known before: it is taken to be what the dearest one has cost so far, so the first is waited for
    before a second is sent.
    """

    def __init__(self, most: float):
        if not isinstance(most, int | float) or isinstance(most, bool) or not most > 0:
            raise BadInput(f"max_cost={most!r}", "is no cost", "give a number above 0")
        self.most = most
        self.used = 0.0
        self.dearest: float | None = None
        self._seen: set[Link] = set()  # attempts that are counted

    def check(self, provider: Cloud) -> None:
        """Raises BadInput for a cloud that never says what a job costs."""
        if not provider.tells_costs:
            reason = f"the cloud of {provider.name} does not say what a job costs"
            raise BadInput(f"max_cost={self.most:g}", reason, "run without it")

    def count(self, library: Library, jobs: Iterable[bytes]) -> None:
        """Count the ended attempts of jobs, each once; what runs here costs nothing."""
        for job in jobs:
            self.add(library._recorder.folded(job))

    def add(self, folded: Folded) -> None:
        """Count a job's ended attempts. Raises BadInput where one ran in a cloud that does not say what it cost."""
        provider = registry.named(folded.record["provider"])
        for attempt in folded.attempts:
            if attempt.link in self._seen or attempt.outcome is None or (attempt.record or {}).get("status") != "SENDING":
                continue
            self._seen.add(attempt.link)
            cost = provider.cost(attempt.outcome.get("usage", {})) if isinstance(provider, Cloud) else None
            if cost is None and attempt.status == "DONE":
                hint = "run without max_cost"
                raise BadInput(f"job {folded.id.hex()[:12]}", f"the cloud of {provider.name} does not say what it cost", hint)
            self.used += cost or 0.0
            self.dearest = max(self.dearest or 0.0, cost or 0.0) if cost is not None else self.dearest

    def allows(self, under_way: int) -> bool:
        """Whether one more job may be sent while so many are under way."""
        if self.dearest is None:
            return under_way == 0
        return self.used + (under_way + 1) * self.dearest <= self.most

    def __str__(self) -> str:
        more = "" if self.dearest is None else f", and one more job may cost {self.dearest:g}"
        return f"{self.used:g} of max_cost={self.most:g} is used{more}"

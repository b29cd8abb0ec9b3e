"""A provider for qarchive: what Amazon Braket's local simulators run. Nothing here imports Braket before it is needed."""

from typing import Any

from qarchive.providers.sdk import sdk


def braket(module: str, what: str) -> Any:
    """A module of Braket's. Raises MissingExtra, which says that `what` needs it."""
    return sdk(f"braket.{module}", what, "", "amazon-braket-sdk")

"""The devices of an account by name, for jobs that are sent in another process than they were made in."""

import copy
import json
from typing import Any

from ...errors import BadInput, NotFound
from ..sdk import sdk
from .fetching import PLACE, raised, wires
from .wire import Unanswered


def device(service: Any, name: str) -> Any:
    """The IBMBackend of this name, whose jobs are sent through `service` and recorded where that one's are.

    It has all operations that the device has, fractional gates and control flow: which of them a circuit was made with is not
    asked again, and nothing that was accepted once is refused here. Raises NotFound where the account has no such device,
    BadInput where access is refused, NotAnswered.
    """
    runtime = sdk("qiskit_ibm_runtime.exceptions", "a device of IBM's", "ibm")
    missing = sdk("qiskit.providers.exceptions", "a device of IBM's", "ibm").QiskitBackendNotFoundError
    aside = copy.copy(service)  # the SDK remembers which instance it asked last, and sends there: others may be sending now
    aside._backend_configs = {}  # it would take one that was asked for without fractional gates for the whole
    try:
        if not name:  # it would take the first device for one without a name
            raise missing
        backend = aside.backend(name, use_fractional_gates=None)
    except (missing, runtime.IBMError):  # whatever went wrong on the way, the SDK calls it a device that is not there
        raise _why_not(service, name) from None
    backend._service = service
    return backend


def _why_not(service: Any, name: str) -> Exception:
    """What its user is told of a device that the SDK has not found: we ask each instance whether it has it."""
    problem = None
    for wire in wires(service):
        try:
            listed = json.loads(wire.text("/backends", {"include_mocks": "True"})).get("devices") or ()
        except Unanswered as error:
            problem = error
        except (ValueError, AttributeError):
            problem = Unanswered("the list of devices is not the expected one")
        else:
            if any(entry.get("name") == name for entry in listed):
                why = "the account has it, and the SDK makes no backend of it"
                return BadInput(f"the device {name}", why, "try again, or install a newer qiskit-ibm-runtime")
    if problem is not None:
        return raised(problem, "")
    return NotFound(f"the device {name}", PLACE, "it was retired, or belongs to another account or instance")

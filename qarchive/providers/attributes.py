"""Classes of SDKs whose objects are the sum of their attributes <-> lists of plain values."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import MissingExtra
from ..values import Typed
from .sdk import sdk


@dataclass(frozen=True, slots=True)
class Form:
    """How the objects of one class are kept: as a list of the values of `attributes`, in this order.

    Attributes that somebody has added follow as a map. `classes` are the class's (module, name), older ones too; it is made
    again by `make(class, *values)` where its constructor does not just take them, and then the attributes are set, since
    constructors replace what is empty. `derived` are attributes that follow from the others. Metadata that cannot be stored is
    an empty map where there are gaps.
    """

    tag: str
    classes: tuple[tuple[str, str], ...]
    attributes: tuple[str, ...]
    make: Callable[..., Any] | None = None
    derived: tuple[str, ...] = ()
    extra: str = "aer"

    def encode(self, value: Any, part: Any) -> Typed:
        plain = []
        for name in self.attributes:
            known = name.lstrip("_")
            item = getattr(value, name)
            plain.append(part.spare(item, known, {}) if known == "metadata" else part(item, known))
        held = getattr(value, "__dict__", None)
        if held:
            added = {name: item for name, item in held.items() if name not in self.attributes and name not in self.derived}
            if added:
                plain.append(part(added, "attributes"))
        return Typed(self.tag, plain)

    def decode(self, parts: list, whole: Callable) -> Any:
        count = len(self.attributes)
        values = [whole(item) for item in parts[:count]]
        kind = _kind(self)
        made = kind(*values) if self.make is None else self.make(kind, *values)
        for name, item in zip(self.attributes, values, strict=True):
            object.__setattr__(made, name, item)
        for added in parts[count:]:
            for name, item in whole(added).items():
                if name.startswith("__"):
                    raise ValueError(f"an attribute {name!r}")
                object.__setattr__(made, name, item)
        return made


@cache
def _kind(form: Form) -> type:
    """The class, from the first place where the installed version has it. Raises MissingExtra."""
    *newer, last = form.classes
    for module, name in newer:
        try:
            return getattr(sdk(module, form.tag, form.extra), name)
        except (MissingExtra, AttributeError):
            continue
    return getattr(sdk(last[0], form.tag, form.extra), last[1])


def tables(forms: list[Form]) -> tuple[dict[tuple[str, str], Callable], dict[str, Callable]]:
    """(encoders by class, decoders by tag) of some forms."""
    encoders = {names: form.encode for form in forms for names in form.classes}
    return encoders, {form.tag: form.decode for form in forms}

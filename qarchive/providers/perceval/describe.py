"""Circuits and experiments of Perceval in words: what stands on which modes, for people."""

from collections.abc import Iterator
from typing import Any

_MOST_LINES, _MOST_CHARACTERS, _MOST_NESTED = 200, 160, 20


def describe(value: Any) -> str:
    """Lines about a circuit, an experiment or a component: its components in order, and input, heralds, detectors, selection.

    The same object gives the same text in every process. It is at most about 200 lines of 160 characters. Never raises.
    """
    lines = []
    try:
        for line in _lines(value, 0):
            if len(lines) == _MOST_LINES:
                lines.append("... and more")
                break
            lines.append(line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 3] + "...")
    except Exception as error:
        lines.append(f"... not described further: {type(error).__name__}")
    return "\n".join(lines)


def _lines(value, depth: int) -> Iterator[str]:
    kind = type(value).__name__
    if hasattr(value, "input_state") and hasattr(value, "_components"):
        yield from _experiment(value, depth)
    elif hasattr(value, "_components"):
        yield f"{'  ' * depth}{_title(value)}, {value.m} mode{'s' if value.m != 1 else ''}"
        yield from _inside(value._components, depth + 1)
    elif hasattr(value, "m"):
        yield "  " * depth + _component(value)
    else:
        yield f"{'  ' * depth}a {kind}"


def _experiment(value, depth) -> Iterator[str]:
    space = "  " * depth
    yield f"{space}{_title(value)}, {value.circuit_size} modes"
    if value.input_state is not None:
        yield f"{space}  input {_state(value.input_state)}"
    for side, ports in (("input", value._in_ports), ("output", value._out_ports)):
        for port, modes in sorted(ports.items(), key=lambda pair: pair[1][0]):
            yield f"{space}  {side} {_modes(modes)}: {_port(port)}"
    yield from _inside(value._components, depth + 1)
    for mode, detector in enumerate(value.detectors):
        if detector is not None:
            yield f"{space}  detector on mode {mode}: {_component(detector)}"
    if value.min_photons_filter is not None:
        yield f"{space}  at least {value.min_photons_filter} detected photons"
    if value.post_select_fn is not None and value.post_select_fn.has_condition:
        yield f"{space}  post-selected: {value.post_select_fn}"
    if value.noise is not None:
        yield f"{space}  noise {value.noise}"


def _inside(components, depth) -> Iterator[str]:
    for modes, component in components:
        place = f"{'  ' * depth}{_modes(modes)}: "
        if component is None:
            continue
        if hasattr(component, "_components") and depth < _MOST_NESTED:
            yield place + _title(component)
            yield from _inside(component._components, depth + 1)
            continue
        yield place + _component(component)
        if depth < _MOST_NESTED:
            yield from _choices(component, depth + 1)


def _choices(component, depth) -> Iterator[str]:
    """What a feed-forward component chooses from."""
    space = "  " * depth
    if type(component).__name__ == "FFConfigurator":
        yield from _lines(component._controlled, depth)
        yield f"{space}by default {component._default_config}"
        for state, config in sorted(component._configs.items(), key=lambda pair: str(pair[0])):
            yield f"{space}{state}: {config}"
    elif type(component).__name__ == "FFCircuitProvider":
        yield f"{space}by default"
        yield from _lines(component.default_circuit, depth + 1)
        for state, choice in sorted(component._map.items(), key=lambda pair: str(pair[0])):
            yield f"{space}{state}"
            yield from _lines(choice, depth + 1)


def _component(component) -> str:
    kind = type(component).__name__
    found = [f"{name}={_value(parameter)}" for name, parameter in getattr(component, "_params", {}).items() if _told(parameter)]
    if kind == "BS":
        kind = f"BS.{component.convention.name}"
    elif kind == "PERM":
        found.append(str(list(component.perm_vector)))
    elif kind == "Unitary":
        found.append(f"{component.m} modes" + (", polarization" if component._supports_polarization else ""))
    elif kind in ("Herald", "Port"):
        return _port(component)
    elif kind == "Detector":
        for name, attribute in (("wires", "_wires"), ("at most", "_max"), ("efficiency", "_wire_efficiency")):
            number = getattr(component, attribute)
            if number is not None and (name != "efficiency" or number != 1):
                found.append(f"{name} {number}")
    elif kind == "BSLayeredPPNR":
        found += [f"layers {component._layers}", f"reflectivity {component._r}"]
    elif kind.startswith("FF"):
        found = [f"offset {component._offset}"]
    name = getattr(component, "name", None)
    known = (None, "", type(component).__name__, getattr(component, "DEFAULT_NAME", None), kind)
    return f"{kind}({', '.join(found)})" + (f" {name!r}" if name not in known else "")


def _told(parameter) -> bool:
    return parameter.is_variable or float(parameter) != 0


def _value(parameter) -> str:
    if parameter.is_variable:
        return f"{parameter.name}={float(parameter)!r}" if parameter.defined and not parameter._is_expression else parameter.name
    return repr(float(parameter))


def _port(port) -> str:
    if type(port).__name__ == "Herald":  # names that Perceval has counted up may differ in a copy
        return f"herald {port.expected}" + (f" {port.user_given_name!r}" if port.user_given_name else "")
    return f"port {port.name!r} {port.encoding.name}"


def _state(state) -> str:
    if type(state).__name__ == "SVDistribution":
        return f"a mixture of {len(state)} state vectors"
    return str(state)


def _title(value) -> str:
    kind, name = type(value).__name__, getattr(value, "name", None)
    return f"{kind} {name!r}" if name and name not in (kind, "CPLX") else kind


def _modes(modes) -> str:
    modes = [modes] if type(modes) is int else list(modes)
    if len(modes) > 2 and modes == list(range(modes[0], modes[0] + len(modes))):
        return f"modes {modes[0]}-{modes[-1]}"
    return f"mode{'s' if len(modes) > 1 else ''} {', '.join(map(str, modes))}"

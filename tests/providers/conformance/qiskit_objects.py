"""Qiskit's backends and primitives in the suite: how their inputs and results are compared, and circuits to run."""

from .comparing import same
from .suite import Conformance


class QiskitConformance(Conformance):
    """What backends of Qiskit have in common: circuits go in, and a Result comes out."""

    provider = "qiskit"
    blocked = ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "numpy", "scipy", "rustworkx")

    def same_input(self, one, other):
        assert one == other
        listed = [item if isinstance(item, list) else [item] for item in (one, other)]
        names, others = ([(circuit.name, circuit.metadata) for circuit in circuits] for circuits in listed)
        assert names == others

    def same_result(self, one, other):
        if isinstance(one, dict):
            same(one, other)
        else:
            assert type(one) is type(other)
            same(one.to_dict(), other.to_dict())

    def without_volatile(self, result):
        return strip(result.to_dict())

    def with_secret(self, args, secret):
        return (bell("bell", token="hunter22", note=f"uses {secret}"),)

    def other_input(self):
        _, args, kwargs = self.calls()[0]
        return (bell(flipped=True), *args[1:]), kwargs

    def other_options(self):
        _, args, kwargs = self.calls()[0]
        return {"number of shots": (args, {**kwargs, "shots": 61}), "seed": (args, {**kwargs, "seed_simulator": 61})}

    def counts_of(self, result):
        return [dict(result.get_counts(place)) if hasattr(each.data, "counts") else None
                for place, each in enumerate(result.results)]  # fmt: skip

    def words_of(self, asked):
        return [gates(circuit) for circuit in (asked if isinstance(asked, list) else [asked])]


def gates(circuit):
    """What must stand in the text of a circuit."""
    return {"if (" if item.operation.name == "if_else" else item.operation.name for item in circuit.data}


def bell(name="bell", flipped=False, **metadata):
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(2, 2, name=name, metadata=metadata)
    if flipped:
        circuit.x(0)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def settled(device):
    """A fake device of Qiskit's or IBM's as it is after its first run: with a simulator, and its noise among its options.

    That of all its gates takes a second to make, and more than a run to copy, which the primitives do at each run; here it is
    the noise of two gates.
    """
    from qiskit_aer import AerSimulator
    from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

    noise = NoiseModel(basis_gates=device.operation_names)
    noise.add_quantum_error(depolarizing_error(0.01, 1), "sx", [0])
    noise.add_quantum_error(depolarizing_error(0.05, 2), "cx", [0, 1])
    noise.add_readout_error(ReadoutError([[0.98, 0.02], [0.04, 0.96]]), [0])
    held = "sim" if hasattr(device, "sim") else "_sim"
    assert getattr(device, held) is None
    setattr(device, held, AerSimulator(noise_model=noise))
    device.set_options(noise_model=noise)
    return device


class PrimitiveConformance(QiskitConformance):
    """What samplers and estimators of version 2 have in common: PUBs go in, and a PrimitiveResult comes out."""

    unknowing = "it does not know its circuits; wrap the primitive before it runs"
    default_shots = None  # of the target, where neither the call nor the PUB says a number

    def coerced(self, pubs):
        """PUB-likes as the SDK's own PUBs."""
        raise NotImplementedError

    def same_input(self, one, other):
        for a, b in zip(self.coerced(one), self.coerced(other), strict=True):
            assert (type(a), a.shape) == (type(b), b.shape)
            assert (a.circuit, a.circuit.name, a.circuit.metadata) == (b.circuit, b.circuit.name, b.circuit.metadata)
            same({**a.parameter_values.data}, {**b.parameter_values.data})
            for name in ("shots", "precision"):
                assert getattr(a, name, None) == getattr(b, name, None)
            if hasattr(a, "observables"):
                assert a.observables.tolist() == b.observables.tolist()

    def same_result(self, one, other):
        same(unfolded(one), unfolded(other))

    def without_volatile(self, result):
        return strip(unfolded(result))

    def other_options(self):
        _, args, kwargs = self.calls()[0]
        return {name: (args, {**kwargs, name: 2 * value}) for name, value in kwargs.items()}

    def counts_of(self, result):
        return [each["counts"] if "counts" in each else None for each in self.data_of(result)]

    def data_of(self, result):
        found = [{name: _shown(item) for name, item in each.data.items()} for each in result]
        for shown, each in zip(found, result, strict=True):
            if all(isinstance(item, dict) for item in shown.values()):
                shown["counts"] = each.join_data().get_counts()
        return found

    def shots_of(self, args, kwargs):
        shots = {getattr(pub, "shots", None) or kwargs.get("shots", self.default_shots) for pub in self.coerced(args[0])}
        return shots.pop() if len(shots) == 1 else None

    def words_of(self, asked):
        return [gates(pub.circuit) for pub in self.coerced(asked)]

    def with_secret(self, args, secret):
        circuit, *rest = args[0][0]
        circuit = circuit.copy()
        circuit.metadata = {"token": "hunter22", "note": f"uses {secret}"}
        return ([(circuit, *rest)],)


VOLATILE = {"date", "job_id", "time_taken", "time_taken_execute", "time_taken_parameter_binding", "sample_measure_time"}


def _shown(value):
    """Bits of one set of parameter values as counts, of several as an array; other values as they are."""
    if type(value).__name__ != "BitArray":
        return value
    return value.array if value.shape else value.get_counts()


def unfolded(value):
    """A result of a primitive as dicts and lists, for comparing; what is neither stays as it is."""
    kind = type(value).__name__
    if kind == "PrimitiveResult":
        return {"kind": type(value), "results": [unfolded(result) for result in value], "metadata": value.metadata}
    if kind in ("PubResult", "SamplerPubResult"):
        return {"kind": type(value), "data": unfolded(value.data), "metadata": value.metadata}
    if kind == "DataBin":
        fields = [[name, unfolded(item)] for name, item in value.items()]
        return {"kind": type(value), "shape": value.shape, "fields": fields}
    if kind == "BitArray":
        return {"kind": type(value), "bits": value.num_bits, "array": value.array}
    if kind in ("SamplerResult", "EstimatorResult"):
        return {"kind": type(value), **vars(value)}
    return value


def strip(value):
    """A copy of `Result.to_dict()` without what differs between equal runs."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in VOLATILE}
    return [strip(item) for item in value] if type(value) is list else value

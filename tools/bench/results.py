"""Results to bytes and back, side by side with the ways there are: IBM's RuntimeEncoder, and JSON.gz.

Ours is what a pack takes: canonical bytes, their SHA-256 and zstd, long arrays in pieces; and back, checked, to the SDK's own
object. Each turn begins with a result as fresh as a simulator leaves it: texts of which nobody has asked for the hash.
"""

import gzip
import hashlib
import json
import math
import pickle
import random
import time
import warnings

import zstandard
from table import Row

from qarchive import codec, pack
from qarchive.providers.qiskit.results import pack_result, unpack_result
from qarchive.providers.qiskit.values import from_plain, to_plain
from qarchive.values import Link

CIRCUITS, QUBITS, SHOTS, TURNS = 100, 12, 10_000, 7


def rows(options):
    warnings.simplefilter("ignore")  # what the SDKs say about themselves
    yield f"Results to bytes and back, best of {TURNS}: {CIRCUITS} circuits of {QUBITS} qubits, {SHOTS:,} shots; MB plain"
    for name, result in (
        ("Aer, memory", _run(memory=True)),
        ("Aer, counts", _run(memory=False)),
        ("Aer, a state of 20 qubits", _state(turned=True)),
        ("Aer, a real state of 20 qubits", _state(turned=False)),
        ("a sampler's PUBs", _sampled()),
        ("an estimator's PUBs, 20 values each", _estimated()),
    ):
        size = sum(map(len, _plain(result)))
        measured = _measure(pickle.dumps(result))
        ours = measured.pop("qarchive")
        for place, what in enumerate(("to bytes", "back", "bytes")):
            way, theirs = min(measured.items(), key=lambda item, place=place: item[1][place])
            if what == "bytes":
                yield Row(f"{name}: bytes", ours[place] / 1000, "kB", way, theirs[place] / 1000, most=1)
            else:
                yield Row(f"{name}: {what}", size / ours[place] / 1e6, "MB/s", way, size / theirs[place] / 1e6, least=1)


def _measure(fresh: bytes) -> dict[str, tuple[float, float, int]]:
    """(seconds to encode, seconds to decode, bytes) of each way, in turns."""
    best = dict.fromkeys(_WAYS, (math.inf, math.inf, 0))
    for _ in range(TURNS):
        for way, (encode, decode, count) in _WAYS.items():
            result = pickle.loads(fresh)  # noqa: S301  our own
            start = time.perf_counter()
            encoded = encode(result)
            middle = time.perf_counter()
            decoded = decode(encoded)
            end = time.perf_counter()
            del decoded
            best[way] = (min(best[way][0], middle - start), min(best[way][1], end - middle), count(encoded))
    return best


def _is_aer(result) -> bool:
    return hasattr(result, "results")


_compressor = zstandard.ZstdCompressor(level=pack.LEVEL, write_checksum=True, write_content_size=True)


def _ours(result) -> dict[bytes, bytes]:
    blobs: dict[bytes, bytes] = {}

    def put(data: bytes) -> Link:
        digest = codec.digest(data)
        blobs[digest] = _compressor.compress(data)
        return Link(digest)

    for value in pack_result(result) if _is_aer(result) else (to_plain(result),):
        put(codec.encode(value, put))
    return blobs


def _our_result(blobs: dict[bytes, bytes]):
    def get(digest: bytes) -> bytes:
        data = zstandard.ZstdDecompressor().decompress(blobs[digest])
        if hashlib.sha256(data).digest() != digest:
            raise ValueError
        return data

    roots = list(blobs)[-2:]
    values = [codec.decode(get(digest), lambda link: get(link.digest)) for digest in roots]
    return unpack_result(*values) if type(values[-1]) is dict else from_plain(values[-1])


def _json(result) -> bytes:
    from qiskit_ibm_runtime import RuntimeEncoder

    return json.dumps(result, cls=RuntimeEncoder).encode()


def _from_json(encoded: bytes):
    from qiskit_ibm_runtime import RuntimeDecoder

    return json.loads(encoded, cls=RuntimeDecoder)


def _gzipped(result) -> bytes:
    return gzip.compress(_json(result.to_dict() if _is_aer(result) else result), 6)


def _from_gzipped(encoded: bytes):
    from qiskit.result import Result

    found = _from_json(gzip.decompress(encoded))
    return Result.from_dict(found) if type(found) is dict else found


_WAYS = {
    "qarchive": (_ours, _our_result, lambda blobs: sum(map(len, blobs.values()))),
    "RuntimeEncoder": (_json, _from_json, len),
    "JSON.gz": (_gzipped, _from_gzipped, len),
}


def _plain(result) -> list[bytes]:
    pieces = []

    def spill(piece: bytes) -> Link:
        pieces.append(piece)
        return Link(bytes(32))

    return [codec.encode(to_plain(result.to_dict() if _is_aer(result) else result), spill), *pieces]


# What is measured


def _circuit(seed, qubits=QUBITS, turned=True):
    """Two layers of random rotations: some thousand states of twelve qubits in 10,000 shots."""
    from qiskit import QuantumCircuit

    rng = random.Random(seed)
    circuit = QuantumCircuit(qubits)
    for _ in range(2):
        for qubit in range(qubits):
            circuit.ry(3 * rng.random(), qubit)
            if turned:
                circuit.rz(3 * rng.random(), qubit)
        for qubit in range(qubits - 1):
            circuit.cx(qubit, qubit + 1)
    return circuit


def _measured(seed):
    circuit = _circuit(seed)
    circuit.measure_all()
    return circuit


def _run(memory):
    from qiskit_aer import AerSimulator

    circuits = [_measured(seed) for seed in range(CIRCUITS)]
    return AerSimulator().run(circuits, shots=SHOTS, memory=memory, seed_simulator=1).result()


def _state(turned):
    from qiskit_aer import AerSimulator

    circuit = _circuit(5, 20, turned)
    circuit.save_statevector()
    return AerSimulator(method="statevector").run(circuit).result()


def _sampled():
    from qiskit.primitives import BackendSamplerV2
    from qiskit_aer import AerSimulator

    sampler = BackendSamplerV2(backend=AerSimulator(seed_simulator=1))
    return sampler.run([_measured(seed) for seed in range(CIRCUITS)], shots=SHOTS).result()


def _estimated():
    from qiskit.primitives import StatevectorEstimator

    paulis = ["".join(random.Random(seed).choices("IXYZ", k=6)) for seed in range(20)]
    return (
        StatevectorEstimator(default_precision=0.01, seed=1)
        .run([(_circuit(seed, 6), paulis) for seed in range(CIRCUITS)])
        .result()
    )

"""The values that a blob can hold beside Python's own: times, links, arrays, typed values, long byte strings.

`spec/format.md`, "Values", says what they mean, and `codec` how they are written.
"""

import math
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import time_ns

from .errors import NotEncodable

_AGO = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
CHUNK = 1 << 20  # a byte string beyond this is kept in pieces of this size, each a blob of its own

ITEM_SIZES = {"|b1": 1, "|i1": 1, "|u1": 1, "<i2": 2, "<u2": 2, "<i4": 4, "<u4": 4, "<i8": 8, "<u8": 8,
              "<f2": 2, "<f4": 4, "<f8": 8, "<c8": 8, "<c16": 16}  # fmt: skip
STRUCT_CODES = {"|b1": "?", "|i1": "b", "|u1": "B", "<i2": "h", "<u2": "H", "<i4": "i", "<u4": "I", "<i8": "q", "<u8": "Q",
                "<f2": "e", "<f4": "f", "<f8": "d", "<c8": "f", "<c16": "d"}  # fmt: skip

# The closed registry of type tags: what may be written. `spec/format.md` says what each one holds.
TAGS = frozenset(
    """
    counts memory redacted
    numpy.scalar numpy.array numpy.objects scipy.sparse datetime date timedelta slice range frozenset
    aer.Statevector aer.DensityMatrix aer.Operator aer.SuperOp aer.StabilizerState aer.AerStatevector aer.AerDensityMatrix
    aer.PauliLindbladError aer.QuantumError aer.ReadoutError aer.NoiseModel aer.instruction
    qiskit.Clifford qiskit.Pauli qiskit.PauliList qiskit.SparsePauliOp qiskit.SparseObservable qiskit.PauliLindbladMap
    qiskit.QubitSparsePauli qiskit.QubitSparsePauliList qiskit.PhasedQubitSparsePauli qiskit.PhasedQubitSparsePauliList
    qiskit.Statevector qiskit.DensityMatrix qiskit.StabilizerState qiskit.Operator qiskit.ScalarOp
    qiskit.SuperOp qiskit.Kraus qiskit.Stinespring qiskit.Choi qiskit.Chi qiskit.PTM
    qiskit.Counts qiskit.ProbDistribution qiskit.QuasiDistribution qiskit.MeasLevel qiskit.MeasReturnType qiskit.JobStatus
    qiskit.Result qiskit.PrimitiveResult qiskit.PubResult qiskit.SamplerPubResult qiskit.DataBin qiskit.BitArray
    qiskit.SamplerResult qiskit.EstimatorResult qiskit.BindingsArray qiskit.ObservablesArray qiskit.SamplerPub qiskit.EstimatorPub
    qiskit.QuantumCircuit qiskit.Operation qiskit.CouplingMap qiskit.instruction
    qiskit.Parameter qiskit.ParameterVector qiskit.ParameterVectorElement qiskit.ParameterExpression
    ibm.EstimatorPubResult ibm.RunnerResult ibm.CalibratorResult ibm.Unset
    ibm.ExecutionSpans ibm.SliceSpan ibm.DoubleSliceSpan ibm.TwirledSliceSpan ibm.TwirledSliceSpanV2
    ibm.NoiseLearnerResult ibm.LayerError ibm.PauliLindbladError ibm.NoiseLearnerV3Results ibm.NoiseLearnerV3Result
    ibm.QuantumProgram ibm.QuantumProgramResult ibm.QuantumProgramItemResult ibm.Metadata ibm.ItemMetadata
    ibm.SchedulerTiming ibm.StretchValues
    samplomatic.QuantumProgram samplomatic.QuantumProgramResult samplomatic.QuantumProgramItemResult
    samplomatic.CircuitItem samplomatic.SamplexItem samplomatic.Samplex
    samplomatic.ChunkTiming samplomatic.ChunkSpan samplomatic.ChunkPart
    perceval.FockState perceval.NoisyFockState perceval.AnnotatedFockState perceval.Annotation perceval.LogicalState
    perceval.BSCount perceval.BSSamples perceval.BSDistribution perceval.StateVector perceval.SVDistribution
    perceval.DensityMatrix perceval.Matrix perceval.SymbolicMatrix perceval.NoiseModel perceval.Source
    perceval.Parameter perceval.Expression perceval.PostSelect perceval.serialized
    perceval.Command perceval.Computation perceval.ComputationIterator perceval.PlatformSpecs perceval.mitigation perceval.enum
    counter qutip.Qobj pulser.QutipState pulser.QutipOperator pulser.StateRepr pulser.OperatorRepr pulser.AbstractArray
    pulser.NoiseModel pulser.Solver pulser.AggregationMethod
    pulser.StateResult pulser.BitStrings pulser.Fidelity pulser.Expectation pulser.CorrelationMatrix pulser.Occupation
    pulser.Energy pulser.EnergyVariance pulser.EnergySecondMoment
    """.split()
)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A moment: `ns` nanoseconds since 1970-01-01 UTC, a signed 64-bit integer."""

    ns: int

    @classmethod
    def now(cls) -> "Timestamp":
        return cls(time_ns())

    @classmethod
    def of(cls, moment: datetime) -> "Timestamp":
        """From an aware datetime; a naive one raises ValueError, since its zone would be a guess."""
        if moment.tzinfo is None:
            raise ValueError("a time without a zone")
        delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return cls((delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1000)

    @property
    def datetime(self) -> datetime:
        """As an aware datetime in UTC, to the microsecond."""
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.ns // 1000)

    def __str__(self) -> str:
        seconds, ns = divmod(self.ns, 1_000_000_000)
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """A reference to another blob by its digest, 32 bytes."""

    digest: bytes

    def __str__(self) -> str:
        return self.digest.hex()


@dataclass(frozen=True, slots=True)
class Typed:
    """A value with a tag from the closed registry, which says how a provider module reads it."""

    tag: str
    value: object


@dataclass(frozen=True, slots=True)
class Chunked:
    """A long byte string kept in other blobs: its length in bytes and links to pieces of 1 MiB, in order."""

    length: int
    links: tuple[Link, ...]

    __hash__ = None  # no item of a set and no key: it is another value once its chunks are read


@dataclass(frozen=True, slots=True)
class Array:
    """An n-dimensional array: numpy's dtype string, its shape, and its bytes in C order, little-endian.

    `data` is a view of the original where a copy would double the memory, and `Chunked` when it was not fetched.
    """

    dtype: str
    shape: tuple[int, ...]
    data: bytes | bytearray | memoryview | Chunked

    @classmethod
    def of(cls, array) -> "Array":
        """From a numpy array or scalar. Raises NotEncodable for dtypes outside the list (objects, text, dates)."""
        dtype = array.dtype.newbyteorder("<") if array.dtype.byteorder == ">" else array.dtype
        if dtype.str not in ITEM_SIZES:
            raise NotEncodable(f"an array of dtype {array.dtype}")
        array = array.astype(dtype, order="C", copy=False)
        data = array.tobytes() if array.nbytes <= CHUNK else memoryview(array.reshape(-1).view("|u1"))
        return cls(dtype.str, tuple(array.shape), data)

    def numpy(self):
        """A writable numpy array; what was read from chunks is not copied again."""
        import numpy

        data = self.data if type(self.data) is bytearray else bytearray(self.data)
        return numpy.frombuffer(data, dtype=self.dtype).reshape(self.shape)

    def __array__(self, dtype=None, copy=None):
        """What numpy takes it for: its items, not an object."""
        if copy is False:
            raise ValueError("the items of an array are copied for numpy")
        return self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)

    def flat(self) -> list:
        """All items in C order as Python numbers, without numpy."""
        items = memoryview(self.data).cast("B")
        code = STRUCT_CODES[self.dtype]
        numbers = list(struct.unpack(f"<{len(items) // struct.calcsize('<' + code)}{code}", items))
        return [complex(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)] if "c" in self.dtype else numbers

    def tolist(self):
        """Nested lists of Python numbers, or one number for a shape of ()."""
        items = self.flat()
        if not self.shape:
            return items[0]
        for axis in range(len(self.shape) - 1, 0, -1):
            width = self.shape[axis]
            items = [items[i * width : (i + 1) * width] for i in range(math.prod(self.shape[:axis]))]
        return items


def moment(text: str) -> datetime:
    """The time that a text says: ISO 8601, UTC unless it says otherwise, or so long ago (90m, 24h, 7d, 2w). Raises ValueError."""
    if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text, re.ASCII):
        return datetime.now(UTC) - timedelta(**{_AGO[ago[2]]: int(ago[1])})
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)

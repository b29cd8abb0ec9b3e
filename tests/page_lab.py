"""An archive to be looked at: jobs of every sort that pages show, names that would be markup; and pages taken apart."""

from html.parser import HTMLParser
from pathlib import Path

import qiskit
from qiskit.primitives import StatevectorEstimator
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator

import qarchive
from qarchive.job import Job

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;"  # what a name may hold
OBEYED = "\x1b[31m\u202eevil\x00"  # what is escaped when it is kept
DAYS = 3  # on which the device was calibrated
TAG = f"{EVIL[:25]} tag"
VOID = {"meta", "link", "input", "br", "wbr"}
MAY_RUN = {"script", "iframe", "object", "embed", "base", "form", "img"}


def bell(name: str = "bell") -> qiskit.QuantumCircuit:
    circuit = qiskit.QuantumCircuit(2, 2, name=name)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def fill(folder: Path) -> qarchive.Archive:
    """A new archive: three jobs of a group on a device of three days, another on the last day, two circuits, a value, a failure,
    hostile names."""
    archive = qarchive.open(folder)
    for day in range(DAYS):
        device = GenericBackendV2(5, coupling_map=[[0, 1], [1, 2], [1, 3], [3, 4]], seed=day, noise_info=True)
        compiled = qiskit.transpile(bell(f"day {day}"), device, initial_layout=[0, 1], seed_transpiler=1)
        with archive.context(group="days", tags=["paper"], params={"day": day}):
            archive.wrap(device).run(compiled, shots=200).result()
    archive.wrap(device).run(compiled.copy("the same day"), shots=200).result()
    simulator = archive.wrap(AerSimulator(max_parallel_threads=1, seed_simulator=1))
    simulator.run([bell("first"), bell("second")], shots=100).result()
    estimator = archive.wrap(StatevectorEstimator(seed=1))
    plain = bell("energy").remove_final_measurements(inplace=False)
    estimator.run([(plain, [SparsePauliOp("ZZ"), SparsePauliOp("XX")])], precision=0.1).result()
    large = qiskit.QuantumCircuit(30, name="too large")
    large.h(range(30))
    large.t(range(30))
    large.measure_all()
    strict = archive.wrap(AerSimulator(method="statevector", max_memory_mb=64, max_parallel_threads=1))
    strict.run(large, shots=10).result()
    with archive.context(group=EVIL, tags=[TAG], params={EVIL: EVIL}):
        simulator.run(bell(EVIL + OBEYED), shots=50).result()
    archive.flush()
    return archive


def hostile(archive: qarchive.Archive) -> Job:
    """The job whose names would be markup."""
    return archive.job("latest")


class Page(HTMLParser):
    """A page as a browser takes it apart: tags with their attributes, texts by the tag around them, whether it is well nested."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.open, self.texts = text, [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def said(self, *tags):
        """The text of these elements, or of all that is seen."""
        return " ".join(text for tag, text in self.texts if (tag in tags if tags else tag not in ("style", "title")))

    def all(self, tag):
        return [attributes for each, attributes in self.tags if each == tag]

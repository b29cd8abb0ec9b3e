"""The page of a comparison shows what differs in numbers, and what came out of both jobs side by side."""

import pytest
import qiskit
from page_lab import Page, bell, fill
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, depolarizing_error

import qarchive
from qarchive.comparing import jobs as comparing
from qarchive.report import comparison
from qarchive.report.page import Links, document
from qarchive.report.words import Reader


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("lab") / "lab") as archive:
        yield archive


def page_of(one, other):
    read = Reader()
    page = Page(document("two", comparison.body(comparing.diff(one, other), read, Links())))
    assert read.problems == []
    return page


def named(archive, name):
    return next(job for job in archive.jobs() if name in job.row.names)


def of_noise(error):
    model = NoiseModel()
    model.add_quantum_error(depolarizing_error(error, 2), ["cx"], [0, 1])
    return model


def test_counts_of_both_stand_side_by_side(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        simulator = archive.wrap(AerSimulator(max_parallel_threads=1))
        for seed in (1, 2):
            simulator.run(bell(), shots=200, seed_simulator=seed).result()
        other, one = archive.jobs()
        page, found = page_of(one, other), comparing.diff(one, other).result
        shares = [job.counts(0)["00"] / 200 for job in (one, other)]
    assert found.verdict == "same" and shares[0] != shares[1]
    assert f"Result: no difference found at level 0.01 (p = {found.circuits[0].tests['counts'].p:.3g})" in page.said("h2")
    cells = [text for tag, text in page.texts if tag == "td"]
    assert "no difference found" in cells and "same" not in cells
    assert "A and B: counts" in page.said("figcaption") and f"B {other.id[:12]} less A {one.id[:12]}" in page.said("text")
    assert {f"{share:.4g}" for share in shares} <= set(cells)


def test_changes_of_medians_and_of_places_are_said_in_one_way(lab):
    cells = [text for tag, text in page_of(named(lab, "day 1"), named(lab, "day 2")).texts if tag == "td"]
    changes = [text for text in cells if text.endswith("%")]
    assert changes and all(text.endswith(" %") for text in changes)


def test_values_stand_side_by_side_with_their_errors(lab):
    job = named(lab, "energy")
    page = page_of(job, job)
    assert "A and B: evs" in page.said("figcaption") and "Result: equal" in page.said("h2")
    assert f"{job.data()[0]['stds'].flat()[0]:.2g}" in page.said("td")


def test_circuits_that_differ_most_are_drawn_first(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        simulator = archive.wrap(AerSimulator(seed_simulator=1))
        flipped = bell()
        flipped.x(0)
        flipped.measure(0, 0)
        for last in (bell(), flipped):
            simulator.run([*[bell() for _ in range(comparison._DRAWN)], last], shots=100).result()
        other, one = archive.jobs()
        page = page_of(one, other)
    titles = [text for tag, text in page.texts if tag == "figcaption"]
    assert len(titles) == comparison._DRAWN and titles[0] == f"Circuit {comparison._DRAWN}: counts"
    assert f"{comparison._DRAWN} of {comparison._DRAWN + 1} circuits are drawn, those that differ most first." in page.said("p")


def test_noise_models_say_what_they_are_and_where_they_differ(tmp_path):
    circuit = qiskit.QuantumCircuit(2, 1)
    circuit.cx(0, 1)
    circuit.measure(1, 0)
    with qarchive.open(tmp_path / "lab") as archive:
        for model in (of_noise(0.1), of_noise(0.2), None):
            archive.wrap(AerSimulator(noise_model=model, seed_simulator=1)).run(circuit, shots=100).result()
        none, second, first = archive.jobs()
        digests = [str(job.backend_snapshot["options"]["noise_model"])[:12] for job in (first, second)]
        both, one = page_of(first, second), page_of(second, none)
    assert {f"noise model {digest}" for digest in digests} <= {text for tag, text in both.texts if tag == "code"}
    assert "differs in gate errors (cx 1 of 1)" in both.said("small")
    assert f"noise model {digests[1]}, 1 gate error (cx 1) on qubits 0, 1" in one.said("code")

"""Plots draw what the archive holds: all of it, with its errors, and names as text."""

import sys

import matplotlib
import pytest
from matplotlib import pyplot
from perceval import BS, BasicState, Processor
from perceval.algorithm import Sampler
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive import plotting
from qarchive.drawing.histogram import selected
from qarchive.errors import BadInput, MissingExtra

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with qarchive.open(tmp_path_factory.mktemp("plots") / "lab") as archive:
        backend = archive.wrap(AerSimulator())
        bell, wide = QuantumCircuit(2, name="bell $x_1$"), QuantumCircuit(8, name="wide")
        bell.h(0)
        bell.cx(0, 1)
        wide.h(range(8))
        for circuit in (bell, wide):
            circuit.measure_all()
        with archive.context(tags=["counts"]):
            backend.run([bell, wide], shots=4000, seed_simulator=1).result()
        pair = QuantumCircuit(2)
        pair.ry(0.3, 0)
        with archive.context(tags=["values"]):
            archive.wrap(EstimatorV2()).run([(pair, [SparsePauliOp("ZZ"), SparsePauliOp("XX")])], precision=0.02).result()
        with archive.context(tags=["device"]):
            archive.wrap(FakeManilaV2()).run(transpile(bell, FakeManilaV2())).result()
        state, matrix, turned = QuantumCircuit(1), QuantumCircuit(1), QuantumCircuit(1, name="turned")
        state.save_statevector()
        matrix.save_density_matrix()
        for tag, circuit in (("state", state), ("matrix", matrix)):
            with archive.context(tags=[tag]):
                backend.run(circuit).result()
        turned.ry(Parameter("a"), 0)
        values = archive.wrap(StatevectorEstimator())
        with archive.context(tags=["swept values"]):
            values.run([(turned, [["Z"], ["X"]], [0.0, 0.5, 1.0])]).result()
        turned.measure_all()
        with archive.context(tags=["swept counts"]):
            archive.wrap(StatevectorSampler()).run([(turned, [0.0, 0.5, 1.0])], shots=100).result()
        photons = Processor("SLOS", BS())
        photons.with_input(BasicState([1, 1]))
        photons.min_detected_photons_filter(1)
        with archive.context(tags=["samples"]):
            Sampler(archive.wrap(photons), max_shots_per_call=100).samples(20)
        archive.flush()
        yield archive


def test_counts_are_shares_with_the_noise_of_so_many_shots(lab):
    job = lab.jobs(tag="counts")[0]
    ax = job.plot()
    counts = job.counts(0)
    assert [bar.get_height() for bar in ax.patches] == [counts[state] / 4000 for state in sorted(counts)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["00", "11"]
    [errors] = [found for found in ax.containers if hasattr(found, "lines")]
    low, high = errors.lines[2][0].get_segments()[0][:, 1]
    share = counts["00"] / 4000
    assert (high - low) / 2 == pytest.approx((share * (1 - share) / 4000) ** 0.5)
    assert ax.get_ylabel() == "share of 4,000 shots" and ax.get_title() == f"bell \\$x_1\\$, job {job.id[:12]}"
    ax.figure.canvas.draw()


def test_what_is_not_among_the_first_is_one_bar(lab):
    job = lab.jobs(tag="counts")[0]
    ax = job.plot(1, most=10)
    found = selected(job.counts(1), 10)
    assert [bar.get_height() for bar in ax.patches] == [*(share for _, share in found.bars), found.other]
    assert sum(bar.get_height() for bar in ax.patches) == pytest.approx(1)
    rest = len(job.counts(1)) - 10
    assert [label.get_text() for label in ax.get_xticklabels()] == [*(state for state, _ in found.bars), f"other ({rest})"]
    assert ax.get_ylim()[1] < found.other  # it is cut, and says how high it is
    assert [text.get_text() for text in ax.texts] == [f"{found.other:.3g} ↑"]
    ax.figure.canvas.draw()


def test_expectation_values_have_their_standard_errors_on_axes_that_are_given(lab):
    job = lab.jobs(tag="values")[0]
    given = pyplot.subplots()[1]
    ax = job.plot(ax=given)
    assert ax is given
    [found] = ax.containers
    values, stds = (list(job.data()[0][name].flat()) for name in ("evs", "stds"))
    assert list(found.lines[0].get_xdata()) == values
    assert [(high - low) / 2 for (low, _), (high, _) in found.lines[2][0].get_segments()] == pytest.approx(stds)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["ZZ", "XX"]


def test_what_cannot_be_drawn_says_what_there_is(lab):
    job = lab.jobs(tag="matrix")[0]
    with pytest.raises(BadInput) as caught:
        job.plot()
    assert str(caught.value) == (
        f"circuit 0: job {job.id[:12]} has neither counts nor values of it; `job.data()[0]` has density_matrix"
    )
    for index in (1, -1, "a"):
        with pytest.raises(BadInput) as caught:
            job.plot(index)
        assert str(caught.value) == f"circuit {index!r}: is not in job {job.id[:12]}; it has 1, counted from 0"
    assert pyplot.get_fignums() == []


def test_what_was_swept_is_drawn_over_its_parameter(lab):
    ax = lab.jobs(tag="swept values")[0].plot()
    z, x = ax.containers
    assert list(z.lines[0].get_xdata()) == [0.0, 0.5, 1.0] and list(z.lines[0].get_ydata()) == pytest.approx(
        [1.0, 0.8775826, 0.5403023]
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["Z", "X"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("a", "expectation value")
    job = lab.jobs(tag="swept counts")[0]
    ax = job.plot()
    counts = job.data()[0]["counts"]
    assert list(ax.containers[0].lines[0].get_ydata()) == [found["0"] / 100 for found in counts]
    assert ax.get_ylabel() == "share of shots"
    ax.figure.canvas.draw()


def test_what_can_be_counted_is_drawn(lab):
    job = lab.jobs(tag="samples")[0]
    ax = job.plot()
    assert sorted(bar.get_height() for bar in ax.patches) == sorted(count / 20 for count in job.counts().values())
    assert ax.get_ylabel() == "share of 20 shots" and "svg" in job._repr_html_()
    ax = lab.jobs(tag="state")[0].plot()
    assert [bar.get_height() for bar in ax.patches] == [1.0, 0.0] and ax.get_ylabel() == "probability"


def test_a_calibration_is_on_a_map_of_its_device(lab):
    [found] = lab.jobs(tag="device")[0].calibrations
    ax = found.plot()
    edges, nodes = (next(drawn for drawn in ax.collections if type(drawn).__name__ == kind)
                    for kind in ("LineCollection", "PathCollection"))  # fmt: skip
    nodes = next(drawn for drawn in ax.collections if drawn.get_array() is not None)
    assert list(nodes.get_array()) == found.qubits["T1"] and len(edges.get_segments()) == 4
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2", "3", "4"]
    assert ax.get_title() == f"ibmq_manila, {found.digest[:12]}"
    ax.figure.canvas.draw()
    bar = ax.figure.axes[1]
    assert bar.get_ylabel() == "T1" and all(label.get_text().endswith(" µs") for label in bar.get_yticklabels())


def test_pairs_are_the_lines_of_the_map_the_larger_of_both_directions(lab):
    [found] = lab.jobs(tag="device")[0].calibrations
    ax = found.plot("cx gate_length")
    [edges] = [drawn for drawn in ax.collections if type(drawn).__name__ == "LineCollection"]
    lengths = {qubits: figures["gate_length"] for qubits, figures in found.gates["cx"].items()}
    assert list(edges.get_array()) == [max(lengths[i, i + 1], lengths[i + 1, i]) for i in range(4)]
    ax.figure.canvas.draw()


def test_without_couplings_places_are_bars_and_an_outlier_does_not_squash_a_map():
    ax = plotting.places({(0,): 0.9, (2,): 0.7, (): 0.1}, [], "HOM", "", "chip", "m")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["device", "m0", "m2"]
    assert [bar.get_height() for bar in ax.patches] == [0.1, 0.9, 0.7]
    errors = {(i,): 0.01 + i / 10_000 for i in range(20)} | {(20,): 1.0}
    ax = plotting.places(errors, [(i, i + 1) for i in range(20)], "error", "", "line")
    [nodes] = [drawn for drawn in ax.collections if drawn.get_array() is not None]
    assert nodes.get_clim() == pytest.approx((0.01, 3 * 0.0118))
    ax.figure.canvas.draw()


def test_a_figure_that_there_is_none_of_is_named_with_those_that_there_are(lab):
    [found] = lab.jobs(tag="device")[0].calibrations
    with pytest.raises(BadInput) as caught:
        found.plot("T3")
    names = ", ".join(figure.name for figure in found.figures)
    assert str(caught.value) == f"the figure 'T3': is not in the calibration {found.digest[:12]}; it has {names}"


def test_without_matplotlib_it_is_named(lab, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra) as caught:
        lab.jobs(tag="counts")[0].plot()
    assert str(caught.value) == "a plot needs more than is installed; run `pip install 'qarchive[plot]'`"

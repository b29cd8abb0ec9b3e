"""Pages about jobs: what they say, that they say it for people alone, and that nothing in a job becomes markup."""

import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import perceval as pcvl
import pytest
from building import build
from page_lab import DAYS, EVIL, MAY_RUN, Page, fill, hostile
from perceval.algorithm import Sampler
from pulser.backend import BitStrings, EmulationConfig, Occupation
from pulser_programs import adiabatic
from pulser_simulation import QutipBackendV2, QutipConfig
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import CouplingMap
from qiskit_aer import AerSimulator
from quandela_server import QuandelaServer

import qarchive
from qarchive.drawing.elements import element, to_html
from qarchive.errors import Damaged
from qarchive.printable import size
from qarchive.report import jobs, overview, results
from qarchive.report.page import STYLE, document
from qarchive.report.words import Reader, facts


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with fill(tmp_path_factory.mktemp("lab") / "lab") as archive:
        yield archive


def page_of(archive, *chosen, title=None):
    text, read = overview.report(archive, chosen, title)
    assert read.problems == []
    return Page(text)


def named(archive, name):
    return next(job for job in archive.jobs() if name in job.row.names)


def headings(page):
    return [text for tag, text in page.texts if tag == "h2"]


def test_a_page_of_a_job_says_who_it_is_and_how_that_is_verified(lab):
    job = named(lab, "day 1")
    page = page_of(lab, job)
    said = page.said()
    for text in (job.id, job.seal, job.provider_job, "days", "paper", "DONE", "day = 1", f"qarchive verify {job.id[:12]}"):
        assert text in said
    assert "qarchive --archive job.qar verify" in said
    assert page.said("h1") == "day 1"
    assert headings(page) == ["Identity", "Result", "Timeline", "Input", "Device", "Configuration", "Environment and code",
                              "History", "Blobs"]  # fmt: skip


def test_what_the_page_tells_to_type_verifies_it(lab, tmp_path, monkeypatch):
    job = named(lab, "first")
    lines = re.search(r"qarchive verify [^<]*", overview.report(lab, [job])[0])[0].splitlines()
    assert len(lines) == 3
    monkeypatch.setenv("QARCHIVE", str(lab.path))
    monkeypatch.setenv("PYTHONPATH", str(Path(qarchive.__file__).parent.parent))
    for line in lines:
        done = subprocess.run([sys.executable, "-m", *line.split()], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert job.seal in done.stdout


def test_counts_are_a_histogram_with_a_table_beside_it(lab):
    job = named(lab, "day 1")
    page = page_of(lab, job)
    assert "day 1" in [text for tag, text in page.texts if tag == "title"]
    assert "state, in order of value" in page.said("text") and "Bit 0 is the rightmost." in page.said("small")
    assert str(job.counts()["00"]) in page.said("td")


def test_circuits_stand_side_by_side_on_one_scale(lab):
    job = named(lab, "first")
    page = page_of(lab, job)
    titles = [text for tag, text in page.texts if tag == "title"]
    assert "Results of 2 circuits" in titles and {"first", "second"} <= set(page.said("text").split())
    assert "One scale for all. N = 100 shots each" in page.said("small")
    tables = [tag for tag, _ in page.tags].count("table")
    drawings = [tag for tag, _ in page.tags].count("svg")
    assert tables >= drawings == 1
    assert str(job.counts(1)["00"]) in page.said("td")


def test_the_program_is_there_as_text(lab):
    page = page_of(lab, named(lab, "first"))
    assert "OPENQASM 3" in page.said("code") and "cx q[0], q[1];" in page.said("code")


def test_values_stand_beside_their_standard_errors(lab):
    job = named(lab, "energy")
    page = page_of(lab, job)
    value, error = (job.data()[0][name].flat()[0] for name in ("evs", "stds"))
    cells = page.said("td")
    assert f"{value:.6g}" in cells and f"{error:.3g}" in cells and "observable value standard error" in page.said("th")
    assert {"ZZ", "XX"} <= set(cells.split()) and "expectation value" in page.said("text")


def test_a_failed_job_says_why(lab):
    job = named(lab, "too large")
    page = page_of(lab, job)
    assert job.error["message"][:60] in page.said() and "ERROR" in page.said("span")


def test_a_device_is_a_map_with_its_calibration_and_all_its_couplings(lab):
    job = named(lab, "day 2")
    page = page_of(lab, job)
    assert f"{job.backend}: 5 qubits" in page.said("figcaption")
    found = job.calibrations[0]
    assert {figure.name.replace("_", " ") for figure in found.figures} <= {text for tag, text in page.texts if tag == "td"}
    assert "Figures of the calibration" in page.said("caption")
    for pair in ("q0, q1", "q1, q2", "q1, q3", "q3, q4"):
        assert pair in page.said("td")


def test_several_jobs_have_an_overview_and_the_drift_of_their_device(lab):
    chosen = list(lab.group("days"))
    page = page_of(lab, *chosen, title="days")
    assert page.said("h1") == "days"
    assert headings(page)[:2] == ["Jobs", "Drift"] and len(headings(page)) == 2 + DAYS
    captions = page.said("figcaption")
    assert "medians of T1 and T2" in captions and "medians of errors" in captions
    for job in chosen:
        assert {"id": f"job-{job.id[:12]}"} in page.all("h2")
        assert f"#job-{job.id[:12]}" in [a["href"] for a in page.all("a")]


def test_a_device_is_drawn_once_for_jobs_with_one_calibration(lab):
    one, twin = named(lab, "day 2"), named(lab, "the same day")
    page = page_of(lab, one, named(lab, "day 1"), twin)
    assert page.said("figcaption").count("5 qubits") == 2
    assert "The device and its calibration are those of job" in page.said("p")
    assert f"#job-{one.id[:12]}" in [a["href"] for a in page.all("a")]


def test_of_many_jobs_the_first_are_whole_and_it_says_so(lab):
    job = named(lab, "energy")
    page = page_of(lab, *[job] * (overview.JOBS + 2))
    assert len(headings(page)) == 1 + overview.JOBS
    assert f"The first {overview.JOBS} of {overview.JOBS + 2} jobs follow." in page.said("p")


def test_of_many_circuits_the_first_are_shown_and_it_says_so(lab, tmp_path):
    number = results.CIRCUITS + 3
    states = [QuantumCircuit(1, name=f"n{i}") for i in range(number)]
    for state in states:
        state.save_statevector()
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator()).run(states).result()
        job = archive.job("latest")
        said = page_of(archive, job).said("p")
    assert f"{results.CIRCUITS} of {number} circuits are shown. qarchive result {job.id[:12]} --circuit N shows any." in said
    assert f"qarchive input {job.id[:12]} --circuit N prints any." in said


def test_what_was_swept_is_drawn_over_its_parameter_with_all_values_in_the_table(tmp_path):
    theta = Parameter("θ<b>")
    circuit = QuantumCircuit(1, name="rabi")
    circuit.ry(theta, 0)
    measured = circuit.copy()
    measured.measure_all()
    angles = [0.25, 0.5, 1.25]
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(StatevectorSampler(seed=1)).run([(measured, angles)], shots=50).result()
        archive.wrap(StatevectorEstimator(seed=1)).run([(circuit, [["Z"], ["X"]], angles)]).result()
        bound = transpile(measured, basis_gates=["ry"])
        archive.wrap(AerSimulator()).run([bound], parameter_binds=[{theta: angles}], shots=50).result()
        pages = {job.backend: page_of(archive, job) for job in archive.jobs()}
        for page in pages.values():
            assert "θ<b>" in page.said("text") and "θ<b>" in page.said("th")
            assert set(map(str, angles)) <= set(page.said("td").split())
            assert "|u1" not in page.text and "Circuit 0" not in page.said("figcaption")
        assert "observable θ<b> value standard error" in pages["StatevectorEstimator"].said("th")
        assert "share of shots" in pages["StatevectorSampler"].said("text")
        assert "θ<b> 0 1 shots" in pages["aer_simulator"].said("th")


def test_states_and_matrices_are_numbers_not_forms_of_storage(tmp_path):
    circuit = QuantumCircuit(2, name="saved")
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.save_statevector()
    circuit.save_density_matrix(label="rho")
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(AerSimulator(method="statevector")).run(circuit).result()
        page = page_of(archive, archive.job("latest"))
    assert "state real part imaginary part probability" in page.said("th") and "0.707107" in page.said("td")
    assert "saved, rho" in page.said("caption") and "<c16" not in page.text and "c16" not in page.said("dd")


def test_what_was_observed_at_times_stands_over_them(tmp_path):
    times = [0.5, 1.0]
    config = QutipConfig(observables=[BitStrings(evaluation_times=times), Occupation(evaluation_times=times)])
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(QutipBackendV2(adiabatic(), config=config)).run()
        page = page_of(archive, archive.job("latest"))
    assert page.said("text").count("time, as a share of the sequence's duration") == 2
    assert {"Counts", "Bitstrings", "Occupation"} <= {text.strip() for tag, text in page.texts if tag == "figcaption"}


def test_a_page_of_very_many_values_is_small_and_says_what_it_leaves_out(tmp_path):
    circuit = QuantumCircuit(1, name="many")
    circuit.ry(Parameter("θ"), 0)
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(StatevectorEstimator()).run([(circuit, ["Z"], [[i / 1000] for i in range(10_000)])]).result()
        text, _ = overview.report(archive, [archive.job("latest")], None)
    assert len(text) < 250_000 and "The table has the first 1,000 of 10,000 rows." in Page(text).said("small")


def test_nothing_of_a_job_becomes_markup(lab):
    job = hostile(lab)
    page = page_of(lab, job)
    assert EVIL in page.said("h1") and EVIL in page.said("dd")
    assert not MAY_RUN & {tag for tag, _ in page.tags}
    assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
    assert "\x1b" not in page.text and "\u202e" not in page.text and "\\x1b" in page.said("h1")
    together = page_of(lab, job, named(lab, "first"), title=EVIL)
    assert EVIL in together.said("h1") and not MAY_RUN & {tag for tag, _ in together.tags}


def test_a_page_needs_nothing_else_and_may_run_nothing(lab):
    page = page_of(lab, *lab.group("days"))
    [policy] = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    digest = b64encode(sha256(STYLE.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert re.search("<style>(.*?)</style>", page.text, re.DOTALL)[1] == STYLE
    assert not [a for _, a in page.tags if "style" in a or "src" in a]
    assert all(a["href"].startswith(("#", "data:,")) for a in (*page.all("a"), *page.all("link")))
    assert "url(" not in page.text and "@import" not in page.text


def test_ids_are_unique_and_whatever_points_to_one_finds_it(lab):
    page = page_of(lab, *lab.group("days"), named(lab, "first"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    pointed = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    pointed += [
        name for _, a in page.tags for key in ("aria-labelledby", "aria-describedby") if key in a for name in a[key].split()
    ]
    assert set(pointed) <= set(ids)


def test_headings_come_in_order(lab):
    page = page_of(lab, *lab.group("days"), named(lab, "first"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:]))


def test_how_the_backend_was_set_is_said(lab):
    page = page_of(lab, named(lab, "too large"))
    names = re.findall("<dt>(.*?)</dt>", page.text.replace("<wbr>", ""))
    assert "Options that differ from the defaults of its class:" in page.said("p")
    assert {"method", "max_memory_mb", "max_parallel_threads"} <= set(names) and "statevector" in page.said("code")
    assert "noise" not in names


def test_a_photonic_job_shows_its_modes(tmp_path):
    with QuandelaServer(seed=3) as server, qarchive.open(tmp_path / "lab") as archive:
        processor = server.remote_processor("qpu:belenos")
        processor.add(0, pcvl.catalog["postprocessed cnot"].build_experiment())
        processor.min_detected_photons_filter(2)
        processor.with_input(pcvl.BasicState([0, 1, 0, 1]))
        archive.wrap(processor)
        server.hold()
        Sampler(processor, max_shots_per_call=1000).sample_count.execute_async(20)
        page = page_of(archive, archive.job("latest"))
    assert "Modes of the chip" in page.said("figcaption") and "HOM" in page.said("td")
    assert "has no result yet" in page.said("p")


def test_a_job_on_atoms_shows_its_register(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(QutipBackendV2(adiabatic(), config=EmulationConfig(observables=[BitStrings(num_shots=50)]))).run()
        page = page_of(archive, archive.job("latest"))
    assert "Register of 3 atoms" in page.said("figcaption") and "middle" in page.said("td")
    assert {"no noise", "DigitalAnalogDevice"} <= {text for tag, text in page.texts if tag == "code"}


def test_notes_and_later_tags_are_shown(lab):
    job = named(lab, "second")
    job.tag("figure 3")
    job.note("Used in <b>figure 3</b>.\nSee the appendix.", author="Ada")
    said = page_of(lab, lab.job(job.id)).said()
    assert "figure 3" in said and "Used in <b>figure 3</b>.\nSee the appendix." in said and "Ada" in said


def test_what_is_damaged_is_said_in_its_place_and_the_rest_is_shown(store):
    job = build(1)
    [config] = [blob for blob in job.blobs if blob.kind == "config"]
    store.commit([config], durable=True)
    store.commit([blob for blob in job.blobs if blob.kind != "config"], durable=True)
    [(path, place)] = store.index.places(config.digest)
    store.close()
    with open(path, "r+b") as pack:
        pack.seek(place.frame + place.stored // 2)
        [byte] = pack.read(1)
        pack.seek(-1, 1)
        pack.write(bytes([byte ^ 1]))
    with qarchive.open(store.path) as archive:
        [found] = archive.jobs()
        text, read = overview.report(archive, [found])
    page = Page(text)
    assert any(isinstance(problem, Damaged) for problem in read.problems)
    assert page.said("strong").count("This cannot be read.") == len(read.problems)
    assert "run `qarchive verify` to see what is affected" in page.said("p") and job.id.hex() in page.said("code")


def test_values_of_another_shape_are_no_traceback(store):
    store.commit(build(1, provider="qiskit").blobs, durable=True)
    with qarchive.open(store.path) as archive:
        text, read = overview.report(archive, list(archive.jobs()))
    assert read.problems == [] and "is not made as it should be" in Page(text).said("p")


def test_a_job_of_a_provider_that_is_not_installed_has_a_page(store):
    store.commit(build(1, provider="elsewhere").blobs, durable=True)
    with qarchive.open(store.path) as archive:
        text, _ = overview.report(archive, list(archive.jobs()))
    assert "the provider 'elsewhere' is not in this installation" in Page(text).said("p")


def test_parts_that_are_empty_are_left_out():
    assert "".join(facts([("one", ""), ("two", None), ("three", "3")]).itertext()) == "three3"


def test_names_of_facts_break_between_their_words():
    assert to_html(facts([("evaluation_times", "x")])).count("evaluation_<wbr>times") == 1
    assert Reader().section("Title", "title", lambda: [None]) is None


def test_what_a_job_cost_is_said_with_its_units():
    class Charged:
        usage, get = {"quantum_seconds": 3, "seconds": 4.25, "credits": 7, "more": {"duration_s": 0.1 + 0.2}}, None

    assert jobs._usage(Charged) == "quantum 3 s, 4.25 s, credits 7, more.duration 0.3 s"


@pytest.mark.parametrize("number, text", [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (123_456, "123 kB"), (5e12, "5.0 TB")])
def test_sizes_are_in_powers_of_1000(number, text):
    assert size(number) == text


def test_a_document_says_its_title_and_language():
    page = Page(document("A & B", [element("p", "<text>")]))
    assert page.said("title") == "A & B · qarchive" and page.said("p").startswith("<text>")
    assert page.all("html") == [{"lang": "en"}] and page.all("main")[0]["id"] == "content"


def test_a_page_of_a_large_device_is_small(tmp_path):
    couplings = CouplingMap.from_heavy_hex(7)
    device = GenericBackendV2(couplings.size(), coupling_map=couplings, basis_gates=["cx", "id", "rz", "sx", "x"], seed=1)
    circuit = QuantumCircuit(couplings.size(), 1)
    circuit.measure(0, 0)
    with qarchive.open(tmp_path / "lab") as archive:
        archive.wrap(device).run(circuit, shots=10).result()
        text, _ = overview.report(archive, list(archive.jobs()))
    assert "115 qubits" in text and len(text.encode()) < 120_000


def test_jobs_are_called_by_their_circuits_or_by_their_id(lab, store):
    assert jobs.title(named(lab, "first")) == "first, second"
    built = build(1)
    store.commit(built.blobs, durable=True)
    with qarchive.open(store.path) as archive:
        assert jobs.title(archive.job("latest")) == f"Job {built.id.hex()[:12]}"

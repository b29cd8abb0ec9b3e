"""What notebooks show is sound HTML in which names stay text, says what cannot be read, and counts no million jobs."""

import re

import pytest
from building import build
from drawings import Parsed
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.primitives import StatevectorEstimator
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

import qarchive
from qarchive import notebook
from qarchive.groups.group import Group
from qarchive.index import Index
from qarchive.store import Store

HOSTILE = "</td></table><script>alert(1)</script><img src=x onerror='alert(2)'>\"&amp;"
_KNOWN = {"div", "p", "strong", "em", "code", "span", "table", "caption", "thead", "tbody", "tr", "th", "td", "ul", "li",
          "progress", "figure", "figcaption", "svg", "title", "desc", "g", "path", "rect", "circle", "text"}  # fmt: skip


def shown(value):
    """What a notebook shows of a value, read back: elements that are known, and attributes that do nothing."""
    parsed = Parsed(value._repr_html_())
    assert {tag for tag, _, _ in parsed.elements} <= _KNOWN
    for _, attributes, _ in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name.endswith("href") or name == "src"]
        assert "url(" not in attributes.get("style", "")
    return parsed


def facts(parsed):
    """{name: text} of a card."""
    found = {}
    for tag, attributes, text in parsed.elements:
        if tag == "th" and attributes.get("scope") == "row":
            name = "".join(text)
            found[name] = ""
        elif found and tag in ("td", "span", "li", "em") and not found[name]:
            found[name] = "".join(text)
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """An archive with a hostile job in a hostile group, one with a state, one on a device with a calibration."""
    path = tmp_path_factory.mktemp("notebook") / "lab"
    with qarchive.open(path) as archive:
        backend = archive.wrap(AerSimulator())
        bell = QuantumCircuit(2, name=HOSTILE)
        bell.h(0)
        bell.cx(0, 1)
        bell.measure_all()
        with archive.context(group=HOSTILE, tags=[HOSTILE, "first"], params={HOSTILE: HOSTILE, "theta": 0.5}):
            backend.run(bell, shots=1000, seed_simulator=1).result()
        backend.run([bell] * 9, shots=10).result()
        turned = QuantumCircuit(1)
        turned.ry(Parameter(HOSTILE), 0)
        estimator = archive.wrap(StatevectorEstimator())
        for name, values in (("one set", [0.5]), ("swept", [[0.5], [1.5]])):
            with archive.context(tags=[name]):
                estimator.run([(turned, [["Z"], ["X"]], values)]).result()
        device = archive.wrap(FakeManilaV2())
        device.run(transpile(bell, FakeManilaV2())).result()
        archive.flush()
        yield archive


def test_a_job_is_a_card_with_its_counts_and_no_name_becomes_markup(lab):
    job = lab.jobs(order="oldest")[0]
    parsed = shown(job)
    found = facts(parsed)
    assert list(found) == ["backend", "status", "created", "shots", "circuits", "group", "tags", "params", "provider job"]
    assert found["backend"] == "aer:aer_simulator (simulator)" and found["status"] == "DONE" and found["shots"] == "1,000"
    assert found["circuits"] == f"1: {HOSTILE}" and found["group"] == HOSTILE and found["tags"] == f"{HOSTILE}, first"
    assert HOSTILE.replace('"', '\\"') in found["params"] and "theta = 0.5" in found["params"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", found["created"])
    assert parsed.texts("code") == [job.id[:12]] and parsed.texts("figcaption") == ["Counts"]
    assert {text.partition(":")[0] for text in parsed.texts("title")} == {"Counts", *job.counts()}
    assert repr(job) == f"<Job {job.id[:12]} DONE on aer:aer_simulator>"


def test_expectation_values_are_drawn_with_what_they_are_of(lab):
    for tag, said in (("one set", "expectation value"), ("swept", HOSTILE)):
        (job,) = lab.jobs(tag=tag)
        parsed = shown(job)
        assert parsed.texts("figcaption") == ["Results"] and {"Z", "X"} <= set(parsed.texts("text"))
        assert any(text.startswith(said[:30]) for text in parsed.texts("text"))


def test_nothing_is_of_a_fixed_colour_that_a_page_may_have_as_its_own(lab):
    text = lab.jobs(order="oldest")[0]._repr_html_()
    assert "--ink: currentColor" in text and "--paper: transparent" in text
    outside = re.sub(r"var\([^)]*\)", "", text)
    assert re.findall(r"#[0-9a-f]{3,6}\b", outside) == ["#3a8fc4"]  # of the bars
    assert "color: black" not in text and "<style" not in text


def test_results_that_are_large_or_many_are_not_read(lab):
    assert "svg" not in {tag for tag, _, _ in shown(lab.jobs(order="oldest")[1]).elements}
    state = QuantumCircuit(15)
    state.h(range(15))
    state.save_statevector()
    job = lab.wrap(AerSimulator()).run(state).result() and lab.job("latest")
    found = shown(job)
    assert facts(found)["status"] == "DONE" and not found.texts("svg")


def test_a_list_shows_the_newest_and_that_there_are_more(folder):
    store = Store.create(folder / "many")
    jobs = [build(number, created=number, tags=[HOSTILE] if number == 24 else []) for number in range(25)]
    store.commit([blob for job in jobs for blob in job.blobs], False)
    store.close()
    with qarchive.open(folder / "many") as archive:
        for what, first in ((archive.jobs(), f"jobs of {archive.path}"), (archive, "archive")):
            parsed = shown(what)
            ids = [text for text in parsed.texts("code") if len(text) == 12]
            assert ids == [job.id.hex()[:12] for job in jobs[:4:-1]] and parsed.texts("strong") == [first]
            assert f"#{HOSTILE}" in parsed.texts("td")
        assert shown(archive.jobs()).texts("p")[1:] == ["The first 20 are shown; there are more."]
        assert facts(shown(archive)) == {"path": str(archive.path), "id": "", "jobs": "25"}
        assert shown(archive).texts("caption") == ["The newest 20"]
        assert len(shown(archive.jobs(limit=20)).texts("p")) == 1
        assert shown(archive.jobs(tag="none")).texts("strong") == [f"no jobs of {archive.path}"]


def test_a_list_counts_nothing(lab, monkeypatch):
    monkeypatch.setattr(Index, "count", None)
    assert notebook.SHOWN == 20 and shown(lab.jobs()).texts("table")


def test_a_group_shows_how_many_of_its_jobs_have_which_status(lab):
    group = lab.group("<b>sweep</b>")
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    group.add(AerSimulator(), [circuit] * 3)
    group.run_sequential()
    group.add(AerSimulator(), [circuit] * 2)
    parsed = shown(group)
    cells = parsed.texts("td")
    assert cells == ["DONE", "1", "3", "", "PREPARED", "1", "2", "", "all", "2", "5", ""]
    assert parsed.texts("strong") == ["group <b>sweep</b>"] and parsed.texts("code") == [group.id[:12]]
    assert [(bar["value"], bar["max"]) for bar in parsed.attributes("progress")] == [("1", "2"), ("1", "2")]
    assert shown(lab.group("empty")).texts("td") == ["all", "0", "0", ""] and isinstance(group, Group)


def test_a_calibration_shows_median_best_and_worst_of_each_figure(lab):
    [found] = next(job for job in lab.jobs() if job.backend == "fake_manila").calibrations
    parsed = shown(found)
    cells = parsed.texts("td")
    place = cells.index("T1")
    assert cells[place : place + 7] == ["T1", "145 µs", "179 µs", "q3", "125 µs", "q1", "5"]
    place = cells.index("cx gate_error")
    assert cells[place : place + 7] == ["cx gate_error", "0.0101", "0.0057", "3-4", "0.0139", "1-2", "8"]
    place = cells.index("rz gate_error")
    assert cells[place : place + 7] == ["rz gate_error", "0", "", "", "", "", "5"]
    assert facts(parsed)["phase"] == "submit" and facts(parsed)["measured"] == "2024-05-27 18:27:23 UTC"


def test_what_is_damaged_is_said_where_it_would_stand(folder):
    store, built = Store.create(folder / "bad"), build(1, tags=["kept"])
    store.commit(built.blobs, False)
    store.close()
    with qarchive.open(folder / "bad") as archive:
        archive.refresh()
        for pack in (folder / "bad" / "packs").iterdir():
            data = bytearray(pack.read_bytes())
            data[len(data) // 4 : -64] = bytes(len(data) - 64 - len(data) // 4)
            pack.write_bytes(data)
        found = facts(shown(archive.jobs()[0]))
    assert found["status"] == "DONE" and found["backend"] == "aer:aer_simulator (run)" and found["shots"] == "100"
    assert found["tags"] == "kept" and found["circuits"] == "1"
    assert found["params"] == f"This cannot be read. blob {built.id.hex()} is not in {archive.path}"

"""RO-Crates: what roc-validator requires, offline; what stands in the files; that they are there whole or not at all."""

import copy
import json
import shutil
import zipfile
from pathlib import Path

import crate_validation
import pytest
from building import blob, build

import qarchive
from qarchive import config, pack
from qarchive.errors import BadInput, CannotWrite, NotFinished
from qarchive.values import Link

ARCHIVES = Path(__file__).parent / "data" / "archives"
BY = {"author": "Lovelace, Ada and QLab", "orcid": "0000-0002-1825-0097", "licence": "CC-BY-4.0"}


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: tmp_path / "config")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """An archive of all providers, and its jobs that have ended, one of each provider and status."""
    archive = qarchive.open(shutil.copytree(ARCHIVES / "4-groups", tmp_path_factory.mktemp("crates") / "lab"), create=False)
    others = shutil.copytree(ARCHIVES / "3-photons-atoms", tmp_path_factory.mktemp("crates") / "others")
    for file in (others / "packs").glob("*.pack"):
        shutil.copy(file, archive.path / "packs")
    jobs = {(job.provider, job.kind, job.status): job for job in archive.jobs() if job.outcome}
    return archive, list(jobs.values())


@pytest.fixture(scope="module")
def crate(lab, tmp_path_factory):
    """A crate of these jobs as a folder, with everything that one can have."""
    archive, jobs = lab
    folder = tmp_path_factory.mktemp("crate")
    (folder / "bundle.qar").write_bytes(b"a bundle")
    archive.crate(folder / "crate", [job.id for job in jobs], bundle=folder / "bundle.qar", title="</script>", **BY)
    return folder / "crate"


def graph(crate):
    return {entity["@id"]: entity for entity in json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]}


def test_it_meets_what_process_run_crate_requires(crate, tmp_path):
    assert crate_validation.problems(crate, tmp_path) == []


def test_so_does_a_zip_file_without_an_author(lab, tmp_path):
    archive, jobs = lab
    assert archive.crate(tmp_path / "crate.zip", ["sweep"]) == list(archive.subject("sweep").ended)
    assert crate_validation.problems(tmp_path / "crate.zip", tmp_path) == []


def test_the_validator_reports_what_is_wrong(crate, tmp_path):
    broken = shutil.copytree(crate, tmp_path / "broken")
    data = json.loads((broken / "ro-crate-metadata.json").read_text())
    for entity in data["@graph"]:
        if entity["@id"] == "./":
            entity["nonsense"] = entity.pop("name")
        if entity["@type"] == "CreateAction":
            del entity["instrument"]
    (broken / "ro-crate-metadata.json").write_text(json.dumps(data))
    found = crate_validation.problems(broken, tmp_path)
    assert {problem.split(":")[0] for problem in found} == {"process-run-crate-0.5_1.1", "ro-crate-1.1_3.1", "ro-crate-1.1_8.1"}


def test_a_job_is_an_action_with_all_that_is_known_of_it(lab, crate):
    archive, jobs = lab
    found = graph(crate)
    for job in jobs:
        action = found[f"#job-{job.id}"]
        assert action["@type"] == "CreateAction"
        assert action["identifier"] == [f"qarchive:job:{job.id}", f"qarchive:seal:sha256:{job.seal}"]
        assert action["location"] == f"{job.provider}:{job.backend} ({job.kind})"
        assert action["actionStatus"] == f"http://schema.org/{'Completed' if job.status == 'DONE' else 'Failed'}ActionStatus"
        assert action.get("error") == (None if job.status == "DONE" else job.error["message"])
        assert found[action["instrument"]["@id"]]["@type"] == "SoftwareApplication"
        assert action["agent"] == {"@id": "https://orcid.org/0000-0002-1825-0097"}
        assert action["result"] == [{"@id": f"jobs/{job.id[:16]}/result.json"}]
        names = {Path(each["@id"]).name for each in action["object"]}
        assert {"config.json"} < names and any(name.startswith("input.") for name in names)
    done = next(job for job in jobs if (job.provider, job.status) == ("ibm", "DONE"))
    action = found[f"#job-{done.id}"]
    told = done.outcome["volatile"]["metrics"]["timestamps"]
    assert action["startTime"] == told["running"].replace("Z", "+00:00")
    assert action["endTime"] == told["finished"].replace("Z", "+00:00")
    version = done.environment["packages"]["qiskit-ibm-runtime"]
    assert found[action["instrument"]["@id"]] == {
        "@id": f"#software-qiskit-ibm-runtime-{version}", "@type": "SoftwareApplication", "name": "qiskit-ibm-runtime",
        "url": "https://pypi.org/project/qiskit-ibm-runtime/", "softwareVersion": version}  # fmt: skip


def test_a_time_that_nobody_told_is_left_out(lab, crate):
    job = next(job for job in lab[1] if job.status == "REFUSED")
    assert not {"startTime", "endTime"} & graph(crate)[f"#job-{job.id}"].keys()


def test_every_file_is_described_and_every_description_has_its_file(crate):
    found = {name: entity for name, entity in graph(crate).items() if entity["@type"] == "File"}
    files = {str(path.relative_to(crate)) for path in crate.rglob("*") if path.is_file()} - {"ro-crate-metadata.json"}
    assert files == set(found) and "jobs.qar" in files
    assert all(int(entity["contentSize"]) == (crate / name).stat().st_size for name, entity in found.items())
    assert {each["@id"] for each in graph(crate)["./"]["hasPart"]} == files


def test_the_files_say_what_the_archive_says(lab, crate):
    for job in lab[1]:
        folder = crate / "jobs" / job.id[:16]
        told = json.loads((folder / "result.json").read_text())
        assert (told["job"], told["status"], told["error"]) == (job.id, job.status, job.error)
        if job.provider in ("aer", "ibm") and job.status == "DONE":
            assert told["circuits"][0]["counts"] == job.counts()
            assert (folder / "input.qasm").read_text().lstrip("/ circuit0\n").startswith("OPENQASM 3.0;")
        for path in folder.glob("*.json"):
            json.loads(path.read_text())
    ibm = next(job for job in lab[1] if job.provider == "ibm" and job.calibrations)
    told = json.loads((crate / "jobs" / ibm.id[:16] / "calibration-1-submit.json").read_text())
    assert told["digest"] == ibm.calibrations[0].digest and told["measured_at"] == ibm.calibrations[0].measured_at.isoformat()
    assert told["value"]["value"]["qubits"]  # template and columns are put together


def test_who_is_named_and_under_what_licence(crate, lab, tmp_path):
    found = graph(crate)
    root = found["./"]
    assert root["author"] == [{"@id": "https://orcid.org/0000-0002-1825-0097"}, {"@id": "#author-2"}]
    assert found["#author-2"] == {"@id": "#author-2", "@type": "Person", "name": "QLab"}
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    lab[0].crate(tmp_path / "bare", [lab[1][0].id])
    bare = graph(tmp_path / "bare")
    assert bare["./"]["license"] == "No licence is stated." and "author" not in bare["./"]
    assert not any("agent" in entity for entity in bare.values())


def test_no_path_of_this_machine_is_in_it_and_no_name_that_a_page_would_obey(crate, lab):
    data = (crate / "ro-crate-metadata.json").read_bytes()
    assert b"<" not in data and data.isascii() and graph(crate)["./"]["name"] == "</script>"
    for path in crate.rglob("*"):
        relative = str(path.relative_to(crate))
        assert relative.isascii() and not set(relative) & set('\\:*?"<>| ')
        assert path.is_dir() or str(lab[0].path).encode() not in path.read_bytes()


def test_a_credential_in_what_was_taken_in_from_elsewhere_does_not_go_on(lab, tmp_path):
    archive, jobs = lab
    old = next(job for job in jobs if (job.provider, job.status) == ("aer", "DONE"))
    secret = "ghp_0123456789abcdefghij"
    config_of = blob("config", {"options": {"note": secret, "api_token": "hunter22"}})
    job = blob(pack.RECORD, {**old.record, "config": Link(config_of.digest), "names": [secret]})
    attempt = blob(pack.RECORD, {**old.folded.current.record, "job": Link(job.digest)})
    outcome = blob(pack.RECORD, {**old.outcome, "job": Link(job.digest), "attempt": Link(attempt.digest)})
    archive._store.commit([config_of, job, attempt, outcome], durable=False)
    archive.crate(tmp_path / "crate", [job.digest.hex()])
    told = b"".join(path.read_bytes() for path in (tmp_path / "crate").rglob("*") if path.is_file())
    assert secret.encode() not in told and b"hunter22" not in told and b"[redacted key]" in told


def test_a_zip_file_holds_what_the_folder_holds(crate, lab, tmp_path):
    archive, jobs = lab
    (tmp_path / "bundle.qar").write_bytes(b"a bundle")
    for name in ("one.zip", "other.zip"):
        archive.crate(tmp_path / name, [job.id for job in jobs], bundle=tmp_path / "bundle.qar", title="</script>", **BY)
    with zipfile.ZipFile(tmp_path / "one.zip") as found:
        content = {name: found.read(name) for name in found.namelist()}
    assert content == {str(path.relative_to(crate)): path.read_bytes() for path in crate.rglob("*") if path.is_file()}
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def refusal(kind, call, *arguments, **options):
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_nothing_is_written_over(lab, tmp_path):
    archive, (job, *_) = lab
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    (tmp_path / "file.zip").write_text("mine")
    for name in ("full", "file.zip"):
        assert refusal(BadInput, archive.crate, tmp_path / name, [job.id]) == (
            f"{tmp_path}/{name}: is there already; name a new folder or .zip file")  # fmt: skip
    (tmp_path / "empty").mkdir()
    archive.crate(tmp_path / "empty", [job.id])
    assert graph(tmp_path / "empty")


@pytest.mark.parametrize("name", ["crate", "crate.zip"])
def test_it_is_there_whole_or_not_at_all(folder, tmp_path, name):
    with qarchive.open(folder / "lab") as archive:
        whole, hurt = build(1), build(2)
        archive._store.commit(whole.blobs, durable=False)
        archive._store.commit([each for each in hurt.blobs if each.kind != "environment"], durable=False)
        with pytest.raises(Exception):  # these jobs are made up, and no provider can read them
            archive.crate(tmp_path / "out" / name, [whole.id.hex(), hurt.id.hex()])
        (tmp_path / "out").mkdir()
        with pytest.raises(Exception):
            archive.crate(tmp_path / "out" / name, [whole.id.hex(), hurt.id.hex()])
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_a_crate(lab, tmp_path):
    archive, (job, *_) = lab
    assert refusal(BadInput, archive.crate, tmp_path / "x", []) == "a crate: holds at least one job; name jobs or groups"
    assert refusal(BadInput, archive.crate, tmp_path / "x", [job.id], bundle=tmp_path / "none") == f"{tmp_path}/none: is no file"
    queued = next(job for job in archive.jobs() if job.status == "QUEUED")
    assert refusal(NotFinished, archive.crate, tmp_path / "x", [queued.id]) == (
        f"job {queued.id[:12]} is QUEUED and has no result yet; `qarchive sync` sees whether it has ended")  # fmt: skip
    assert refusal(CannotWrite, archive.crate, tmp_path / "none" / "x", [job.id]).startswith(f"cannot write {tmp_path}/none/x: ")
    assert list(tmp_path.iterdir()) == []


def test_the_contexts_that_the_tests_hold_have_all_terms_and_no_others(crate):
    used = set()

    def collect(value):
        if type(value) is dict:
            used.update(name for name in value if not name.startswith("@"))
            used.update(kinds if type(kinds := value.get("@type", [])) is list else [kinds])
            for item in value.values():
                collect(item)
        elif type(value) is list:
            for item in value:
                collect(item)

    collect(copy.deepcopy(json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]))
    assert used == set(crate_validation.terms())

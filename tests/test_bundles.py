"""Bundles: what is exported, what is refused, and reading one without an archive, an SDK or a network."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import building
import hostile
import pytest
from building import blob
from click.testing import CliRunner

import qarchive
from qarchive import codec, pack, records
from qarchive.bundles import limits, selection
from qarchive.cli import main
from qarchive.errors import BadInput, NotFound
from qarchive.pack import Blob
from qarchive.values import Link

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123::"


@pytest.fixture
def lab(folder, monkeypatch):
    """Two jobs, one of them in a group, recorded without any SDK; and nobody's credentials."""
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("PCVL_PERSISTENT_PATH", raising=False)
    with qarchive.open(folder / "lab") as archive:
        group = archive.group("vqe")
        archive._store.commit(building.build(1, created=1, tags=["paper"], provider_job="p1").blobs, durable=True)
        member = {"group": Link(bytes.fromhex(group.id)), "author": archive.id, "sequence": 1, "first": 0}
        archive._store.commit(hostile.job(2, member=member, labels={"group": "vqe"}), durable=True)
        yield archive


def run(*arguments) -> tuple[int, str, str]:
    ran = CliRunner().invoke(main, list(map(str, arguments)))
    return ran.exit_code, ran.stdout, ran.stderr


def ids(archive) -> list[str]:
    return [job.id for job in archive.jobs()]


# Exporting


@pytest.mark.parametrize(("references", "query", "jobs", "groups"), [
    ((), {}, 2, 1), (("latest",), {}, 1, 0), (("p1",), {}, 1, 0), (("vqe",), {}, 1, 1), ((), {"tag": "paper"}, 1, 0),
    ((), {"group": "vqe"}, 1, 1), (("vqe",), {"tag": "paper"}, 2, 1), ((), {"status": "DONE"}, 1, 0),
    ((), {"until": "1970-01-02"}, 2, 0), ((), {"provider": "aer", "backend": "b"}, 1, 0),
])  # fmt: skip
def test_what_is_named_is_exported_with_all_that_it_refers_to(lab, folder, references, query, jobs, groups):
    written = lab.export(folder / "x.qar", references, **query)
    assert (written.jobs, written.groups) == (jobs, groups)
    assert written.size == (folder / "x.qar").stat().st_size
    with qarchive.open(folder / "x.qar") as bundle:
        assert len(ids(bundle)) == jobs and building.dangling(bundle._store) == []
        assert bundle.verify(deep=True).findings == []


def test_nothing_that_is_named_is_an_error(lab, folder):
    shows = "is not in {}; `qarchive list` shows what there is"
    for references, query, said in (
        (("nosuch",), {}, f"job 'nosuch' {shows}"),
        (("latest",), {"tag": "x"}, f"a job with tag x {shows}"),
    ):
        with pytest.raises(NotFound) as caught:
            lab.export(folder / "x.qar", references, **query)
        assert str(caught.value) == said.format(lab.path)
    with qarchive.open(folder / "empty") as empty, pytest.raises(NotFound) as caught:
        empty.export(folder / "x.qar")
    assert str(caught.value) == f"a job is not in {folder / 'empty'}; `qarchive list` shows what there is"
    assert not (folder / "x.qar").exists()


def test_a_path_that_is_taken_is_left_as_it_is(lab, folder):
    (folder / "there").write_text("mine")
    os.mkfifo(folder / "pipe")
    for path, force, said in ((folder / "there", False, "is there already; name another file, or say --force"),
                              (folder, True, "is a folder; name a file in it, such as jobs.qar"),
                              (folder / "pipe", True, "is no file; name a file, such as jobs.qar")):  # fmt: skip
        with pytest.raises(BadInput) as caught:
            lab.export(path, force=force)
        assert str(caught.value) == f"{path}: {said}"
    assert (folder / "there").read_text() == "mine"
    lab.export(folder / "there", force=True)
    assert len(qarchive.open(folder / "there").jobs()) == 2


def test_removals_and_keys_stay_here(lab, folder):
    lab._store.commit([blob(pack.RECORD, records.removal_record(job=Link(bytes.fromhex(lab.job("p1").id))))], durable=True)
    lab.export(folder / "x.qar")
    path = folder / "x.qar"
    name = pack.id_inside(path)
    entries = [entry for commit in pack.scan(path, pack=name) if type(commit) is pack.Commit for entry in commit.entries]
    assert all(entry.key is None for entry in entries) and len(ids(qarchive.open(path))) == 1
    assert entries[0].kind == pack.BUNDLE and entries[-1].kind == pack.RECORD


def test_a_bundle_is_plain_zstd_of_plain_msgpack(lab, folder):
    import msgpack
    import zstandard

    lab.export(folder / "x.qar", author="Curie, Marie", orcid="0000-0002-1825-0097", licence="CC-BY-4.0")
    with open(folder / "x.qar", "rb") as file:
        data = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    values = list(unpacker)
    said = values[0]
    assert said.pop("created").code == 6
    assert said == {
        "type": "bundle",
        "archive": lab.id,
        "author": "Curie, Marie",
        "orcid": "0000-0002-1825-0097",
        "licence": "CC-BY-4.0",
    }
    assert len(values) == 1 + sum(kind["blobs"] for kind in lab.statistics()["kinds"].values())


def test_more_than_anybody_takes_in_is_not_written(lab, folder, monkeypatch):
    big = building.blob("input", ["x" * 1000] * 17_000)
    lab._store.commit([big, *hostile.job(3, input=Link(big.digest))[1:]], durable=True)
    job = hostile.job(3, input=Link(big.digest))[2].digest.hex()[:12]
    large = (f"the input {big.digest.hex()[:12]}: has {len(big.data):,} bytes, and more than 16,777,216 of one blob are not "
             f"taken in; leave out job {job}")  # fmt: skip
    many = "the bundle: would hold {} blobs, and one holds at most 3; export a part of the jobs at a time, such as a month"
    for patch, said in ({}, large), ({"MAX_BLOB": 1 << 30, "MAX_BLOBS": 3}, many):
        for name, value in patch.items():
            monkeypatch.setattr(limits, name, value)
        with pytest.raises(BadInput) as caught:
            lab.export(folder / "x.qar")
        count = selection.select(lab._store, lab._store.index.all_jobs(), []).blobs if patch else 0
        assert str(caught.value) == said.format(count)
        assert list(folder.glob("*.qar")) == []


# Credentials


def _planted(kind: str, value: object, **fields) -> list[Blob]:
    """A job with a blob that went into the store beneath the stage, where credentials are removed."""
    held = blob(kind, value)
    return [held, *hostile.job(7, input=Link(held.digest), **fields)[1:]]


SECRETS = {
    "jwt": ("input", {"note": f"run with {JWT}"}),
    "crn": ("config", {"instance": CRN}),
    "bearer": ("result", {"headers": ["Authorization: Bearer abcdefghijklmnop"]}),
    "under a telling key": ("backend", {"token": "anything"}),
    "in bytes": ("qpy", b"\0\1QISKIT" + JWT.encode() + b"\xff\0"),
    "in a file": ("attachment", {"type": "file", "name": "run.py", "content": f"service('{CRN}')".encode()}),
    "in the environment": ("input", {"x": "an-unlikely-secret-41"}),
    "of ibm, in a file": ("input", {"x": "k" * 44}),
    "of perceval, in a file": ("qpy", b"\0" + b"q" * 30 + b"\0"),
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_credential_is_not_given_away(lab, folder, case, monkeypatch):
    monkeypatch.setenv("LAB_TOKEN", "an-unlikely-secret-41")
    home = Path(os.environ["HOME"])
    (home / ".qiskit").mkdir(parents=True)
    (home / ".qiskit" / "qiskit-ibm.json").write_text(json.dumps({"default": {"channel": "ibm_cloud", "token": "k" * 44}}))
    monkeypatch.setenv("PCVL_PERSISTENT_PATH", str(home))
    (home / "config.json").write_text(json.dumps({"remote": {"token": "q" * 30}}))
    planted = _planted(*SECRETS[case])
    lab._store.commit(planted, durable=True)
    with pytest.raises(BadInput) as caught:
        lab.export(folder / "x.qar")
    digest, job = planted[0].digest.hex()[:12], planted[-1].digest.hex()[:12]
    assert str(caught.value) == (f"the {planted[0].kind} {digest}: holds what looks like a credential, and is not given away; "
                                 f"`qarchive cat {digest}` shows it; leave out job {job}")  # fmt: skip
    assert list(folder.glob("*x.qar*")) == []
    assert lab.export(folder / "x.qar", ["p1", "vqe"]).jobs == 2  # without that job it works
    with qarchive.open(folder / "other") as other:
        assert other.merge(lab.path).jobs == sorted(ids(lab))  # between archives of one's own nothing is given away


def test_all_jobs_behind_a_credential_are_named(lab, folder):
    shared = blob("config", {"password": "hunter2hunter2"})
    jobs = [hostile.job(number, config=Link(shared.digest)) for number in range(10, 15)]
    lab._store.commit([shared, *(each for job in jobs for each in (job[0], job[2]))], durable=True)
    record = hostile.job(20, names=[JWT])
    lab._store.commit(record, durable=True)
    with pytest.raises(BadInput) as caught:
        lab.export(folder / "x.qar", [job[2].digest.hex() for job in jobs])
    named = ", ".join(job[2].digest.hex()[:12] for job in jobs[:3])
    assert caught.value.hint == f"`qarchive cat {shared.digest.hex()[:12]}` shows it; leave out the jobs {named} and 2 more"
    with pytest.raises(BadInput) as caught:
        lab.export(folder / "x.qar", [record[2].digest.hex()])
    assert caught.value.what == f"the record {record[2].digest.hex()[:12]}"
    assert caught.value.hint.endswith(f"leave out job {record[2].digest.hex()[:12]}")


# Names


def test_names_that_could_not_be_shared_are_not_recorded(lab):
    for attempt, said in (
        (lambda: lab.context(group="a\x1b[31m"), r"group: holds 'a\x1b[31m' with the control character U+001B; leave it out"),
        (lambda: lab.context(tags=["a\nb"]), r"tags: holds 'a\nb' with the control character U+000A; leave it out"),
        (lambda: lab.group("\u202ex"), r"the name of a group: is '\u202ex' with the control character U+202E; leave it out"),
        (
            lambda: lab.job("p1").attach("\x07", 1),
            r"the name of an attachment: is '\x07' with the control character U+0007; leave it out",
        ),
    ):
        with pytest.raises(BadInput) as caught:
            attempt()
        assert str(caught.value) == said


def test_names_of_an_sdk_are_escaped_and_found_again():
    link = Link(bytes(32))
    record = records.job_record(provider="aer", kind="simulator", backend="b\r", input=link, config=link, shots=1, size=1,
                                names=["be\x1bll", "Gödel"], labels={"group": "g\x00", "tags": ["t\n"]})  # fmt: skip
    assert record["names"] == [r"be\x1bll", "Gödel"] and record["backend"] == r"b\r"
    assert record["labels"] == {"group": r"g\x00", "tags": [r"t\n"]}
    assert records.obeyed_name(record) is None
    assert records.group_record(name="a\x85", archive="", number=1)["name"] == r"a\x85"
    sent = records.sent_record(job=link, attempt=link, provider_job="x\x9b", batch="y\x07")
    assert (sent["provider_job"], sent["batch"]) == (r"x\x9b", r"y\x07")


def test_an_older_archive_with_such_names_says_which_job_has_them(lab, folder):
    job = hostile.job(9, names=["\x1bbell"])
    lab._store.commit(job, durable=True)
    with pytest.raises(BadInput) as caught:
        lab.export(folder / "x.qar")
    said = "has the circuit name '\\x1bbell' with the control character U+001B, which nobody would take in; leave it out"
    assert str(caught.value) == f"the job {job[2].digest.hex()[:12]}: {said}"


# Reading without importing


def test_a_bundle_is_read_where_it_lies_and_never_written_to(lab, folder):
    path = folder / "x.qar"
    lab.export(path)
    before, entries = path.read_bytes(), sorted(folder.iterdir())
    with qarchive.open(path) as bundle:
        temporary = bundle._store._folder
        assert (bundle.path, bundle.id, ids(bundle)) == (path, lab.id, ids(lab))
        job = bundle.job("p1")
        assert (job.status, job.origin, job.seal) == ("DONE", lab.id, lab.job("p1").seal)
        assert [(group.name, len(group)) for group in bundle.groups()] == [("vqe", 1)] and bundle.group("vqe").name == "vqe"
        assert bundle.statistics()["jobs"] == bundle.reindex() == 2
        assert bundle.verify(deep=True).findings == []
        assert bundle.export(folder / "y.qar", ["p1"]).jobs == 1
        for attempt in (lambda: bundle.group("new"), lambda: job.attach("note", "x"), lambda: bundle.import_(path),
                        lambda: bundle.merge(lab.path), lambda: bundle.delete_group("vqe")):  # fmt: skip
            with pytest.raises(BadInput) as caught:
                attempt()
            assert str(caught.value) == f"{path}: is a bundle, which is only read; `qarchive import` takes it into an archive"
        assert list(temporary.rglob("*.pack"))
    assert path.read_bytes() == before and sorted(folder.iterdir()) == [*entries, folder / "y.qar"] and not temporary.exists()


def test_what_is_no_whole_bundle_is_not_opened(lab, folder):
    path = folder / "x.qar"
    lab.export(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(qarchive.errors.Damaged):
        qarchive.open(path)
    assert not list(Path(qarchive.bundles.reading.tempfile.gettempdir()).glob("qarchive-bundle-*"))


# Four people


_REVIEWER = """
import socket, sys
def refuse(*_, **__): raise OSError("no network here")
socket.socket.connect = socket.getaddrinfo = refuse
for sdk in ("qiskit", "qiskit_aer", "qiskit_ibm_runtime", "perceval", "pulser", "pasqal_cloud", "numpy"): sys.modules[sdk] = None
from qarchive.cli import main
main(sys.argv[1:])
"""


def test_two_collaborators_a_third_with_the_bundle_and_a_reviewer_see_the_same(folder, monkeypatch):
    """Ada runs on Aer, Ben adds a note and a job of his own; Cy has only the bundle; a reviewer neither SDK nor network."""
    import qiskit
    import qiskit_aer as aer

    monkeypatch.setenv("HOME", str(folder / "home"))
    bell = qiskit.QuantumCircuit(2, name="bell")
    bell.h(0)
    bell.cx(0, 1)
    bell.measure_all()
    with qarchive.open(folder / "ada") as ada, qarchive.open(folder / "ben") as ben:
        backend = ada.wrap(aer.AerSimulator())
        with ada.context(group="paper"):
            counts = backend.run(bell, shots=100, seed_simulator=1).result().get_counts()
        ben.wrap(aer.AerSimulator()).run(bell, shots=50, seed_simulator=2).result()
        ben.merge(ada.path)
        job = ada.job("latest").id
        ben.job(job).attach("note", "as in figure 2")
        ada.merge(ben.path)
        assert (ada.job(job).origin, ben.job(job).origin) == (None, ada.id)
        assert (
            ids(ada) == ids(ben)
            and ada.job(job).seal == ben.job(job).seal
            and ada.job(job).attachment("note") == "as in figure 2"
        )
        assert len(ada.groups()) == len(ben.groups()) == 1
        written = ben.export(folder / "paper.qar")
        assert written.jobs == 2
        with qarchive.open(folder / "cy") as cy:
            cy.import_(folder / "paper.qar")
            assert ids(cy) == ids(ada) and cy.job(job).counts() == counts and cy.job(job).result().get_counts() == counts
            assert cy.job(job).seal == ada.job(job).seal and cy.verify(deep=True).findings == []
        seal = ada.job(job).seal
    environment = {name: value for name, value in os.environ.items() if name != "QARCHIVE"}

    def review(*arguments: str) -> str:
        command = [sys.executable, "-c", _REVIEWER, "--archive", "paper.qar", *arguments]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=60)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    assert [each["id"] for each in json.loads(review("list", "--json"))["jobs"]].count(job) == 1
    shown = json.loads(review("show", job[:12], "--json"))
    assert (shown["seal"], len(shown["origin"])) == (seal, 32)
    assert json.loads(review("result", job[:12], "--json"))["circuits"][0]["counts"] == counts
    assert "no damage" in review("verify", "--deep")


# The command line


def test_export_import_and_merge_on_the_command_line(lab, folder, monkeypatch):
    monkeypatch.chdir(folder)
    lab.close()
    near = "there is one at lab: `qarchive --archive lab`, or `export QARCHIVE=lab`; `qarchive init` makes one"
    for arguments, code, said in (
        (
            ["export", "-o", "x.qar"],
            2,
            "what to export: is not said; name jobs or groups, give an option such as --since 7d, or --all",
        ),
        (["export", "--all", "p1", "-o", "x.qar"], 2, "--all: says all, and what stands beside it says less; give either"),
        (["export", "p1", "-o", "x.qar", "--crate", "lab"], 2, "lab: is there already; name a new folder or .zip file"),
        (["import", "nosuch.qar"], 2, "nosuch.qar: cannot be read (no such file or directory); give the path of a bundle"),
        (["import", "lab"], 2, "lab: is a folder; `qarchive merge` takes the folder of an archive"),
        (["merge", "lab"], 2, "lab: is this archive itself; name the other one"),
        (["merge", "nosuch"], 3, f"no archive at nosuch; {near}"),
    ):
        assert run("--archive", "lab", *arguments) == (code, "", f"qarchive: {said}\n")
    assert list(folder.glob("*.qar")) == []
    code, out, err = run(
        "--archive", "lab", "export", "vqe", "p1", "-o", "x.qar", "--author", "Curie, Marie", "--licence", "CC0-1.0"
    )
    size = qarchive.cli.output.size((folder / "x.qar").stat().st_size)
    assert (code, out) == (0, "") and err.startswith(f"qarchive: wrote 2 jobs and 1 group to x.qar: {size}, ")
    code, out, err = run("--archive", "new", "import", "x.qar")
    moment = err.split(", made ")[1].split(",")[0]
    said = f"qarchive: x.qar (archive {lab.id[:8]}, made {moment}, Curie, Marie, CC0-1.0): "
    assert (code, out, err) == (0, "", f"qarchive: made an archive in new\n{said}2 jobs new, 1 group\n")
    assert run("--archive", "new", "merge", "x.qar", "lab")[2] == (
        f"{said}nothing that was not here\nqarchive: lab (archive {lab.id[:8]}): nothing that was not here\n")  # fmt: skip
    code, out, err = run("--archive", "new", "merge", "lab", "--json")
    taken = json.loads(out)["taken"]
    assert taken == [
        {"path": "lab", "origin": lab.id, "said": {}, "jobs": [], "known": [], "restored": [], "groups": [], "size": 0}
    ]
    assert f"origin        archive {lab.id}\n" in run("--archive", "x.qar", "show", "p1")[1]
    assert json.loads(run("--archive", "lab", "show", "p1", "--json")[1])["origin"] is None
    assert json.loads(run("--archive", "lab", "export", "p1", "-o", "x.qar", "--force", "--json")[1])["jobs"] == 1


def test_groups_of_one_name_are_listed_apart(lab, folder):
    with qarchive.open(folder / "other") as other:
        other.group("vqe")
        other.merge(lab.path)
    code, out, _ = run("--archive", folder / "other", "group", "list")
    header, *rows = out.splitlines()
    assert code == 0 and header.startswith("ID            MADE IN           NAME ")
    assert [row[14:36].split() for row in rows] == [["archive", lab.id[:8], "vqe"], ["here", "vqe"]]
    assert len({row.split()[0] for row in rows}) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_what_is_for_others_can_be_read_by_those_whom_the_umask_lets(lab, folder):
    """An archive is its owner's alone; a bundle and what lies on a mounted share are not."""
    before = os.umask(0o027)
    try:
        lab.export(folder / "for others.qar")
        lab.add_remote("share", str(folder / "share"))
        lab.push("share")
    finally:
        os.umask(before)
        lab.remove_remote("share")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder / "for others.qar", *(folder / "share").rglob("*"))}
    assert modes.pop("packs") == (folder / "share").stat().st_mode & 0o777 == 0o750
    assert len(modes) == 3 and set(modes.values()) == {0o640}


def test_damage_in_a_bundle_says_where_to_get_it_again(lab, folder):
    lab.export(folder / "cut.qar")
    content = (folder / "cut.qar").read_bytes()
    (folder / "cut.qar").write_bytes(content[:-9])
    code, out, err = run("--archive", folder / "cut.qar", "list")
    assert (code, out) == (5, "")
    assert err.endswith("; nothing of it is taken; get it again from where it came\n")


def test_a_bundle_has_no_remotes_and_is_made_no_archive(lab, folder):
    lab.export(folder / "whole.qar")
    only_read = f"qarchive: {folder / 'whole.qar'}: is a bundle, which is only read; `qarchive import` takes it into an archive\n"
    for words in (("remote", "add", "x", str(folder / "x")), ("remote", "remove", "x"), ("push",), ("pull",)):
        assert run("--archive", folder / "whole.qar", *words) == (2, "", only_read)
    assert run("--archive", folder / "whole.qar", "remote", "list")[0] == 0
    reason = f"qarchive: {folder / 'whole.qar'}: is a file; an archive is a folder\n"
    assert run("--archive", folder / "whole.qar", "init") == (2, "", reason)


def test_a_terminal_is_never_sent_what_a_bundle_says(folder):
    """An author may hold anything but control characters; a path may hold them."""
    path = folder / "x\x1b[31m.qar"
    path.write_bytes(b"no bundle")
    code, out, err = run("--archive", folder / "lab", "import", path)
    assert (code, out) == (2, "") and "\x1b" not in err


def test_an_archive_that_is_read_leaves_nothing_behind(lab, folder):
    lab.export(folder / "x.qar")
    code = f"import qarchive; a = qarchive.open({str(folder / 'x.qar')!r}); print(len(a.jobs()), a._store._folder)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out[0] == "2" and not Path(out[1]).exists()
    shutil.rmtree(lab.path)


def test_codec_still_joins_what_fits():
    chunks: dict[bytes, bytes] = {}

    def spill(piece: bytes) -> Link:
        chunks[codec.digest(piece)] = piece
        return Link(codec.digest(piece))

    data = codec.encode(b"x" * (3 << 20), spill)
    assert codec.decode(data, lambda link: chunks[link.digest]) == b"x" * (3 << 20)


def test_damage_in_a_bundle_that_was_taken_in_is_remembered(lab, folder):
    lab.export(folder / "x.qar")
    with qarchive.open(folder / "other") as other:
        other.import_(folder / "x.qar")
        path = next((other.path / "packs").glob("*.pack"))
        data = bytearray(path.read_bytes())
        data[-len(data) // 2] ^= 1  # in the middle, whatever stands there
        path.write_bytes(data)
        other._store.index.close()
        assert other.verify(deep=True).damaged
        mended = other._store.index.mended
        assert other.verify(deep=True).damaged and other._store.index.mended == mended  # it is marked, and the mark is read
        other.import_(folder / "x.qar")
        assert other.verify(deep=True).findings == [] and ids(other) == ids(lab)  # the same bundle has mended it

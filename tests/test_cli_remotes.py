"""`qarchive remote`, `push`, `pull`, `fetch --from` and `export --thin`, as a user types them."""

import json

import pytest
from building import build
from click.testing import CliRunner

from qarchive.cli import main
from qarchive.store import Store


class Lab:
    def __init__(self, folder):
        self.folder, self.jobs = folder, [build(i, created=10**18 + i * 10**9) for i in range(3)]
        store = Store.create(folder / "one")
        for job in self.jobs:
            store.commit(job.blobs, durable=False)
        store.close()

    def run(self, archive, *words, code=0):
        done = CliRunner().invoke(main, ["--archive", str(self.folder / archive), *words], prog_name="qarchive")
        assert done.exit_code == code, (done.stdout, done.stderr)
        return done.stdout, done.stderr.replace(str(self.folder), "~")


@pytest.fixture
def lab(folder):
    return Lab(folder)


def test_a_remote_is_added_listed_and_removed(lab):
    disk = str(lab.folder / "disk")
    assert lab.run("one", "remote", "list") == ("", "qarchive: no remote; `qarchive remote add NAME URL` adds one\n")
    assert lab.run("one", "remote", "add", "disk", disk) == ("", "qarchive: the remote disk is now ~/disk\n")
    assert lab.run("one", "remote", "list")[0].replace(str(lab.folder), "~") == "NAME  URL\ndisk  ~/disk\n"
    assert json.loads(lab.run("one", "remote", "list", "--json")[0]) == {
        "schema": "qarchive/remotes/1", "remotes": [{"name": "disk", "url": disk}]}  # fmt: skip
    out = lab.run("one", "remote", "remove", "disk", "--json")[0]
    assert json.loads(out) == {"schema": "qarchive/remote/1", "archive": str(lab.folder / "one"), "name": "disk", "url": disk}
    assert lab.run("one", "remote", "remove", "disk", code=3)[1] == (
        "qarchive: a remote 'disk' is not in ~/one; `qarchive remote add NAME URL` adds one\n"
    )
    assert "Know folders and S3 buckets" in lab.run("one", "remote")[0]
    assert list(json.loads(lab.run("one", "remote", "--json")[0])["commands"]) == ["add", "list", "remove"]


def test_push_and_pull(lab):
    lab.run("one", "remote", "add", "disk", str(lab.folder / "disk"))
    assert lab.run("one", "push", lab.jobs[0].id.hex())[1].startswith("qarchive: sent 1 job or group in 1 pack, ")
    assert lab.run("one", "push", "--to", "disk")[1].startswith("qarchive: sent 2 jobs and groups in 1 pack, ")
    assert lab.run("one", "push") == ("", "qarchive: the remote holds all of it\n")
    lab.run("two", "remote", "add", "disk", str(lab.folder / "disk"))
    assert lab.run("two", "pull")[1].startswith("qarchive: 3 new jobs in 2 packs, ")
    assert lab.run("two", "pull", "--from", "disk") == ("", "qarchive: all that the remote holds is here\n")
    report = json.loads(lab.run("one", "push", "--json")[0])
    assert report == {"schema": "qarchive/push/1", "jobs": 3, "groups": 0, "sent": 0, "blobs": 0, "packs": 0, "size": 0,
                      "problems": {}}  # fmt: skip
    report = json.loads(lab.run("one", "pull", "--json")[0])
    assert report == {"schema": "qarchive/pull/1", "jobs": [], "known": [], "restored": [], "groups": [], "packs": 0, "size": 0}


def test_fetch_from_a_remote(lab):
    lab.run("one", "remote", "add", "disk", str(lab.folder / "disk"))
    lab.run("one", "push")
    lab.run("two", "remote", "add", "disk", str(lab.folder / "disk"))
    job = lab.jobs[1].id.hex()
    assert lab.run("two", "fetch", job[:16], "--from", "disk") == (f"{job[:12]}  DONE  \n", "")
    assert len(lab.run("two", "list")[0].splitlines()) == 2
    assert lab.run("two", "fetch", code=2)[1] == (
        "qarchive: what to fetch: is not said; give a cloud and a job's id there, a file, or JOB --from REMOTE\n"
    )
    assert lab.run("two", "fetch", job, "x", "--from", "disk", code=2)[1] == (
        "qarchive: --from: takes one job; say `qarchive fetch JOB --from REMOTE`, or `qarchive pull` for all\n"
    )
    assert lab.run("two", "fetch", "0" * 16, "--from", "disk", code=3)[1] == (
        f"qarchive: job {'0' * 16} is not in ~/disk; `qarchive pull` takes all that it holds\n"
    )


def test_a_thin_export(lab):
    lab.run("one", "remote", "add", "disk", str(lab.folder / "disk"))
    lab.run("one", "push", lab.jobs[0].id.hex())
    out = lab.run("one", "export", "--all", "-o", str(lab.folder / "x.qar"), "--thin", "disk", "--json")[0]
    assert json.loads(out)["omitted"] > 0
    lab.run("one", "push")
    err = lab.run("one", "export", "--all", "-o", str(lab.folder / "y.qar"), "--thin", "disk")[1]
    assert err.endswith(" left out that disk holds\n") and ", 0 blobs of 0 B; " in err
    reading = f"qarchive: no job in {lab.folder / 'y.qar'}; whoever exported it left out what a remote holds\n"
    found = CliRunner().invoke(main, ["--archive", str(lab.folder / "y.qar"), "list"])
    assert (found.exit_code, found.stdout, found.stderr) == (0, "", reading)


def test_a_remote_that_is_not_mounted(lab):
    lab.run("one", "remote", "add", "disk", str(lab.folder / "disk"))
    (lab.folder / "disk/packs").rmdir()
    message = "qarchive: ~/disk: is not there, or holds no remote; is it mounted? `qarchive remote add` makes a new one\n"
    assert lab.run("one", "push", code=2) == ("", message)
    assert lab.run("one", "pull", code=2) == ("", message)

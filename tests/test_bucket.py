"""Remotes in S3: a real server on loopback, through a wire that counts and breaks."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request

import pytest
from building import build, lacking

import qarchive
from qarchive.errors import BadInput, MissingExtra, NotFound, Unreachable
from qarchive.remotes import bucket, pushing
from qarchive.store import Store

START = 10**18


class Wire:
    """A way to the server that counts bytes in both directions and can be cut after so many of them."""

    def __init__(self, port):
        self.target, self.moved, self.left = port, 0, None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.target))
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one, other):
        try:
            while data := one.recv(1 << 16):
                if self.left is not None:
                    self.left -= len(data)
                    if self.left < 0:
                        break
                self.moved += len(data)
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()


@pytest.fixture(scope="session")
def server():
    from moto.server import ThreadedMotoServer

    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    yield found.get_host_and_port()[1]
    found.stop()


@pytest.fixture
def wire(server, monkeypatch, request):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    found = Wire(server)
    yield found
    found.close()


@pytest.fixture
def url(wire, server, request):
    """An empty bucket, behind the wire."""
    name = f"lab-{abs(hash(request.node.name))}"
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server}/{name}", method="PUT")).close()
    return f"s3://{name}/qpu?endpoint=http://127.0.0.1:{wire.port}&region=us-east-1"


def filled(path, jobs, url):
    store = Store.create(path)
    for job in jobs:
        store.commit(job.blobs, durable=False)
    store.close()
    archive = qarchive.open(path)
    archive.add_remote("lab", url)
    return archive


def built(number, **options):
    return [build(i, created=START + i * 10**9, **options) for i in range(number)]


def test_what_is_pushed_is_pulled_as_it_was(folder, url):
    jobs = built(12)
    one, other = filled(folder / "one", jobs, url), filled(folder / "other", (), url)
    assert one.push().packs == 1
    assert (one.push().packs, one.pull().packs) == (0, 0)
    assert len(other.pull().jobs) == 12
    assert lacking(other._store, jobs) == []


def test_fetching_one_job_of_many_moves_little_over_the_wire(folder, url, wire):
    jobs = built(200, size=20_000)
    one, other = filled(folder / "one", jobs, url), filled(folder / "other", (), url)
    one.push()
    wire.moved = 0
    assert other.fetch_from("lab", jobs[99].id.hex()[:20]).id == jobs[99].id.hex()
    assert wire.moved < sum(len(blob.data) for blob in jobs[99].blobs) + 20_000  # a dozen requests with their headers
    assert lacking(other._store, [jobs[99]]) == []


def test_put_if_absent(folder, url):
    archive = filled(folder / "one", (), url)
    backend = archive._remote(None).backend
    assert (backend.put("a", b"first"), backend.put("a", b"second"), backend.read("a", 0, 10)) == (True, False, b"first")
    assert backend.read("a", 2, 2) == b"rs"
    assert backend.read("a", 7, 2) == b""
    assert [(each.name, each.size) for each in backend.objects()] == [("a", 5)]
    with pytest.raises(NotFound) as error:
        backend.read("b", 0, 1)
    assert str(error.value) == f"b is not in {url}"


def test_a_push_whose_line_breaks_is_gone_on_with(folder, url, wire, monkeypatch):
    monkeypatch.setattr(pushing, "PACK_SIZE", 30_000)
    monkeypatch.setattr(bucket, "_RETRIES", 1)
    jobs = built(10, size=20_000)
    one = filled(folder / "one", jobs, url)
    wire.left = 120_000
    with pytest.raises(Unreachable) as error:
        one.push()
    assert str(error.value).startswith(f"{url} cannot be reached: ")
    assert str(error.value).endswith("; run it again; it goes on where it stopped")
    wire.left = None
    there = sum(1 for each in one._remote(None).backend.objects() if each.name.endswith(".pack"))
    assert there > 0
    wire.moved = 0
    sent = one.push()
    assert sent.packs > 0
    assert wire.moved < sum(len(blob.data) for job in jobs for blob in job.blobs)
    other = filled(folder / "other", (), url)
    wire.left = 150_000
    with pytest.raises(Unreachable):
        other.pull()
    wire.left = None
    came = len(other.jobs())
    kept = list((folder / "other/packs").iterdir())  # taken, or waiting for the pack that it refers to
    assert came < 10 and kept
    wire.moved = 0
    assert len(other.pull().jobs) == 10 - came
    assert wire.moved < sum(len(blob.data) for job in jobs for blob in job.blobs)
    assert list((folder / "other/packs").glob("*.import")) == []
    assert lacking(other._store, jobs) == []


def test_several_pushers_at_once(folder, url, monkeypatch):
    jobs = built(20, size=20_000)
    filled(folder / "one", jobs, url).close()
    code = ("import qarchive, sys; from qarchive.remotes import pushing; pushing.PACK_SIZE = 60_000\n"
            f"print(qarchive.open({str(folder / 'one')!r}).push().packs)")  # fmt: skip
    pushers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sent = [int(pusher.communicate(timeout=60)[0]) for pusher in pushers]
    other = filled(folder / "other", (), url)
    listed = [each.name for each in other._remote(None).backend.objects()]
    assert sum(sent) == sum(name.endswith(".pack") for name in listed) == len(listed) // 2 > 3
    assert len(other.pull().jobs) == 20
    assert lacking(other._store, jobs) == []


def test_a_bucket_that_is_not_there(folder, wire):
    one = filled(folder / "one", built(1), f"s3://nobodys?endpoint=http://127.0.0.1:{wire.port}&region=us-east-1")
    with pytest.raises(BadInput) as error:
        one.push()
    where = f"s3://nobodys?endpoint=http://127.0.0.1:{wire.port}&region=us-east-1"
    assert str(error.value) == f"{where}: there is no bucket nobodys; make it, or name another"


def test_a_server_that_does_not_answer(folder, url, wire, monkeypatch):
    monkeypatch.setattr(bucket, "_RETRIES", 1)
    one = filled(folder / "one", built(1), url)
    wire.close()
    wire.left = 0
    with pytest.raises(Unreachable) as error:
        one.push()
    assert (
        str(error.value)
        == f"{url} cannot be reached: http error: error sending request; run it again; it goes on where it stopped"
    )


def test_refused_access_shows_nothing_that_the_server_said(folder, monkeypatch):
    class Refusing(threading.Thread):
        def __init__(self):
            super().__init__(daemon=True)
            self.listener = socket.create_server(("127.0.0.1", 0))

        def run(self):
            body = b"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>tester</AWSAccessKeyId></Error>"
            while True:
                try:
                    line, _ = self.listener.accept()
                except OSError:
                    return
                line.recv(1 << 16)
                line.sendall(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                line.close()

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")
    server = Refusing()
    server.start()
    where = f"s3://lab?endpoint=http://127.0.0.1:{server.listener.getsockname()[1]}&region=us-east-1"
    one = filled(folder / "one", built(1), where)
    with pytest.raises(BadInput) as error:
        one.push()
    server.listener.close()
    assert str(error.value) == f"{where}: access is denied; are the AWS credentials in the environment those of this bucket?"


def test_credentials_are_those_of_the_profile_where_the_environment_has_none(folder, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    file = folder / "credentials"
    file.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n[lab]\naws_access_key_id = c\n"
                    "aws_secret_access_key = d\naws_session_token = e\n")  # fmt: skip
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert bucket._profile() == {"access_key_id": "a", "secret_access_key": "b"}
    monkeypatch.setenv("AWS_PROFILE", "lab")
    assert bucket._profile() == {"access_key_id": "c", "secret_access_key": "d", "session_token": "e"}
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    assert bucket._profile() == {}


def test_without_obstore_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    archive = qarchive.open(folder / "one")
    with pytest.raises(MissingExtra) as error:
        archive.add_remote("lab", "s3://bucket")
    assert str(error.value) == "s3://bucket needs more than is installed; run `pip install 'qarchive[s3]'`"

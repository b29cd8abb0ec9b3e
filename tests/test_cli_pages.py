"""The commands report and serve, as processes of their own: files, streams, exit codes, whole messages."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from building import Child, build
from page_lab import Page

import qarchive
from qarchive.store import Store

ROOT = Path(qarchive.__file__).parent.parent
# A program that runs the command line where none of these can be imported.
WITHOUT = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
from qarchive.cli import main
main()
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """An archive of three jobs, and a folder of one's own to work in."""
    for name in ("QARCHIVE", "QARCHIVE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / f".{name.lower()}"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    store = Store.create(tmp_path / "lab")
    for number in range(3):
        store.commit(build(number, tags=["paper"] if number else []).blobs, durable=True)
    store.close()
    return tmp_path


def run(*words, code=0, program=("-m", "qarchive")):
    done = subprocess.run([sys.executable, *program, "--archive", "lab", *words], capture_output=True, timeout=60)
    assert (done.returncode, b"Traceback" in done.stderr) == (code, False), done.stderr
    return done.stdout.decode(), done.stderr.decode()


def test_report_writes_a_page(lab):
    out, err = run("report", "latest", "-o", "page.html")
    page = Path("page.html")
    size = page.stat().st_size
    assert (out, err) == ("", f"qarchive: wrote 1 job to page.html: {size / 1000:.1f} kB\n")
    assert Page(page.read_text(encoding="utf-8")).said("h1").startswith("Job ")
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE(page.stat().st_mode) == 0o666 & ~mask  # it is made to be handed on
    assert sorted(path.name for path in lab.iterdir() if path.suffix == ".html" or path.name.startswith(".page")) == ["page.html"]


def test_report_writes_over_a_file_only_if_told(lab):
    Path("page.html").write_text("mine")
    _, err = run("report", "latest", "-o", "page.html", code=2)
    assert err == "qarchive: page.html: is there already; name another file, or say --force\n"
    assert Path("page.html").read_text() == "mine"
    run("report", "latest", "-o", "page.html", "--force")
    assert Path("page.html").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("words", [("latest",), ("latest", "-o", "-")])
def test_report_goes_down_a_pipe(lab, words):
    out, err = run("report", *words)
    assert err == "" and Page(out).said("h1").startswith("Job ")


def test_report_takes_the_filters_of_list(lab):
    out, _ = run("report", "--tag", "paper", "--status", "done", "-o", "page.html", "--json")
    document = json.loads(out)
    assert (document["schema"], document["whole"], document["problems"]) == ("qarchive/report/1", 2, [])
    with qarchive.open("lab") as archive:
        assert document["jobs"] == [job.id for job in archive.jobs(tag="paper")]
    assert document["bytes"] == Path("page.html").stat().st_size


@pytest.mark.parametrize("words, code, told", [
    (("report",), 2, "what to report: is not said; name jobs or groups, or give an option such as --since 7d"),
    (("report", "latest", "--json"), 2, "the page: has nowhere to go; name a file: -o page.html"),
    (("report", "latest", "-o", "-", "--json"), 2, "-o - and --json: both go to stdout; give one of them"),
    (("report", "latest", "-o", "."), 2, ".: is a folder; name a file in it, such as page.html"),
    (("report", "latest", "-o", "/dev/null"), 2, "/dev/null: is no file; name a file, such as page.html"),
    (("report", "latest", "-o", "none/page.html"), 2,
     "none/page.html: is in a folder that is not there; make it: mkdir -p none"),
    (("report", "ffffffff", "-o", "p.html"), 3, "job 'ffffffff' is not in lab; `qarchive list` shows what there is"),
    (("report", "--tag", "x", "-o", "p.html"), 3, "a job with tag x is not in lab; `qarchive list` shows what there is"),
])  # fmt: skip
def test_what_report_refuses(lab, words, code, told):
    _, err = run(*words, code=code)
    if "--json" in words:
        told, err = told, json.loads(err)["message"]
    else:
        told = f"qarchive: {told}\n"
    assert err == told
    assert not list(lab.glob("*.html"))


def test_report_needs_no_sdk_and_no_extra(lab):
    names = {"qiskit", "qiskit_aer", "perceval", "pulser", "numpy", "flask", "waitress", "matplotlib", "pandas"}
    _, err = run("report", "latest", "-o", "page.html", program=("-c", WITHOUT.format(names=names)))
    assert err.startswith("qarchive: wrote 1 job to page.html")


def test_report_of_damage_is_a_page_and_exit_code_5(lab):
    with qarchive.open("lab") as archive:
        job = archive.job("latest")
        [(path, place)] = archive._store.index.places(job.record["config"].digest)
    with open(path, "r+b") as pack:
        pack.seek(place.frame + place.stored // 2)
        [byte] = pack.read(1)
        pack.seek(-1, 1)
        pack.write(bytes([byte ^ 1]))
    _, err = run("report", job.id, "-o", "page.html", code=5)
    [wrote, damage] = err.splitlines()
    assert wrote.startswith("qarchive: wrote 1 job to page.html") and str(path) in damage
    assert "This cannot be read." in Page(Path("page.html").read_text()).said("strong")


@contextmanager
def serving(*words, program=("-m", "qarchive")):
    """A server of the archive, and its first line of output."""
    command = [sys.executable, *program, "--archive", "lab", "serve", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def test_serve_prints_where_it_is_and_ends_with_ctrl_c(lab):
    with serving("--port", "0") as (process, url):
        with urllib.request.urlopen(url, timeout=30) as answer:
            page = Page(answer.read().decode())
            assert "waitress" not in answer.headers.get("Server", "")
        assert "3 jobs" in page.said("p")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, "", "qarchive: interrupted")


def test_serve_listens_on_the_loopback_interface_alone(lab):
    with serving("--port", "0", "--json") as (_, line):
        document = json.loads(line)
        assert (document["schema"], document["path"]) == ("qarchive/serve/1", "lab")
        port = int(document["url"].rpartition(":")[2].strip("/"))
        sockets = Path("/proc/net/tcp").read_text().splitlines()
        listening = [line.split()[1] for line in sockets if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")]
        assert listening == [f"0100007F:{port:04X}"]


@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")])
def test_another_account_on_the_same_computer_is_refused(lab, family, host):
    ours = "import os; os.getuid = lambda: 4242; from qarchive.cli import main; main()"  # root may be asking, and may always ask
    with serving("--port", "0", program=("-c", ours)) as (_, url):
        port = int(url.rpartition(":")[2].strip("/"))

        def ask(tell):
            if os.getuid() == 0:
                os.setuid(65534)
            with socket.socket(family) as connection:
                connection.connect((host, port))
                connection.sendall(f"GET / HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                answer = connection.makefile().read().splitlines()
                tell(answer[0])
                tell(answer[-1])

        told, code = Child(ask).wait()
    refused = "This archive is shown to the account alone that started `qarchive serve` on this computer."
    assert (told, code) == (["HTTP/1.0 403 Forbidden", refused], 0)


def test_a_port_that_is_taken_is_said(lab):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, err = run("serve", "--port", str(port), code=2)
    assert err == f"qarchive: port {port}: is taken; name another one, or 0 for any that is free\n"


def test_serve_says_which_extra_to_install(lab):
    _, err = run("serve", code=7, program=("-c", WITHOUT.format(names={"flask"})))
    assert err == "qarchive: qarchive serve needs more than is installed; run `pip install 'qarchive[serve]'`\n"

"""The code state: the commit, whether it was altered, the script's hash; no path, no address, and never in the way of a run."""

import hashlib
import os
import subprocess
import sys
import time

import pytest

from qarchive import codec, config, entries
from qarchive.cli import reading
from qarchive.code_state import TIMEOUT_S, code_state
from qarchive.providers.base import Execution
from qarchive.stage import Stage
from qarchive.values import Link

SCRIPT = b"print('a sweep')\n"
IDENTITY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "init.defaultBranch=main")


def git(folder, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True, env=clean
    ).stdout


@pytest.fixture
def started(monkeypatch):
    """Makes this process look as if a file had been started, or none."""

    def start(file):
        main = sys.modules["__main__"]
        if file is None:
            monkeypatch.delattr(main, "__file__", raising=False)
        else:
            monkeypatch.setattr(main, "__file__", str(file), raising=False)
        return code_state.__wrapped__()

    return start


@pytest.fixture(scope="module")
def cloned(tmp_path_factory):
    """A repository with a script in a folder of it, all committed, and a remote with a password in its address."""
    folder = tmp_path_factory.mktemp("secret-project")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "sweep.py").write_bytes(SCRIPT)
    git(folder, "init")
    git(folder, "remote", "add", "origin", "https://jane:hunter22@example.org/secret.git")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


@pytest.fixture
def repository(cloned, tmp_path):
    """A copy of it for one test."""
    subprocess.run(["cp", "-r", str(cloned), str(tmp_path / "project")], check=True)
    return tmp_path / "project"


def commit_of(folder):
    return git(folder, "rev-parse", "HEAD").strip()


def script_of(name="sweep.py"):
    return {"name": name, "sha256": hashlib.sha256(SCRIPT).digest()}


def test_it_is_the_commit_and_the_script_and_nothing_else(cloned, started):
    found = started(cloned / "scripts" / "sweep.py")
    assert found == {"commit": commit_of(cloned), "dirty": False, "script": script_of()}
    data = codec.encode(found)
    assert not any(word in data for word in (b"/", b"secret", b"hunter22", b"jane", b"nobody"))


def test_an_altered_file_makes_it_dirty_and_one_that_git_does_not_track_does_not(repository, started):
    (repository / "notes.txt").write_text("new")
    assert started(repository / "scripts" / "sweep.py")["dirty"] is False
    (repository / "scripts" / "sweep.py").write_bytes(b"altered")
    found = started(repository / "scripts" / "sweep.py")
    assert (found["dirty"], found["commit"]) == (True, commit_of(repository))
    assert found["script"]["sha256"] == hashlib.sha256(b"altered").digest()


def test_it_writes_nothing_into_the_repository_and_runs_nothing_of_it(repository, started):
    alarm = repository / "alarm"
    hook = repository / "hook.sh"
    hook.write_text(f"#!/bin/sh\ntouch {alarm}\n")
    hook.chmod(0o700)
    git(repository, "config", "core.fsmonitor", str(hook))
    (repository / "scripts" / "sweep.py").touch()  # git would write to its index that nothing was altered
    index = (repository / ".git" / "index").read_bytes()
    assert started(repository / "scripts" / "sweep.py")["dirty"] is False
    assert not alarm.exists()
    assert (repository / ".git" / "index").read_bytes() == index


def test_a_worktree_and_a_detached_head_have_their_own_commit(repository, started):
    git(repository, "commit", "--allow-empty", "-m", "second")
    git(repository, "worktree", "add", "--detach", str(repository.parent / "other"), "HEAD~1")
    assert started(repository.parent / "other" / "scripts" / "sweep.py")["commit"] == commit_of(repository.parent / "other")
    assert commit_of(repository.parent / "other") != commit_of(repository)


def test_variables_of_git_do_not_lead_elsewhere(repository, started, monkeypatch, tmp_path):
    git(tmp_path, "init", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere" / ".git"))
    assert started(repository / "scripts" / "sweep.py")["commit"] == commit_of(repository)


def test_without_a_script_it_is_the_repository_of_the_working_directory(cloned, started, monkeypatch):
    monkeypatch.chdir(cloned / "scripts")
    assert started(None) == {"commit": commit_of(cloned), "dirty": False}


def test_an_installed_program_is_no_script(cloned, started, monkeypatch):
    monkeypatch.chdir(cloned)
    assert started(pytest.__file__) == {"commit": commit_of(cloned), "dirty": False}
    assert started(os.path.join(sys.prefix, "bin", "qarchive")) == {"commit": commit_of(cloned), "dirty": False}


def test_without_a_repository_there_is_the_script_alone_and_without_either_nothing(tmp_path, started, monkeypatch):
    (tmp_path / "run.py").write_bytes(SCRIPT)
    assert started(tmp_path / "run.py") == {"script": script_of("run.py")}
    monkeypatch.chdir(tmp_path)
    assert started(None) == {}
    assert started(tmp_path / "gone.py") == {}
    assert started(tmp_path / "program.zip" / "__main__.py") == {}


def test_a_repository_without_a_commit_has_none(tmp_path, started):
    git(tmp_path, "init")
    (tmp_path / "run.py").write_bytes(SCRIPT)
    assert started(tmp_path / "run.py") == {"script": script_of("run.py")}


def test_without_git_there_is_no_commit(cloned, started, monkeypatch):
    monkeypatch.setenv("PATH", str(cloned))
    assert started(cloned / "scripts" / "sweep.py") == {"script": script_of()}


def test_a_git_that_does_not_answer_is_left_and_the_commit_alone_is_asked_for(cloned, started, monkeypatch, tmp_path):
    commit = commit_of(cloned)
    slow = tmp_path / "git"
    slow.write_text(f'#!/bin/sh\ncase "$*" in *rev-parse*) echo {commit};; *) exec sleep 30;; esac\n')
    slow.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = time.monotonic()
    assert started(cloned / "scripts" / "sweep.py") == {"commit": commit, "script": script_of()}
    assert time.monotonic() - before < 10 * TIMEOUT_S


def test_a_working_directory_that_is_gone_breaks_nothing(tmp_path, started, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert started(None) == {}


# In records

LINK = Link(bytes(32))
EXECUTION = Execution(provider="aer", kind="simulator", backend_name="b", input=LINK, config=LINK, backend=LINK)


@pytest.fixture
def recorded(store, cloned, monkeypatch, started):
    """Stages an attempt as a process does that was started with the repository's script; the link of its `code` field."""
    started(cloned / "scripts" / "sweep.py")
    monkeypatch.setattr(config, "user_config_path", lambda name: store.path / "config")
    monkeypatch.delenv("QARCHIVE_CODE")

    def record(ours=True):
        entries._code.cache_clear()
        code_state.cache_clear()
        stage = Stage(store)
        attempt = entries.put_attempt(stage, LINK, 1, EXECUTION, ours)
        code = codec.decode(stage.blobs[attempt.digest].data).get("code")
        if code is not None:
            assert stage.blobs[code.digest].kind == "code"
            return codec.decode(stage.blobs[code.digest].data)
        assert not any(blob.kind == "code" for blob in stage.blobs.values())
        return None

    yield record
    entries._code.cache_clear()
    code_state.cache_clear()


def test_an_attempt_links_to_it_and_one_that_was_captured_later_does_not(recorded, cloned):
    assert recorded() == {"commit": commit_of(cloned), "dirty": False, "script": script_of()}
    assert recorded(ours=False) is None


@pytest.mark.parametrize(("variable", "setting", "kept"), [
    (None, None, True), ("off", None, False), ("on", None, True), (None, "off", False), (None, "on", True), ("on", "off", True),
    ("off", "on", False), ("anything", None, False), ("", "off", False),
])  # fmt: skip
def test_the_user_may_want_none_of_it(recorded, monkeypatch, variable, setting, kept):
    if variable is not None:
        monkeypatch.setenv("QARCHIVE_CODE", variable)
    config.write("code", setting)
    assert (recorded() is not None) == kept


def test_settings_that_cannot_be_read_are_no_consent(recorded):
    config.config_file().parent.mkdir(parents=True, exist_ok=True)
    config.config_file().write_text("code = ")
    assert recorded() is None


def test_it_is_found_once_a_process(store, recorded, cloned, monkeypatch):
    recorded()
    entries._code.cache_clear()
    code_state.cache_clear()
    stages = [Stage(store), Stage(store)]
    entries.put_attempt(stages[0], LINK, 1, EXECUTION)
    monkeypatch.setenv("PATH", "")  # no git any more
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "/gone.py", raising=False)
    entries.put_attempt(stages[1], LINK, 2, EXECUTION)
    one, other = ([digest for digest, blob in stage.blobs.items() if blob.kind == "code"] for stage in stages)
    assert one == other and len(one) == 1


def test_a_secret_in_a_scripts_name_is_not_kept(recorded, started, tmp_path):
    (tmp_path / "ghp_0123456789abcdefghij.py").write_bytes(SCRIPT)
    started(tmp_path / "ghp_0123456789abcdefghij.py")
    assert recorded() == {"script": script_of("[redacted key].py")}


@pytest.mark.parametrize(("code", "line"), [
    ({}, ""),
    ({"commit": "ab" * 20, "dirty": False}, "commit abababababab"),
    ({"commit": "ab" * 20, "dirty": True, "script": {"name": "a\x1b.py", "sha256": bytes(32)}},
     "commit abababababab, with tracked files altered; script a\\x1b.py 000000000000"),
    ({"script": {"name": "scan.py", "sha256": bytes(32)}}, "script scan.py 000000000000"),
])  # fmt: skip
def test_show_says_it_on_one_line(code, line):
    assert reading._code(code) == line

"""What no decoder does, whatever it reads: start a process, talk to a network, load a pickled class, write a file."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.remove", "os.rename", "os.mkdir", "os.rmdir",
              "subprocess.Popen", "socket.connect", "socket.getaddrinfo", "urllib.Request", "pickle.find_class", "marshal.loads",
              "shutil.")  # fmt: skip
_watching: list[list[str]] = []


@contextmanager
def watched(calls: list[str]) -> Iterator[None]:
    """What is forbidden goes into `calls` while the context lasts. SDKs import modules of theirs meanwhile: that is allowed."""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    _watching.append(calls)
    try:
        yield
    finally:
        _watching.pop()


_installed: list[bool] = []


def _hook(event: str, args: tuple) -> None:
    if _watching and event.startswith(_FORBIDDEN) and not _importing(event):
        _watching[-1].append(f"{event} {args!r}"[:200])


def _importing(event: str) -> bool:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False

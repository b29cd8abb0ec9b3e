"""The server: on the loopback interface, by waitress, until it is interrupted."""

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any

from ..archive import Archive
from ..errors import BadInput, MissingExtra
from . import account

_HOST = "127.0.0.1"
_THREADS = 8
_REFUSED = b"This archive is shown to the account alone that started `qarchive serve` on this computer.\n"


class Server:
    """Listens from the start; `url` is where. Raises BadInput for a port that is taken, MissingExtra."""

    def __init__(self, archive: Archive, port: int):
        try:
            import waitress

            from .app import make
        except ImportError as error:
            if (error.name or "").partition(".")[0] not in ("flask", "waitress", "werkzeug"):
                raise
            raise MissingExtra("qarchive serve", "serve") from None
        bound = _bound(port)
        self.port = bound.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}/"
        hosts = frozenset(f"{name}:{self.port}" for name in (_HOST, "localhost"))
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # requests that wait are no news
        application = self._to_own(make(archive, hosts))
        self._server = waitress.create_server(application, sockets=[bound], threads=_THREADS, ident=None)

    def run(self) -> None:
        """Answer until it is interrupted, which is raised again."""
        self._server.run()
        raise KeyboardInterrupt

    def _to_own(self, application: Callable) -> Callable:
        """The same application, for the account alone that started it: others on this computer reach its port, too."""

        def answer(environ: dict[str, Any], start: Callable) -> Iterable[bytes]:
            if account.is_foreign((environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])), (_HOST, self.port)):
                start("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(_REFUSED)))])
                return [_REFUSED]
            return application(environ, start)

        return answer


def _bound(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name != "nt":  # there it would share a port that is taken
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((_HOST, port))
    except OSError as error:
        found.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        raise BadInput(f"port {port}", reason, "name another one, or 0 for any that is free") from None
    return found

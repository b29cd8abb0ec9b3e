"""The server: on the loopback interface, by waitress, until it is interrupted."""

import errno
import logging
import os
import socket

from ..archive import Archive
from ..errors import BadInput, MissingExtra

_HOST = "127.0.0.1"
_THREADS = 8


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
        self._server = waitress.create_server(make(archive, hosts), sockets=[bound], threads=_THREADS, ident=None)

    def run(self) -> None:
        """Answer until it is interrupted, which is raised again."""
        self._server.run()
        raise KeyboardInterrupt


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

"""No network: what a process is replayed with, whichever library it would be reached by."""

import ipaddress
import socket
import sys
from typing import Any

from ..errors import QArchiveError


class NoNetwork(QArchiveError):
    """A connection that a replay has tried to make. It is no OSError: SDKs would take that for a bad line and try again."""

    def __init__(self, where: str):
        self.where = where
        super().__init__(
            f"a replay has no network, and {where} was to be reached; what is asked for is not in the archive, or is never kept"
        )


def block() -> None:
    """From now on, and for good, this process and those that it forks reach nobody but by Unix sockets. Raises nothing."""
    sys.addaudithook(_watch)


def _watch(event: str, args: tuple) -> None:
    if event[:7] != "socket.":
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sending, address = args[0], args[1]
        if address is not None and sending.family != getattr(socket, "AF_UNIX", None):
            raise NoNetwork(_shown(address))
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr") and not _is_here(args[0]):
        raise NoNetwork(_shown(args[0]))


def _is_here(host: Any) -> bool:
    """Whether a name is known without asking anybody: an address in numbers, or this machine's."""
    if isinstance(host, bytes | bytearray):
        host = host.decode("latin-1")
    if not host or host in ("localhost", socket.gethostname()):
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _shown(address: Any) -> str:
    if isinstance(address, tuple):
        return ":".join(map(str, address[:2]))
    return address.decode("latin-1") if isinstance(address, bytes | bytearray) else str(address)

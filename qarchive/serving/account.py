"""Whose the program is at the other end of a connection to this computer: Linux tells, in its tables of sockets."""

import ipaddress
import os
import sys
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # proc(5): local, remote, state, queues, timer, retransmits, user
_LOOKS = 3  # a row may be passed over while others come and go
_ROOT = 0

Place = tuple[str, int]  # of a socket: address, port


def is_foreign(client: Place, server: Place) -> bool:
    """Whether the client is another account's, neither ours nor root's. False where the system does not tell."""
    if not hasattr(os, "getuid"):
        return False
    for _ in range(_LOOKS):
        users = {}
        for path in _TABLES:
            try:
                users |= owners(path.read_text("ascii"))
            except FileNotFoundError:
                continue
        if (server, client) not in users:
            return False  # not even our own end is there: no such tables
        if (client, server) in users:
            return users[client, server] not in (os.getuid(), _ROOT)
    return True  # it went away meanwhile, and reads no answer


def owners(table: str) -> dict[tuple[Place, Place], int]:
    """{(local, remote): number of the user} of a table of sockets."""
    rows = (line.split() for line in table.splitlines()[1:])
    return {(_place(row[1]), _place(row[2])): int(row[7]) for row in rows if len(row) > 7}


def _place(text: str) -> Place:
    """Words of four bytes in the computer's own order, in hexadecimal; an address of IPv4 may be mapped into IPv6."""
    address, _, port = text.partition(":")
    words = (bytes.fromhex(address[at : at + 8]) for at in range(0, len(address), 8))
    found = ipaddress.ip_address(b"".join(word[::-1] if sys.byteorder == "little" else word for word in words))
    return str(getattr(found, "ipv4_mapped", None) or found), int(port, 16)

"""How much of a stranger's is taken in: every limit is looked at before the memory is taken."""

from ..errors import BadInput

MAX_BLOB = 16 << 20  # bytes; decoded it takes a multiple of this in memory
MAX_RECORD = 1 << 20  # bytes; whoever lists jobs reads all records about one of them
MAX_ABOUT = 8 << 20  # bytes of all records about one job or group
MAX_FRAME = 16 << 20  # bytes, unpacked; it is unpacked as a whole
MAX_HEADER = 8 << 20  # bytes of what a commit lists
MAX_TRAILER = 32 << 20  # bytes of what all commits list
MAX_BLOBS = 1 << 19  # so many fit into a trailer
MAX_SAID = 1 << 10  # characters of what a bundle says of itself
FREE, RATIO = 64 << 20, 256  # unpacked a bundle may have this many bytes, and so many times its size
MAX_PARTS = 5 << 19  # lists, maps and ext values in one blob, of which each takes a hundred times its byte

_BEGINNINGS = bytes([*range(0x80, 0xA0), *range(0xC7, 0xCA), *range(0xD4, 0xD9), *range(0xDC, 0xE0)])  # of all those


def parts(data: bytes) -> int:
    """At most so many lists, maps and ext values stand in msgpack: nothing is decoded for it."""
    return len(data) - len(data.translate(None, _BEGINNINGS))


def excess(kind: str, size: int, data: bytes = b"") -> str | None:
    """Why a blob of a kind and of so many bytes, perhaps `data`, is too much for those who do not know where it is from."""
    most = MAX_RECORD if kind == "record" else MAX_BLOB
    if size > most:
        return f"has {size:,} bytes, and more than {most:,} of one {'record' if kind == 'record' else 'blob'} are not taken in"
    if len(data) > MAX_PARTS and (found := parts(data)) > MAX_PARTS:
        return f"seems to have {found:,} parts, and more than {MAX_PARTS:,} of one blob are not taken in"
    return None


def check_count(blobs: int) -> None:
    """Raises BadInput for more blobs than one bundle holds."""
    if blobs > MAX_BLOBS:
        raise BadInput("the bundle", f"would hold {blobs:,} blobs, and one holds at most {MAX_BLOBS:,}",
                       "export a part of the jobs at a time, such as a month")  # fmt: skip

"""Write spec/vectors: values, refused bytes, a tiny archive, what it says, and what must be noticed when a byte is flipped.

    python tools/make_vectors.py [FOLDER]

Ids, times and compression are fixed, so running it again gives the same bytes, whatever version of zstd there is. The text
that describes a value is written by hand here, or the vectors would only say what the code says.
"""

import hashlib
import json
import sys
from pathlib import Path

import reader  # beside this file
import tag_vectors  # beside this file

from qarchive import codec, columns, pack, trees
from qarchive.values import Array, Chunked, Link, Timestamp, Typed

LINK = Link(bytes(range(32)))
LINK_TEXT = "link(000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f)"
NAN = float("nan")

# (name, the value as text in the notation of tools/reader.py, the value)
VALUES = [
    ("nil", "nil", None),
    ("false", "false", False),
    ("true", "true", True),
    ("zero", "0", 0),
    ("largest of one byte", "127", 127),
    ("smallest of two bytes", "128", 128),
    ("unsigned 8 bits end", "255", 255),
    ("unsigned 16 bits begin", "256", 256),
    ("unsigned 16 bits end", "65535", 65535),
    ("unsigned 32 bits begin", "65536", 65536),
    ("unsigned 64 bits begin", "4294967296", 1 << 32),
    ("largest that msgpack holds", "18446744073709551615", (1 << 64) - 1),
    ("big integer", "18446744073709551616", 1 << 64),
    ("negative of one byte", "-32", -32),
    ("negative of two bytes", "-33", -33),
    ("signed 8 bits end", "-128", -128),
    ("signed 16 bits begin", "-129", -129),
    ("signed 64 bits begin", "-2147483649", -(1 << 31) - 1),
    ("smallest that msgpack holds", "-9223372036854775808", -(1 << 63)),
    ("big negative integer", "-9223372036854775809", -(1 << 63) - 1),
    ("big integer with a sign byte", "604462909807314587353088", 1 << 79),
    ("zero as a float", "0.0", 0.0),
    ("minus zero", "-0.0", -0.0),
    ("float", "0.1", 0.1),
    ("the one NaN", "nan", NAN),
    ("infinity", "inf", float("inf")),
    ("minus infinity", "-inf", float("-inf")),
    ("empty text", '""', ""),
    ("text", '"\\u03c8 = |0\\u27e9"', "ψ = |0⟩"),
    ("text is not normalised", '["\\u00e9", "e\\u0301"]', ["\u00e9", "e\u0301"]),
    ("text beyond the first plane", '"\\ud834\\udd1e"', "𝄞"),
    ("text of 32 bytes", '"' + "x" * 32 + '"', "x" * 32),
    ("text of 256 bytes", '"' + "x" * 256 + '"', "x" * 256),
    ("bytes", 'h"00ff"', b"\x00\xff"),
    ("bytes of length 256", 'h"' + "00" * 256 + '"', bytes(256)),
    ("empty list", "[]", []),
    ("list", '[1, "a", nil]', [1, "a", None]),
    ("list of 16", "[" + ", ".join(["0"] * 16) + "]", [0] * 16),
    ("empty map", "{}", {}),
    ("map in the order of UTF-8", '{"": 1, "B": 2, "a": 3, "\\u00e9": 4, "\\uffff": 5, "\\ud834\\udd1e": 6}',
     {"𝄞": 6, "\uffff": 5, "é": 4, "a": 3, "B": 2, "": 1}),
    ("tuple", "(1, (), [2])", (1, (), [2])),
    ("set in the order of bytes", 'set(1, "a", 200, -1)', {"a", -1, 200, 1}),
    ("map with other keys", 'map(0: "zero", "a": "text", (1, 2): "pair")', {"a": "text", (1, 2): "pair", 0: "zero"}),
    ("complex", "complex(-0.0, nan)", complex(-0.0, NAN)),
    ("timestamp", "time(2024-02-29T12:34:56.000000789Z)", Timestamp(1_709_210_096_000_000_789)),
    ("timestamp before 1970", "time(1969-12-31T23:59:59.999999999Z)", Timestamp(-1)),
    ("array of floats", 'array(<f8, [2, 1], h"000000000000f03f000000000000f07f")',
     Array("<f8", (2, 1), bytes.fromhex("000000000000f03f000000000000f07f"))),
    ("array of one number", 'array(<i2, [], h"feff")', Array("<i2", (), b"\xfe\xff")),
    ("array without items", 'array(|u1, [3, 0], h"")', Array("|u1", (3, 0), b"")),
    ("booleans", 'array(|b1, [3], h"010001")', Array("|b1", (3,), b"\1\0\1")),
    ("array in chunks", f"array(<c16, [262145], chunked(4194320, [{', '.join([LINK_TEXT] * 5)}]))",
     Array("<c16", (262145,), Chunked(4194320, (LINK,) * 5))),
    ("long byte string", f"chunked(4194305, [{', '.join([LINK_TEXT] * 5)}])", Chunked(4194305, (LINK,) * 5)),
    ("link", LINK_TEXT, LINK),
    ("typed", 'tag(slice, [0, nil, 2])', Typed("slice", [0, None, 2])),
    ("counts", "tag(counts, [0, [3, 4], [1, 1000, 2]])", columns.pack_counts({"0x3": 1000, "0x0": 1, "0x7": 2})),
    ("counts of 33 states", f'tag(counts, [5, [{", ".join(["2"] * 31 + ["256"])}], array(<u2, [33], h"{"0100" * 32}2c01")])',
     columns.pack_counts({hex(5 + 2 * i): 1 for i in range(32)} | {hex(5 + 2 * 31 + 256): 300})),
    ("counts of 34 states", f'tag(counts, [0, array(<u2, [33], h"{"0100" * 32}0001"), array(|u1, [34], h"{"02" * 34}")])',
     columns.pack_counts(dict.fromkeys(map(hex, [*range(33), 32 + 256]), 2))),
    ("counts of 64 qubits", "tag(counts, [1, [18446744073709551614], [5, 4]])",
     columns.pack_counts({"0xffffffffffffffff": 4, "0x1": 5})),
    ("counts of 65 qubits", 'tag(counts, [array(|u1, [2, 9], h"000000000000000001010000000000000000"), [5, 4]])',
     columns.pack_counts({"0x10000000000000000": 4, "0x1": 5})),
    ("counts of other states", 'tag(counts, [["0", "1", "00"], [3, 1, 2]])', columns.pack_counts({"1": 1, "00": 2, "0": 3})),
    ("counts of nothing", "tag(counts, [[], []])", columns.pack_counts({})),
    ("counts of the memory beside them", "tag(counts, nil)", Typed("counts", None)),
    ("memory", "tag(memory, [0, [3], [1, 0, 0, 1]])", columns.pack_memory(["0x3", "0x0", "0x0", "0x3"])),
    ("memory of 33 shots", f'tag(memory, [2, [], array(|u1, [33], h"{"00" * 33}")])', columns.pack_memory(["0x2"] * 33)),
    ("memory of other states", 'tag(memory, [["a b", "0x01"], [1, 0]])', columns.pack_memory(["0x01", "a b"])),
]  # fmt: skip


# (name, whether integers and texts are fixed, the tree, its template and its columns as text)
TREES = [
    ("floats", False, {"b": [0.5, -0.0], "a": NAN}, '{"a": h"6e", "b": [h"6e", h"6e"]}',
     '{"numbers": array(<f8, [3], h"000000000000f87f000000000000e03f0000000000000080")}'),
    ("an integer and nil where others have a float", True, [{"v": 1}, {"v": 0.5}, {"v": None}, {"w": 1}],
     '[{"v": h"6e"}, {"v": h"6e"}, {"v": h"6e"}, {"w": 1}]',
     '{"kinds": array(|u1, [3], h"010002"), "numbers": array(<f8, [3], h"000000000000f03f000000000000e03f0000000000000000")}'),
    ("integers", False, [300, 0, True, 1 << 63], '[h"69", h"69", true, 9223372036854775808]',
     '{"integers": array(<u2, [2], h"2c010000")}'),
    ("integers with a negative one", False, [-129, 1], '[h"69", h"69"]', '{"integers": array(<i2, [2], h"7fff0100")}'),
    ("texts", False, {"a": "x", "b": ["y", "x"]}, '{"a": h"73", "b": [h"73", h"73"]}',
     '{"texts": {"places": array(|u1, [3], h"000100"), "table": ["x", "y"]}}'),
    ("fixed integers and texts", True, {"name": "T1", "qubits": [0, 1], "value": 0.5},
     '{"name": "T1", "qubits": [0, 1], "value": h"6e"}', '{"numbers": array(<f8, [1], h"000000000000e03f")}'),
    ("times", True, ["2024-02-29T12:34:56-05:00", "2024-02-29T12:34:57-05:00"], '[h"74", h"74"]',
     '{"times": {"first": 1709228096, "forms": ["T-05:00"], "seconds": array(|u1, [2], h"0001")}}'),
    ("times of several forms", True, [Timestamp(1), "1970-01-01 00:00:00.5", "1970-01-01T05:30:01Z", "1970-01-01T05:30:01+0530"],
     '[h"74", h"74", h"74", h"74"]',
     ('{"times": {"first": 0, "form": array(|u1, [4], h"00010203"), "forms": [nil, " 1", "TZ", "T+0530"], '
      '"ns": array(<u4, [4], h"010000000065cd1d0000000000000000"), "seconds": array(<u2, [4], h"00000000594d0100")}}')),
    ("texts that are no times", True, ["2024-02-30T00:00:00Z", "2024-02-29", "1500-01-01T00:00:00Z"],
     '["2024-02-30T00:00:00Z", "2024-02-29", "1500-01-01T00:00:00Z"]', "{}"),
]  # fmt: skip


def nested(depth: int, inner: str) -> str:
    return "91" * depth + inner


def ext(code: int, payload: str) -> str:
    """An ext value in its shortest form; all in hexadecimal."""
    size = len(payload) // 2
    short = {1: "d4", 2: "d5", 4: "d6", 8: "d7", 16: "d8"}.get(size)
    head = short or (f"c7{size:02x}" if size < 256 else f"c8{size:04x}")
    return f"{head}{code:02x}{payload}"


# (name, error, bytes): each is refused for one reason
REFUSED = [
    ("nothing", "NotCanonical", ""),
    ("two values", "NotCanonical", "0101"),
    ("the byte that msgpack never uses", "NotCanonical", "c1"),
    ("an integer in more bytes than it needs", "NotCanonical", "cc7f"),
    ("16 bits for 255", "NotCanonical", "cd00ff"),
    ("64 bits for 2^32 - 1", "NotCanonical", "cf00000000ffffffff"),
    ("a signed form for 1", "NotCanonical", "d001"),
    ("two bytes for -32", "NotCanonical", "d0e0"),
    ("a float of 32 bits", "NotCanonical", "ca3f800000"),
    ("another NaN", "NotCanonical", "cb7ff8000000000001"),
    ("a negative NaN", "NotCanonical", "cbfff8000000000000"),
    ("a signalling NaN", "NotCanonical", "cb7ff0000000000001"),
    ("text of 1 byte with a length byte", "NotCanonical", "d90161"),
    ("text that is not UTF-8", "NotCanonical", "a1ff"),
    ("text with a surrogate", "NotCanonical", "a3eda080"),
    ("overlong UTF-8", "NotCanonical", "a2c0af"),
    ("text that ends early", "NotCanonical", "a261"),
    ("bytes of length 1 with two length bytes", "NotCanonical", "c5000100"),
    ("bytes said to be 4 GiB", "NotCanonical", "c6ffffffff00"),
    ("a list of one with two length bytes", "NotCanonical", "dc000100"),
    ("a list said to have 4 billion items", "NotCanonical", "ddffffffff00"),
    ("a map said to have 4 billion keys", "NotCanonical", "dfffffffff00"),
    ("keys out of order", "NotCanonical", "82a16201a16101"),
    ("a key twice", "NotCanonical", "82a16101a16102"),
    ("a key that is no text", "NotCanonical", "810101"),
    ("a key that is a byte string", "NotCanonical", "81c4016101"),
    ("65 lists inside one another", "NotCanonical", nested(64, "90")),
    ("a link at depth 65", "NotCanonical", nested(64, ext(9, "00" * 32))),
    ("a chunked byte string in a set", "NotCanonical", ext(2, "91" + ext(8, "92ce00400001" + "95" + ext(9, "00" * 32) * 5))),
    ("an ext type of one byte with a length byte", "NotCanonical", "c7010190"),
    ("ext type 0", "NewerFormat", "d40000"),
    ("ext type 11", "NewerFormat", "d40b90"),
    ("ext type 127", "NewerFormat", "d47f00"),
    ("msgpack's own time", "NotCanonical", "d6ff00000000"),
    ("ext type -2", "NotCanonical", "d4fe00"),
    ("a tuple without its list", "NotCanonical", "d40101"),
    ("a tuple with something behind its list", "NotCanonical", "d5019000"),
    ("a set out of order", "NotCanonical", ext(2, "920201")),
    ("a set with an item twice", "NotCanonical", ext(2, "920101")),
    ("a set of 1 and 1.0", "NotCanonical", ext(2, "9201cb3ff0000000000000")),
    ("a set of 1 and true", "NotCanonical", ext(2, "9201c3")),
    ("a set of NaN and NaN", "NotCanonical", ext(2, "92cb7ff8000000000000cb7ff8000000000000")),
    ("a set that holds a list", "NotCanonical", ext(2, "9190")),
    ("a set that holds a set", "NotCanonical", ext(2, "91" + ext(2, "90"))),
    ("an ext map that could be a map", "NotCanonical", ext(3, "92a16101")),
    ("an empty ext map", "NotCanonical", ext(3, "90")),
    ("an ext map with a key and no value", "NotCanonical", ext(3, "9101")),
    ("an ext map out of order", "NotCanonical", ext(3, "9402000100")),
    ("a complex number of 8 bytes", "NotCanonical", ext(4, "00" * 8)),
    ("a complex number with another NaN", "NotCanonical", ext(4, "7ff8000000000001" + "00" * 8)),
    ("a big integer that is not big", "NotCanonical", ext(5, "01")),
    ("a big integer with a byte too many", "NotCanonical", ext(5, "0000010000000000000000")),
    ("an empty big integer", "NotCanonical", ext(5, "")),
    ("a timestamp of 4 bytes", "NotCanonical", ext(6, "00" * 4)),
    ("an array of objects", "NotCanonical", ext(7, "93a27c4f9101c40100")),
    ("an array in big-endian order", "NotCanonical", ext(7, "93a33e69329101c4020000")),
    ("an array with a byte too few", "NotCanonical", ext(7, "93a33c69329101c40100")),
    ("an array whose sizes overflow 64 bits", "NotCanonical", ext(7, "93a37c753192cf400000000000000004c400")),
    ("an array without items and with a size of 2^24 + 1", "NotCanonical", ext(7, "93a37c753192ce0100000100c400")),
    ("a boolean of 2", "NotCanonical", ext(7, "93a37c62319101c40102")),
    ("an array without its items", "NotCanonical", ext(7, "92a37c753190")),
    ("a chunked byte string that is short", "NotCanonical", ext(8, "9201" + "91" + ext(9, "00" * 32))),
    ("a chunked byte string with a chunk too few", "NotCanonical", ext(8, "92ce00400001" + "94" + ext(9, "00" * 32) * 4)),
    ("a link of 31 bytes", "NotCanonical", ext(9, "00" * 31)),
    ("a typed value without a value", "NotCanonical", ext(10, "91a161")),
    ("a tag that is no name", "NotCanonical", ext(10, "92a22e2e00")),
]

PACK_SEALED, PACK_OPEN = bytes.fromhex("00112233445566778899aabbccddeeff"), bytes.fromhex("0123456789abcdef0123456789abcdef")
PACK_BUNDLE = bytes.fromhex("fedcba98765432100123456789abcdef")
IDENTITY = {"format": 1, "id": "fedcba9876543210fedcba9876543210", "created": "2024-03-01T00:00:00.000000000Z"}
START = 1_709_251_200_000_000_000


class RawFrames:
    """A zstd compressor that compresses nothing (RFC 8878: one raw block), so that its bytes are the same with every zstd."""

    def compress(self, data: bytes) -> bytes:
        if len(data) < 256:
            size = b"\x20" + len(data).to_bytes(1, "little")
        else:
            size = b"\x60" + (len(data) - 256).to_bytes(2, "little")
        return b"\x28\xb5\x2f\xfd" + size + (1 | len(data) << 3).to_bytes(3, "little") + data


class Building:
    """A pack being built."""

    def __init__(self, name: bytes):
        self.name, self.data = name, b""
        self.staged: list[pack.Blob] = []

    def put(self, kind: str, value: object, key: bytes | None = None) -> Link:
        data = codec.encode(value)
        self.staged.append(pack.Blob(kind, codec.digest(data), data, key))
        return Link(codec.digest(data))

    def commit(self, synced: int) -> None:
        self.staged.sort(key=lambda blob: blob.kind == pack.RECORD)
        self.data += pack.build(self.name, len(self.data), synced, self.staged, RawFrames())
        self.staged = []

    def write(self, folder: Path, sealed: bool, brief: bool = False) -> None:
        path = folder / f"{self.name.hex()}.pack"
        path.write_bytes(self.data)
        if sealed:
            content = hashlib.sha256(self.data).digest()
            path.write_bytes(self.data + pack.build_trailer(self.name, len(self.data), content, list(pack.scan(path)), brief))


def job(number: int, given: Link, config: Link, **more: object) -> dict:
    return {"type": "job", "provider": "aer", "kind": "simulator", "backend": "aer_simulator", "input": given, "config": config,
            "shots": 1000, "size": 1, "created": Timestamp(START + number), "nonce": bytes([number]) * 16, **more}  # fmt: skip


def attempt(of: Link, number: int, status: str, backend: Link, environment: Link, **more: object) -> dict:
    return {"type": "attempt", "job": of, "number": number, "status": status, "backend": backend, "environment": environment,
            "created": Timestamp(START + 100 + number), "nonce": bytes([number]) * 8, **more}  # fmt: skip


def member(group: Link, author: str, sequence: int, first: int, **more: object) -> dict:
    return {"group": group, "author": author, "sequence": sequence, "first": first, **more}


def outcome(of: Link, about: Link, status: str, word: str, **more: object) -> dict:
    return {"type": "outcome", "job": of, "attempt": about, "status": status, "provider_status": word,
            "created": Timestamp(START + 200), **more}  # fmt: skip


def write_archive(folder: Path) -> None:
    """Three jobs: one done, one refused and then done, one being sent when a wire broke. And a group of five others, one of them
    removed and restored. And a bundle: a job of somebody else's, and what he says of ours, which is ended here."""
    packs = folder / "packs"
    packs.mkdir(parents=True, exist_ok=True)
    check = codec.digest(codec.encode([IDENTITY["format"], IDENTITY["id"], IDENTITY["created"]])).hex()[:16]
    (folder / "archive.json").write_text(json.dumps(IDENTITY | {"check": check}, indent=1) + "\n", "utf-8", newline="\n")

    first = Building(PACK_SEALED)
    angles = Array("<f8", (2,), bytes(8) + b"\0\0\0\0\0\0\xf0?")
    given = first.put("input", {"circuits": [{"name": "bell", "angles": angles}]}, key=bytes(32))
    config = first.put("config", {"options": {"seed": 7}, "range": Typed("range", [0, 4, 1])})
    backend = first.put("backend", {"name": "aer_simulator", "basis": {"cx", "h"}})
    environment = first.put("environment", {"python": "3.11.9", "packages": {"qiskit": "2.0.0"}})
    labels = {"group": "demo", "tags": ["paper"], "params": {"x": 0.5}}
    done = first.put("record", job(1, given, config, names=["bell"], labels=labels))
    gaps = [{"what": "input.metadata", "reason": "a lock"}]
    sending = first.put("record", attempt(done, 1, "RUNNING", backend, environment, gaps=gaps))
    first.commit(synced=0)
    end = len(first.data)
    result = first.put("result", {"counts": columns.pack_counts({"0x0": 493, "0x3": 507})})
    first.put("record", outcome(done, sending, "DONE", "DONE", result=result, volatile={"time_taken": 0.25}))
    first.commit(synced=end)
    first.write(packs, sealed=True)

    second = Building(PACK_OPEN)
    retried = second.put("record", job(2, given, config, parent=done))
    refused = second.put("record", attempt(retried, 1, "SENDING", backend, environment))
    second.put("record", outcome(retried, refused, "REFUSED", "402", error={"type": "Refused", "message": "no credit left"}))
    again = second.put("record", attempt(retried, 2, "SENDING", backend, environment))
    second.commit(synced=0)
    end = len(second.data)
    about = {"job": retried, "attempt": again}
    sent = {"type": "sent", **about, "status": "QUEUED", "provider_job": "cloud-17", "batch": "b-1"}
    second.put("record", sent | {"created": Timestamp(START + 150)})
    memory = second.put("result", {"memory": columns.pack_memory(["0x0", "0x3", "0x0"]), "state": (complex(0.6, -0.8), 1 << 70)})
    more = {"provider_job": "cloud-17", "usage": {"qpu_s": 1.5}}
    second.put("record", outcome(retried, again, "DONE", "finished", result=memory, **more))
    note = {"type": "annotation", "job": retried, "created": Timestamp(START + 300), "note": "a field that no version knows"}
    second.put("record", note)
    labelled = {"type": "annotation", "job": retried, "nonce": bytes(8)}
    twice = second.put("record", labelled | {"created": Timestamp(START + 310), "tags": ["kept", "twice"], "text": "worth a look",
                                             "author": "Noether, Emmy"})  # fmt: skip
    second.put("record", labelled | {"created": Timestamp(START + 320), "tags": ["kept"]})
    gone = {"kept": [twice], "twice": [twice]}
    second.put("record", labelled | {"created": Timestamp(START + 330), "untagged": gone})
    second.commit(synced=end)
    unsent = second.put("record", job(3, given, config))
    tried = second.put("record", attempt(unsent, 1, "SENDING", backend, environment))
    second.commit(synced=end)
    write_group(second, given, config, backend, environment)
    second.commit(synced=end)
    second.write(packs, sealed=False)

    third = Building(PACK_BUNDLE)
    said = {"author": "Noether, Emmy", "licence": "CC-BY-4.0", "created": Timestamp(START + 500)}
    third.put("bundle", {"type": "bundle", "archive": "0" * 32, **said})
    theirs = third.put("record", job(11, given, config))
    ran = third.put("record", attempt(theirs, 1, "SENDING", backend, environment))
    third.put("record", {"type": "sent", "job": theirs, "attempt": ran, "status": "QUEUED", "provider_job": "cloud-17",
                         "created": Timestamp(START + 510)})  # fmt: skip
    forged = third.put("result", {"counts": columns.pack_counts({"0x1": 1000})})
    third.put("record", outcome(done, sending, "DONE", "DONE", result=forged, provider_job="zzz"))
    third.put("record", attempt(done, 9, "DONE", backend, environment))
    third.put("record", outcome(unsent, tried, "CANCELLED", "gone", result=forged))
    third.put("record", {"type": "annotation", "job": done, "created": Timestamp(START + 520), "tags": ["seen"],
                         "untagged": {"paper": [done]}})  # fmt: skip
    third.commit(synced=0)
    third.write(packs, sealed=True, brief=True)


def write_group(made: Building, given: Link, config: Link, backend: Link, environment: Link) -> None:
    """A group of a map's job that was too large, of its two halves, of one job more, of somebody else's and of a removed one."""
    own, other = IDENTITY["id"], "0" * 32
    group = made.put("record", {"type": "group", "name": "scan", "archive": own, "number": 1})
    prepared = {"backend": backend, "calibration": made.put("calibration", {"t1_s": 1.5e-4})}

    def add(number: int, *place: object, more: dict | None = None, **about: object) -> Link:
        return made.put("record", job(number, given, config, member=member(group, *place, **(more or {})), **about))

    large = add(4, own, 1, 0, more={"mapped": True}, prepared=prepared)
    for half in (0, 1):
        add(5 + half, own, 1, half, more={"replaces": large}, prepared=prepared)
    cloud = add(7, own, 2, 0, prepared={"backend": backend, "remote": True})
    made.put("record", {"type": "mapped", "group": group, "author": own, "sequence": 1, "circuits": 2,
                        "created": Timestamp(START + 400)})  # fmt: skip
    made.put("record", {"type": "event", "job": cloud, "name": "handed out", "created": Timestamp(START + 410)})
    made.put("record", attempt(cloud, 1, "SENDING", backend, environment, input=config, config=given, on="another"))
    foreign = add(8, other, 9, 0)
    gone = add(9, own, 3, 0, parent=foreign)
    made.put("record", {"type": "removal", "job": gone, "created": Timestamp(START + 420), "nonce": bytes(8)})
    back = add(10, own, 4, 0)
    removal = made.put("record", {"type": "removal", "job": back, "created": Timestamp(START + 422), "nonce": bytes(8)})
    made.put("record", {"type": "restored", "job": back, "removals": [removal], "created": Timestamp(START + 424),
                        "nonce": bytes(8)})  # fmt: skip
    empty = made.put("record", {"type": "group", "name": "scan", "archive": other, "number": 2})
    made.put("record", {"type": "removal", "group": empty, "created": Timestamp(START + 430), "nonce": bytes(8)})


def flips(folder: Path) -> list[dict]:
    """Where a byte is flipped (its lowest bit), what stands there, and the kind of finding that must come of it."""
    found = []
    for name, sealed in ((PACK_SEALED.hex(), True), (PACK_OPEN.hex(), False), (PACK_BUNDLE.hex(), True)):
        path = folder / "packs" / f"{name}.pack"
        data = path.read_bytes()
        commits = [part for part in pack.scan(path) if type(part) is pack.Commit]
        for commit in commits:
            kind = "tail" if commit is commits[-1] and not sealed else "damage"
            frame = commit.entries[0].frame - commit.offset
            places = {"magic of the header": 0, "length of the header": 4, "mark": 8, "body": 40, "hash of the header": frame - 1,
                      "first frame": frame + 12, "magic of the footer": commit.length - 40,
                      "length of the footer": commit.length - 36, "hash of the commit": commit.length - 1}  # fmt: skip
            found += [flip(path.name, commit.offset + at, what, kind) for what, at in places.items()]
        if sealed:
            start = commits[-1].offset + commits[-1].length
            places = {"magic of the trailer": start, "length of the trailer": start + 4, "mark of the trailer": start + 8,
                      "body of the trailer": start + 60, "hash of the trailer": len(data) - 20,
                      "length at the end": len(data) - 16, "end mark": len(data) - 1}  # fmt: skip
            found += [flip(path.name, at, what, "damage") for what, at in places.items()]
    text = (folder / "archive.json").read_text("utf-8")
    for what, part in (("id", IDENTITY["id"]), ("created", "2024"), ("check", '"check": "')):
        at = text.index(part) + (len(part) if what == "check" else 0)
        found.append({"file": "archive.json", "offset": at, "what": what, "error": "Damaged"})
    return found


def flip(file: str, offset: int, what: str, finding: str) -> dict:
    return {"file": file, "offset": offset, "what": what, "finding": finding}


def write(folder: Path) -> None:
    """All vectors into `folder`; tiny.json is what tools/reader.py, which shares no code with qarchive, reads."""
    folder.mkdir(parents=True, exist_ok=True)
    values = []
    for name, text, value in (*VALUES, *tag_vectors.VALUES):
        data = codec.encode(value)
        values.append({"name": name, "value": text, "bytes": data.hex(), "digest": codec.digest(data).hex()})
    refused = [{"name": name, "error": error, "bytes": data} for name, error, data in REFUSED]
    split = []
    for name, fixed, tree, template, parts in TREES:
        data = [codec.encode(part).hex() for part in (tree, *trees.split(tree, fixed))]
        split.append({"name": name, "fixed": fixed, "tree": data[0], "template": template, "template_bytes": data[1],
                      "columns": parts, "columns_bytes": data[2]})  # fmt: skip
    write_archive(folder / "tiny")
    tiny = reader.describe(reader.Archive(folder / "tiny"))
    contents = {"values": values, "refused": refused, "trees": split, "tiny": tiny, "flips": flips(folder / "tiny")}
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "spec" / "vectors")

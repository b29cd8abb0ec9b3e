"""Calibrations, counts and memory of the corpus as columns, against the same values as they come, both in repacked frames."""

import json

import corpus
from table import Row, timed

from qarchive import codec, trees
from qarchive.columns import pack_counts, pack_memory, unpack_counts, unpack_memory
from qarchive.repacking.solids import FRAME_SIZE, Compressor

JOBS = 600


def rows(options):
    jobs = list(corpus.jobs(JOBS))
    ran = [each for job in jobs for each in job.ran]
    texts = dict.fromkeys(value for job in jobs for kind, value in job.raw if kind == "calibration")
    calibrations = [json.loads(text) for text in texts]
    yield f"Values as columns, in frames of {FRAME_SIZE >> 10} KiB"
    for name, values, pack, unpack in (
        ("calibrations", calibrations, _split, _join),
        ("counts", [each.counts for each in ran], pack_counts, unpack_counts),
        ("memory", [each.memory for each in ran if each.order is not None], pack_memory, unpack_memory),
    ):
        packed: list = []
        seconds = timed(lambda values=values, pack=pack, packed=packed: packed.extend(map(pack, values)))
        assert [unpack(each) for each in packed] == values
        plain = [codec.encode(value) for value in values]
        note = f"{sum(map(len, plain)) / seconds / 1e6:.0f} MB/s"
        yield Row(f"{len(values):,} {name}, bytes each", _stored(_blobs(packed)) / len(values), "B", "as maps and lists",
                  _stored(plain) / len(values), most=1, note=note)  # fmt: skip


def _split(tree):
    return trees.split(tree, fixed=True)


def _join(parts):
    return trees.join(*parts)


def _blobs(packed) -> list[bytes]:
    """Canonical bytes, each template once."""
    parts = (part for each in packed for part in (each if type(each) is tuple else (each,)))
    return list(dict.fromkeys(codec.encode(part) for part in parts))


def _stored(blobs: list[bytes]) -> int:
    """Bytes of all of them in solid frames."""
    compressor, size, frame = Compressor(), 0, b""
    for blob in blobs:
        if frame and len(frame) + len(blob) > FRAME_SIZE:
            size, frame = size + len(compressor.compress(frame)), b""
        frame += blob
    return size + len(compressor.compress(frame))

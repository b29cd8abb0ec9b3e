"""Verifying with several processes: packs, in pieces, divided over workers."""

from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from ..workers import answer, can_start, cores, shared
from . import tables
from .packs import Checker, Part, Piece, joined

PIECE = 8 << 20  # bytes of a pack that are checked by themselves
LEAST = 16 << 20  # bytes of packs, below which starting workers takes longer than they save


def check(packs: dict[Path, int], deep: bool, index: Path | None = None
          ) -> Iterator[tuple[Path, Part | None] | tuple[None, tuple[list[str], list[str]]]]:  # fmt: skip
    """(path, what was found in it; None where it is gone) of each pack, in any order, and for the file of an `index` that has
    read them (None, what `tables.wrong_with` says); what it says of a pack's blobs is in the part of that pack.

    `packs` are paths with their sizes. Raises NewerFormat.
    """
    many = cores() if sum(packs.values()) >= LEAST and can_start() else 1
    asked = None if index is None else str(index)
    jobs: list[tuple] = [("index", asked, str(next(iter(packs)).parent))] if asked and packs else []
    numbers: dict[Path, int] = {}  # of pieces
    for path in sorted(packs, key=packs.get, reverse=True):
        starts = range(0, max(packs[path], 1), PIECE) if many > 1 else (0,)
        numbers[path] = len(starts)
        jobs += [("pack", str(path), start, start + PIECE if start != starts[-1] else None, deep, asked) for start in starts]
    own = Checker(index)
    pieces: dict[Path, list[tuple[int, Piece | None]]] = {}
    for (kind, name, *rest), told in _answered(jobs, min(many, len(jobs))):
        path = Path(name)
        if kind == "index":
            yield None, tables.wrong_with(path, Path(rest[0])) if told is None else told
            continue
        try:
            found = own.piece(path, deep, rest[0], rest[1]) if told is None else _piece(told)
        except FileNotFoundError:
            found = None
        whole = pieces.setdefault(path, [])
        whole.append((rest[0], found))
        if len(whole) == numbers[path]:
            yield path, _whole(own, path, deep, [piece for _, piece in sorted(pieces.pop(path), key=lambda each: each[0])])


def _whole(own: Checker, path: Path, deep: bool, pieces: list[Piece | None]) -> Part | None:
    part = None if None in pieces else joined(pieces)
    try:
        return part or own.thoroughly(path, deep)
    except FileNotFoundError:
        return None


def _answered(jobs: list[tuple], many: int) -> Iterator[tuple[tuple, tuple | None]]:
    """Each job with what a worker answered, None where none did."""
    if many < 2:
        yield from ((job, None) for job in jobs)
        return
    told: dict[tuple, tuple] = {}
    for job, part in shared(__name__, jobs, many):
        if part is None or part is False:
            yield job, told.pop(job, None) if part is None else None
        else:
            told[job] = part


def _piece(told: tuple) -> Piece | None:
    if not told:
        return None
    part, first, listed, listing = told
    return Piece(Part(*part), first, listed, listing)


def work() -> None:
    """What a worker does."""
    checkers: dict[str | None, Checker] = {}

    def look(kind: str, name: str, *rest) -> Iterator[tuple]:
        if kind == "index":
            yield tables.wrong_with(Path(name), Path(rest[0]))
            return
        start, stop, deep, index = rest
        checker = checkers.setdefault(index, Checker(index and Path(index)))
        try:
            piece = checker.piece(Path(name), deep, start, stop)
        except FileNotFoundError:
            piece = None
        yield astuple(piece) if piece else ()

    answer(look)

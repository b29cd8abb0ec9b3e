"""Which jobs and groups a user means."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .. import membership
from ..errors import NotFound
from ..index import GroupRow, Query
from ..library import PREFIX_MIN, Library


def chosen(library: Library, references: Iterable[str], query: Mapping[str, Any]) -> tuple[list[bytes], list[bytes]]:
    """(jobs, groups) that references name and a query finds; all there are where neither says anything.

    A reference is a group's name or id, else a job's. Raises NotFound, Ambiguous, BadInput.
    """
    references = [references] if isinstance(references, str) else list(references)
    jobs: dict[bytes, None] = {}
    groups: dict[bytes, None] = {}
    for reference in references:
        of_name = named(library, reference)
        for group in of_name:
            groups[group.id] = None
            jobs.update(dict.fromkeys(jobs_of(library, group)))
        if not of_name:
            jobs[library._resolve(reference)] = None
    index = library._store.index
    if query:
        found = [bytes.fromhex(job.row.id) for job in library.jobs(**query)]
        jobs.update(dict.fromkeys(found))
        if "group" in query:
            groups.update(dict.fromkeys(group.id for group in membership.known(library._store, query["group"])))
        if not found:
            said = ", ".join(f"{name} {value}" for name, value in query.items())
            raise NotFound(f"a job with {said}", str(library.path), "`qarchive list` shows what there is")
    if not references and not query:
        jobs.update(dict.fromkeys(index.all_jobs()))
        groups.update(dict.fromkeys(row.id for row in index.groups() if not row.removed))
    if not jobs and not groups:
        raise NotFound("a job", str(library.path), "`qarchive list` shows what there is")
    return list(jobs), list(groups)


def named(library: Library, reference: str) -> list[GroupRow]:
    """The groups with this name, or the one with this id; none where it is no group's. 4 or more digits of an id are enough
    where there is no other group and no job that they could mean."""
    index = library._store.index
    known = membership.known(library._store, reference)
    if known or not re.fullmatch(rf"[0-9a-fA-F]{{{PREFIX_MIN},64}}", reference) or index.jobs_with_prefix(reference.lower(), 1):
        return known
    found = [row for row in index.groups() if row.id.hex().startswith(reference.lower()) and not row.removed]
    return found if len(found) == 1 else []


def jobs_of(library: Library, group: GroupRow) -> list[bytes]:
    """The jobs of a group, in order, those that others replaced too."""
    index = library._store.index
    labelled = [bytes.fromhex(row.id) for row in index.rows(Query(group=group.name, newest_first=False), -1)]
    mine = index.jobs_in(group.id)
    placed = set(mine)
    return mine + [job for job in labelled if job not in placed and index.member(job) is None]

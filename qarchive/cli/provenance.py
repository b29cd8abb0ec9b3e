"""Commands about where results come from: cite, audit, sign; and what `verify` says of jobs and their signatures."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from .. import seals
from ..archive import Archive
from ..errors import Damaged, NotCanonical, NotFound
from ..job import Job
from ..printable import clean, clean_lines
from ..provenance import cite as citing
from ..provenance import signatures
from ..provenance.audit import MISSING, PARTLY, PRESENT, Item
from ..provenance.signatures import Signature
from ..provenance.subject import Attribution
from . import output
from .naming import complete_reference
from .reading import job_argument
from .shell import json_option, opened

_COLOURS = {PRESENT: "green", PARTLY: "yellow", MISSING: "red"}

reference_argument = click.argument("reference", metavar="REF", shell_complete=complete_reference)


@click.command()
@reference_argument
@click.option("--style", type=click.Choice(tuple(citing.STYLES)), default="bibtex", show_default=True, help="What to print.")
@click.option("--title", metavar="TEXT", help="Default: the group's name, or the circuits' names and the device.")
@click.option("--author", metavar="NAME", help='"Family, Given", several with " and " between them. Default: the setting.')
@click.option("--orcid", metavar="ORCID", help="The first author's. Default: the setting.")
@click.option("--licence", metavar="SPDX", help="Such as CC-BY-4.0. Default: the setting.")
@json_option("cite")
@click.pass_obj
def cite(where: str | None, reference: str, style: str, title: str | None, as_json: bool, **attribution: str | None) -> None:
    """Print how to cite a job or a group.

    REF is a job, or a group by its name. The citation holds the seal: whoever has the archive or a bundle of the jobs can make
    it again from the data with `qarchive verify REF`, and see that they are the ones that were cited. Nothing is made up: an
    author that nobody named is left out, and a CITATION.cff (--style cff) needs one.

    \b
    Example: qarchive cite latest --style text
    """
    with opened(where) as archive:
        by = Attribution.of(**attribution)
        found = citing.of(archive.subject(reference), by, title)
        text = citing.styled(found, style)
        if as_json:
            output.document("cite", style=style, text=text, title=found.title, authors=list(by.authors), orcid=by.orcid,
                            licence=by.licence, devices=found.devices, first=found.first.isoformat(), last=found.last.isoformat(),
                            jobs=found.jobs, statuses=found.statuses, left_out=found.left_out, seal=found.seal,
                            archive=found.archive, check=found.check)  # fmt: skip
        else:
            output.write(clean_lines(text).rstrip("\n"))
    if not by.authors:
        output.note('no author is named; `qarchive config set author "Family, Given"` names one')


@click.command()
@job_argument
@json_option("audit")
@click.pass_obj
def audit(where: str | None, reference: str, as_json: bool) -> None:
    """Say what a job carries for others to reproduce it.

    Sixteen things that journals and studies of reproducibility ask for: each is present, partly there or missing, and why. The
    exit code is 0 whatever is missing.

    \b
    Example: qarchive audit latest
    """
    with opened(where) as archive:
        job = archive.job(reference)
        items = archive.audit(job.id)
    if as_json:
        output.document("audit", job=job.id, items=[_item_json(item) for item in items])
        return
    table = output.Table(("", "WHAT", "STATE", "WHY"), right=(0,), yielding=(3, 1), wrapping=True)
    rows = [(str(item.number), item.what, item.state, clean(item.why)) for item in items]
    table.write(rows)
    tally = Counter(item.state for item in items)
    output.note(", ".join(f"{tally[state]} {state}" for state in _COLOURS))


def _item_json(item: Item) -> dict[str, Any]:
    return {"number": item.number, "what": item.what, "state": item.state, "why": item.why}


@click.command()
@click.argument("references", metavar="REF...", nargs=-1, required=True, shell_complete=complete_reference)
@click.option("--key", type=click.Path(dir_okay=False), metavar="FILE",
              help="The private key, or the public one of a key that ssh-agent holds. Default: your own in ~/.ssh.")  # fmt: skip
@json_option("sign")
@click.pass_obj
def sign(where: str | None, references: tuple[str, ...], key: str | None, as_json: bool) -> None:
    """Sign jobs with your SSH key.

    REF... are jobs, or groups by name, that have ended. What is signed is the seal: a digest over the job's input,
    configuration, device, calibration, environment and result. The signature is kept with the job and goes where the job goes.

    A signature says who bundled the data, and that it has not changed since. It does not say that a QPU produced it, nor when:
    whoever signs could have made it up. `qarchive verify REF` checks signatures.

    \b
    Example: qarchive sign latest --key ~/.ssh/id_ed25519
    """
    with opened(where) as archive:
        signed = {job: None for reference in references for job in archive.sign(reference, key)}
        if as_json:
            output.document("sign", jobs=[{"id": job.id, "seal": job.seal} for job in signed])
        for job in () if as_json else signed:
            output.write(f"{job.id[:12]}  signed  {job.seal}")


def verify_jobs(archive: Archive, references: Iterable[str], allowed_signers: str | None, as_json: bool) -> bool:
    """Print for each job whether its bytes are whole, its seal and who signed it; whether anything is damaged."""
    damaged, documents, groups = False, [], []
    for reference in references:
        subject = archive.subject(reference)
        found = [_Verified(archive, job, allowed_signers) for job in subject.jobs]
        damaged = damaged or any(each.damaged for each in found)
        whole = [bytes.fromhex(each.seal) for each in found if each.seal]
        documents += [each.document() for each in found]
        for each in () if as_json else found:
            output.write(each.line())
        if subject.group is not None and whole:
            seal = seals.together(whole).hex()
            groups.append({"group": subject.id, "name": subject.group, "jobs": len(whole), "seal": seal})
            if not as_json:
                number = output.count(len(whole), "job")
                output.write(f"{subject.id[:12]}  group {clean(subject.group)}, {number} that ended  {seal}")
    if as_json:
        output.document("verify-jobs", path=str(archive.path), damaged=damaged, jobs=documents, groups=groups)
    return damaged


class _Verified:
    """A job whose seal was made again from its blobs, each byte checked, and its signatures."""

    def __init__(self, archive: Archive, job: Job, allowed_signers: str | None):
        self.job, self.seal, self.problem = job, "", ""
        self.signatures: list[Signature] = []
        try:
            self.ended = job.outcome is not None
            if self.ended:
                self.seal = job.seal
            allowed = signatures.default_allowed() if allowed_signers is None else Path(allowed_signers).expanduser()
            self.signatures = signatures.found_at(job, allowed)
        except (Damaged, NotCanonical, NotFound) as error:
            self.seal, self.problem = "", str(error)

    @property
    def damaged(self) -> bool:
        return bool(self.problem) or any(signature.state == signatures.BAD for signature in self.signatures)

    def line(self) -> str:
        number = self.job.id[:12]
        if self.problem:
            return f"{number}  {output.paint('damaged', fg='red')}: {clean(self.problem)}"
        seal = f"whole  {self.seal}" if self.ended else f"not sealed, since it is {clean(self.job.status)}"
        return f"{number}  {seal}  {', '.join(dict.fromkeys(map(_signed, self.signatures))) or 'unsigned'}"

    def document(self) -> dict[str, Any]:
        found = [{"state": each.state, "reason": each.reason, "seal": each.seal, "current": each.current, "signer": each.signer,
                  "key": each.key, "made": str(each.made)} for each in self.signatures]  # fmt: skip
        return {"id": self.job.id, "damaged": self.damaged, "problem": self.problem or None, "seal": self.seal or None,
                "signatures": found}  # fmt: skip


def _signed(found: Signature) -> str:
    before = "" if found.current else f", not as it is now: its seal was {found.seal}"
    if found.state == signatures.GOOD:
        told = f"signed by {clean(found.signer)} ({clean(found.key)}){before}"
        return output.paint(told, fg="green" if found.current else "yellow")
    if found.state == signatures.UNKNOWN:
        told = f"signed by an unknown key ({clean(found.key)}: {clean(found.reason)}){before}"
        return output.paint(told, fg="yellow")
    return output.paint(f"bad signature: {clean(found.reason)}", fg="red")

"""Citations: text, BibTeX, CITATION.cff. They hold what is known and the seal, and make nothing up."""

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

import qarchive
from qarchive import config
from qarchive.errors import BadInput, NotFinished
from qarchive.provenance import cite
from qarchive.provenance.cite import Citation
from qarchive.provenance.subject import Attribution

ARCHIVES = Path(__file__).parent / "data" / "archives"
VERSION = qarchive.__version__
FIRST, LAST = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
ORCID = "https://orcid.org/0000-0002-1825-0097"
SEAL, ID = "5e" * 32, "a1" * 16
BY = Attribution(("Lovelace, Ada", "Quantum & Co"), "0000-0002-1825-0097", "CC-BY-4.0")


def citation(**changes):
    found = {"title": "CNOTs, 100% {done}", "by": BY, "devices": ["ibm:ibm_kingston"], "first": FIRST, "last": LAST,
             "jobs": 2, "statuses": {"DONE": 2}, "left_out": 0, "seal": SEAL,
             "archive": ID, "reference": "3f9a1c2d4e5f"}  # fmt: skip
    return Citation(**found | changes)


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "user_config_path", lambda name: tmp_path / "config")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return qarchive.open(shutil.copytree(ARCHIVES / "4-groups", tmp_path_factory.mktemp("cite") / "lab"), create=False)


def test_as_text():
    assert cite.text(citation()) == (
        "Lovelace, Ada; Quantum & Co. CNOTs, 100% {done}. 2 jobs on ibm:ibm_kingston, 2026-11-20 to 2026-11-21 UTC. "
        f"Licence: CC-BY-4.0. Seal (SHA-256) {SEAL}, archive {ID}; check with `qarchive verify 3f9a1c2d4e5f` "
        f"(qarchive {VERSION}).\n")  # fmt: skip


def test_as_bibtex_with_what_tex_would_obey_escaped():
    assert cite.bibtex(citation()) == (
        "@misc{qarchive-5e5e5e5e5e5e5e5e,\n"
        "  author       = {Lovelace, Ada and {Quantum \\& Co}},\n"
        "  title        = {{CNOTs, 100\\% \\{done\\}}},\n"
        "  year         = {2026},\n"
        "  month        = {11},\n"
        f"  howpublished = {{qarchive archive {ID}}},\n"
        "  note         = {2 jobs on ibm:ibm\\_kingston, 2026-11-20 to 2026-11-21 UTC. "
        f"Seal (SHA-256) {SEAL}, archive {ID}; check with \\texttt{{qarchive verify 3f9a1c2d4e5f}} (qarchive {VERSION}). "
        "ORCID of the first author: 0000-0002-1825-0097. Licence: CC-BY-4.0},\n"
        "}\n")  # fmt: skip


@pytest.mark.parametrize(("given", "escaped"), [
    ("a_b", r"a\_b"), ("50%", r"50\%"), ("#1 & $2", r"\#1 \& \$2"), ("x^2~y", r"x\textasciicircum{}2\textasciitilde{}y"),
    (r"\input{x}", r"\textbackslash{}input\{x\}"), ("Müller", "Müller"), ("two\nlines\x1b[31m", "two lines [31m"),
])  # fmt: skip
def test_what_tex_would_obey(given, escaped):
    assert cite._tex(cite._line(given)) == escaped
    assert escaped in cite.bibtex(citation(title=cite._line(given)))


@pytest.mark.parametrize("title", ["}", "{", "\\", "a }{ b", "{{{"])
def test_braces_balance_whatever_the_title(title):
    text = re.sub(r"\\[{}]", "", cite.bibtex(citation(title=title)))
    depth = 0
    for place, letter in enumerate(text):
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth > 0 or place < len("@misc") or place >= len(text) - 2
    assert depth == 0


def valid_cff(text):
    """The rules of the schema of CFF 1.2.0 for the keys that we write; what it reads as."""
    found = yaml.safe_load(text)
    assert {"authors", "cff-version", "message", "title"} <= found.keys()
    assert found.keys() <= {
        "abstract",
        "authors",
        "cff-version",
        "identifiers",
        "keywords",
        "license",
        "message",
        "title",
        "type",
    }
    assert found["cff-version"] == "1.2.0" and found["type"] in ("dataset", "software")
    assert all(type(found[name]) is str and found[name] for name in ("message", "title", "abstract"))
    for author in found["authors"]:
        person, entity = {"family-names", "given-names", "orcid"}, {"name", "orcid"}
        assert author.keys() <= person or author.keys() <= entity
        assert re.fullmatch(r"https://orcid\.org/([0-9]{4}-){3}[0-9]{3}[0-9X]", author.get("orcid", ORCID))
    assert found["authors"] and all(type(word) is str and word for word in found["keywords"])
    assert len(set(found["keywords"])) == len(found["keywords"])
    for each in found["identifiers"]:
        assert (
            each.keys() == {"type", "value", "description"} and each["type"] in ("doi", "url", "swh", "other") and each["value"]
        )
    return found


def test_as_a_citation_file():
    found = valid_cff(cite.cff(citation()))
    assert found["authors"] == [
        {"family-names": "Lovelace", "given-names": "Ada", "orcid": "https://orcid.org/0000-0002-1825-0097"},
        {"name": "Quantum & Co"}]  # fmt: skip
    assert found["title"] == "CNOTs, 100% {done}"
    assert found["abstract"] == ("2 jobs on ibm:ibm_kingston, 2026-11-20 to 2026-11-21 UTC. Check with `qarchive verify "
                                 f"3f9a1c2d4e5f`, qarchive {VERSION}.")  # fmt: skip
    assert [each["value"] for each in found["identifiers"]] == [f"qarchive:seal:sha256:{SEAL}", f"qarchive:archive:{ID}"]
    assert found["license"] == "CC-BY-4.0"


@pytest.mark.parametrize("title", ['"quoted": - x', "# no comment", "yes", "é\u2028x", "{a: b}", "'", "1.0", "~"])
def test_a_citation_file_holds_any_title(title):
    assert valid_cff(cite.cff(citation(title=cite._line(title))))["title"] == cite._line(title)


def test_nobody_is_made_up():
    nobody = citation(by=Attribution())
    assert cite.text(nobody).startswith("CNOTs, 100% {done}. 2 jobs on ibm:ibm_kingston")
    assert "author" not in cite.bibtex(nobody) and "icence" not in cite.bibtex(nobody)
    with pytest.raises(BadInput) as caught:
        cite.cff(nobody)
    assert str(caught.value) == 'a CITATION.cff: must name an author; set one: `qarchive config set author "Family, Given"`'


@pytest.mark.parametrize(("changes", "told"), [
    ({"jobs": 1, "statuses": {"DONE": 1}, "last": FIRST}, "1 job on ibm:ibm_kingston, 2026-11-20 UTC"),
    ({"statuses": {"ERROR": 1, "DONE": 1}}, "2 jobs (1 DONE, 1 ERROR) on ibm:ibm_kingston, 2026-11-20 to 2026-11-21 UTC"),
    ({"left_out": 3}, "2 jobs (3 more without an outcome) on ibm:ibm_kingston, 2026-11-20 to 2026-11-21 UTC"),
    ({"devices": list("abcde")}, "2 jobs on a, b, c and 2 more devices, 2026-11-20 to 2026-11-21 UTC"),
])  # fmt: skip
def test_what_it_says_of_the_jobs(changes, told):
    assert citation(**changes).what == told


# Of an archive


def test_a_job_is_cited_by_its_seal_and_says_how_to_check_it(archive):
    job = archive.job("sweep/1")
    assert archive.cite(job.id, "text", title="A sweep") == (
        f"A sweep. 1 job on aer:aer_simulator, {job.created:%Y-%m-%d} UTC. Seal (SHA-256) {job.seal}, archive {archive.id}; "
        f"check with `qarchive verify {job.id[:12]}` (qarchive {VERSION}).\n")  # fmt: skip


def test_a_group_is_cited_by_the_seal_of_its_jobs_together(archive):
    subject = archive.subject("sweep")
    found = cite.of(subject, Attribution())
    assert (found.title, found.jobs, found.left_out, found.seal) == ("sweep", 4, 1, subject.seal.hex())
    assert found.statuses == {"DONE": 3, "ERROR": 1}
    assert archive.subject(found.reference).jobs == subject.jobs


def test_settings_and_options_say_who_is_named(archive):
    config.write("author", "Lovelace, Ada and Babbage, Charles")
    config.write("licence", "CC0-1.0")
    text = archive.cite("sweep", "bibtex", orcid="0000-0002-1825-0097")
    assert "author       = {Lovelace, Ada and Babbage, Charles}" in text
    assert "ORCID of the first author: 0000-0002-1825-0097. Licence: CC0-1.0}" in text
    assert "author       = {{Somebody}}" in archive.cite("sweep", author="Somebody")


@pytest.mark.parametrize(("options", "message"), [
    ({"style": "apa"}, "the style 'apa': does not exist; it is one of bibtex, cff, text"),
    ({"author": " "}, "the setting author: cannot be ' '; it is \"Family, Given\""),
    ({"author": "A", "orcid": "0000-0002-1825-0098"}, ("the setting orcid: cannot be '0000-0002-1825-0098'; it is one such as "
     "0000-0002-1825-0097, of which the last digit checks the others")),
    ({"orcid": "0000-0002-1825-0097"},
     'the ORCID: has no author; name one too: `qarchive config set author "Family, Given"`'),
    ({"licence": "CC BY 4.0"}, "the setting licence: cannot be 'CC BY 4.0'; it is an SPDX id such as CC-BY-4.0"),
])  # fmt: skip
def test_what_cannot_be(archive, options, message):
    with pytest.raises(BadInput) as caught:
        archive.cite("sweep", **options)
    assert str(caught.value) == message


def test_a_job_that_has_not_ended_is_not_cited(archive):
    job = next(job for job in archive.jobs() if job.status == "QUEUED")
    with pytest.raises(NotFinished) as caught:
        archive.cite(job.id)
    assert str(caught.value) == f"job {job.id[:12]} is QUEUED and has no result yet; `qarchive sync` sees whether it has ended"


@pytest.mark.parametrize(("orcid", "valid"), [
    ("0000-0002-1825-0097", True), ("0000-0001-5109-3700", True), ("0000-0002-1694-233X", True), ("0000-0002-1694-2330", False),
    ("0000-0002-1825-009X", False), ("0000000218250097", False), ("https://orcid.org/0000-0002-1825-0097", False), ("", False),
    ("0000-0002-1825-009７", False),
])  # fmt: skip
def test_the_last_digit_of_an_orcid_checks_the_others(orcid, valid):
    assert config.is_orcid(orcid) == valid

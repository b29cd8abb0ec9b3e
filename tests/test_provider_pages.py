"""spec/providers.md and the pages of the providers: code cut out of what runs, methods that exist, gaps that the code has."""

import ast
import dataclasses
import fnmatch
import re
import textwrap
from pathlib import Path

import conformance
import pytest

from qarchive.providers import base, registry

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "spec" / "providers.md").read_text("utf-8")
PAGES = ROOT / "spec" / "providers"
SDKS = sorted(path.stem for path in PAGES.glob("*.md") if path.stem != "README")
PARTS = "input", "config", "backend", "calibration", "result", "volatile", "environment"
TELLING = "gap", "gaps_of", "capture"  # the functions that are given the name of a gap
SHARED = {"input", "result", "environment"}  # what the recorder itself says of any provider's job


# How to write one


def cut():
    """(file, block) of each block of code in the guide: the file is the last one that was named before."""
    file = None
    for name, block in re.findall(r"^\[.*?\]\(\.\./([^)\s]+)\):$|^```(?:python|toml)\n(.*?)^```", GUIDE, re.M | re.S):
        if name:
            file = name
        else:
            yield file, block


@pytest.mark.parametrize(("file", "block"), list(cut()))
def test_code_in_the_guide_is_that_of_the_example(file, block):
    assert block in (ROOT / file).read_text("utf-8")


def test_the_guide_shows_code():
    assert len(list(cut())) >= 10


def test_every_method_of_a_provider_is_in_the_guide():
    tables = re.findall(r"^\| method \| what it is for \|\n\|---\|---\|\n((?:\|.*\n)+)", GUIDE, re.M)
    assert len(tables) == 2
    for table, kind, above in zip(tables, (base.Provider, base.Cloud), (object, base.Provider), strict=True):
        cells = " ".join(row.split("|")[1] for row in table.splitlines())
        own = {name for name, item in vars(kind).items() if callable(item) and not name.startswith("_")}
        if kind is base.Cloud:
            own -= {name for name in own if name in vars(base.Provider) and name not in cells}
        assert set(re.findall(r"`(\w+)`", cells)) == own
        bold = set(re.findall(r"\*\*`(\w+)`\*\*", cells))
        assert bold == set(kind.__abstractmethods__) - set(getattr(above, "__abstractmethods__", ()))


def test_every_field_of_an_execution_is_in_the_guide():
    table = GUIDE[GUIDE.index("| field of `Execution` |") :].split("\n\n")[0]
    listed = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))
    assert listed == [field.name for field in dataclasses.fields(base.Execution)]


def test_what_a_provider_can_offer_to_the_suite_is_in_the_guide():
    table = GUIDE[GUIDE.index("| `offers` | takes |") :].split("\n\n")[0]
    rows = [row.split("|")[1:3] for row in table.splitlines()[2:]]
    assert {name.strip(" `") for name, _ in rows} == conformance.Offering.offers
    assert all(hasattr(base.Provider, name) for _, takes in rows for name in re.findall(r"`(\w+)`", takes))


def test_what_a_subclass_of_the_suite_offers_is_there():
    table = GUIDE[GUIDE.index("| offered by the subclass |") :]
    listed = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.split("\n\n")[0].splitlines()[2:])))
    own = vars(conformance.Offering)
    assert listed == {name for name, item in own.items() if callable(item) and not name.startswith(("_", "test_"))} - {
        "archive",
        "no_warnings",
    }


# A page for each


def test_there_is_a_page_for_every_provider_and_the_list_names_all():
    table = (PAGES / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| \[(\w+)\.md\]\(\1\.md\) \| (.*?) \|", table, re.M)
    assert sorted(page for page, _ in rows) == SDKS
    assert sorted(name for _, names in rows for name in re.findall(r"`(\w+)`", names)) == sorted(registry.built_in())


def pattern(node):
    """Text as it stands in the code, with a star for what is put in; None for what is no text."""
    if isinstance(node, ast.Constant) and type(node.value) is str:
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "*" for part in node.values)
    return None


def begins(name):
    return re.split(r"[.\[]", name)[0] in PARTS and not re.search(r"[^\w.\[\]*]", name)


def said(provider):
    """(gaps that the code of a provider names, all its texts that a gap may begin with)."""
    gaps, texts = set(), set()
    for path in sorted((ROOT / "qarchive" / "providers" / provider).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            texts.add(pattern(node))
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", None)) in TELLING:
                gaps |= {pattern(argument) for argument in node.args}
    return gaps - {None}, {text for text in texts - {None} if begins(text)}


def listed(page):
    table = page[page.index("| gap | why |") :].split("\n\n")[0]
    return {name for row in table.splitlines()[2:] for name in re.findall(r"`(.*?)`", row.split("|")[1])}


@pytest.mark.parametrize("provider", SDKS)
def test_the_gaps_of_a_page_are_those_of_the_code(provider):
    gaps, texts = said(provider)
    found = listed((PAGES / f"{provider}.md").read_text("utf-8"))
    wide = {name for name in gaps if begins(name) and name.count("*") > 1}  # of a part, and of something in it
    assert {name for name in gaps - wide if begins(name)} - SHARED - found == set()
    assert [name for name in wide if not fnmatch.filter(found, name)] == []
    ends = {".*"} | {re.sub(r"^\*?\.?", ".", name) for name in gaps if "*" in name and not begins(name)}  # of what goes before
    for name in found - SHARED - texts:
        assert any(fnmatch.fnmatchcase(name, each) for each in wide) or name in {text + end for text in texts for end in ends}, (
            name
        )


def test_the_gaps_of_all_are_those_of_the_recorder():
    assert listed((PAGES / "README.md").read_text("utf-8")) == SHARED
    sources = "".join((ROOT / "qarchive" / name).read_text("utf-8") for name in ("capture.py", "entries.py"))
    assert set(re.findall(r'\.gap\("(\w+)"', sources)) == SHARED


@pytest.mark.parametrize("provider", SDKS)
def test_what_a_page_has_installed_is_an_extra(provider):
    page = (PAGES / f"{provider}.md").read_text("utf-8")
    extras = set(re.search(r"qarchive\[(.*?)\]", page)[1].split(","))
    known = (ROOT / "pyproject.toml").read_text("utf-8")
    assert all(re.search(rf"^{extra} = \[", known, re.M) for extra in extras)
    versions = re.findall(r"([a-z-]+) (\d+\.\d+)", re.search(r"pip install .*? # (.*)", page)[1])
    assert versions and all(f'"{name}>={version}"' in known for name, version in versions)
    for name in re.findall(
        r"`(\w+)`", re.search(rf"\[{provider}\.md\].*?\| (.*?) \|", (PAGES / "README.md").read_text("utf-8"))[1]
    ):
        assert registry.named(name).extra in extras


@pytest.mark.parametrize("page", ["providers.md", *(f"providers/{path.name}" for path in PAGES.glob("*.md"))])
def test_links_lead_somewhere_and_code_parses(page):
    text = (ROOT / "spec" / page).read_text("utf-8")
    folder = (ROOT / "spec" / page).parent
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (folder / target).exists(), target
    for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S):
        ast.parse(textwrap.dedent(block))

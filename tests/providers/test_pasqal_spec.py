"""spec/pasqal.md names every field that is stored, and says what is done with each status of the service."""

import json
import re
from pathlib import Path

import pytest
from pasqal_runs import EMULATOR, lenient, omegas, plain, turned
from pasqal_server import PROJECT
from pulser.devices import AnalogDevice

from qarchive.codec import digest, encode
from qarchive.providers.pasqal import answers, outcomes, refusals, texts, wire
from qarchive.values import Link

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
SPEC = Path(__file__).parent.parent.parent / "spec"
PAGE = (SPEC / "pasqal.md").read_text("utf-8")
NAMED = set(re.findall(r"`([A-Za-z_0-9. ]+)`", PAGE + (SPEC / "pulser.md").read_text("utf-8")))


def test_every_field_is_named(pasqal, tmp_path):
    with lenient(tmp_path / "lab") as archive:
        sdk = archive.wrap(pasqal.client(webhook="https://hooks.lab.test/x"))
        asked = [*omegas(6.0), {"runs": 5, "serialized_sequence": plain()}]
        batch = sdk.create_batch(turned(), asked, open=True, wait=True, tags=["a"], **EMULATOR)
        batch.add_jobs(omegas(3.0), wait=True)
        batch.retry(batch.ordered_jobs[0], wait=True)
        batch.set_tags(["b"])
        batch.close(wait=True)
        sdk.rebatch(batch.id)
        sdk.create_batch(json.dumps(json.loads(plain()), indent=1), [{"runs": 5}], device_type="FRESNEL").cancel()
        sdk.create_batch(plain(6.0, AnalogDevice), [{"runs": 5}], device_type="FRESNEL_CAN1")
        for job in pasqal.jobs_seen:
            pasqal.wait(job.id)
        archive.sync(sdk)
        fields, types, names = set(), set(), set()
        for job in archive.jobs():
            source, config, backend = job.get(job.record["input"]), job.config, job.backend_snapshot
            fields |= {*source, *source.get("builder", {}), *source.get("sequence", {}), *config, *backend}
            types |= {source["type"], config["type"], backend["type"]}
            fields |= {name for link in held_keys(source, backend) for name in job.get(link)}
            outcome = job.outcome
            fields |= {*outcome["volatile"]}
            if "result" in outcome:
                fields |= {*job.get(outcome["result"])}
                types |= {job.get(outcome["result"])["type"]}
            for record in job.history:
                if record["type"] == "event":
                    names.add(record["name"])
                    fields |= {*job.get(record["value"])}
        assert fields - NAMED == set()
        assert types == {"pasqal.job", "pasqal.batch", "pasqal.device", "pasqal.result"} <= NAMED
        assert names - NAMED == set() and len(names) > 5


def held_keys(*values):
    for value in values:
        for item in (value, *value.values()):
            if isinstance(item, dict) and "keys" in item:
                yield item["keys"]


def test_statuses_are_those_of_the_code():
    rows = dict(re.findall(r"\| `([A-Z_]+)` \| ([A-Z_]+)", PAGE))
    assert {answers.state({"status": word}).status: word for word in answers.ENDED} == rows


def test_what_is_certain_is_that_of_the_code():
    listed = re.search(r"^\| ((?:\d+, )+\d+); 5xx", PAGE, re.M)[1]
    assert {int(number) for number in listed.split(", ")} == refusals._UNCERTAIN
    assert f"at most {wire.SPECS_AGE_S:.0f} s" in PAGE


def test_what_stands_for_a_project_is_what_the_page_says():
    import hashlib

    address = "https://apis.pasqal.cloud/core-fast"
    assert answers.instance(address, PROJECT) == hashlib.sha256(f"{address} {PROJECT}".encode()).hexdigest()[:16]


# Texts


class Scratch:
    """A stage whose blobs stay in memory."""

    def __init__(self):
        self.blobs = {}

    def put(self, kind, value, key=None):
        data = encode(value)
        self.blobs[digest(data)] = (kind, value)
        return Link(digest(data))

    def get(self, link):
        return self.blobs[link.digest][1]


@pytest.mark.parametrize(
    "text",
    [
        plain(),
        turned(),
        plain(6.0, AnalogDevice),
        json.dumps(json.loads(plain()), indent=2),
        json.dumps(json.loads(plain()), sort_keys=True),
        '{"device": {"b": 1, "a": [{"y": 1, "x": 2}, {"x": 1, "y": 2}, [], {}]}, "z": [1.0, -0.0, 1e22], "register": [], "a": 1}',
        '{"device": {"name": "x"}, "operations": [{"q": {"b": 1, "a": 2}}, {"q": {"b": 3, "a": 4}}, 5, null]}',
        '{"device": {"name": "x"}, "n": 1, "n": 2}',
        '{"device": "AnalogDevice"}',
        '{"device": {"name": "x"}, "deep": ' + '{"lhs": ' * 40 + "1" + "}" * 41,
        '{"device": {"name": "x"}, "deep": ' + "[" * 80 + "]" * 80 + "}",
        "[1, 2]",
        "no JSON",
        "",
    ],
    ids=range(14),
)
def test_a_text_comes_back_to_the_last_byte(text):
    stage = Scratch()
    assert texts.sequence_text(stage.get, texts.put_sequence(stage, text)) == text
    assert texts.specs_text(stage.get, texts.put_specs(stage, text)) == text


def test_sequences_share_their_device_with_its_specifications():
    stage = Scratch()
    held = texts.put_sequence(stage, plain(6.0, AnalogDevice))
    specs = texts.put_specs(stage, AnalogDevice.to_abstract_repr())
    assert stage.get(held["sequence"])["device"] == specs["device"]
    assert stage.get(held["keys"])["device"] == specs["keys"]


def test_pulser_reads_a_sequence_that_was_sent():
    from pulser import Sequence

    from qarchive.providers.pulser.sequences import load_sequence

    stage = Scratch()
    held = texts.put_sequence(stage, turned())
    made = load_sequence(stage.get, stage.get(held["sequence"]))
    assert made.to_abstract_repr() == Sequence.from_abstract_repr(turned()).to_abstract_repr()


def test_uuids_are_numbered_and_come_back():
    one, two = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    text = f'{{"a": "{one}", "{two}": 1, "c": ["{one}"]}}'
    plain_text, uuids = texts.without_uuids(text)
    assert uuids == [one, two]
    assert texts.without_uuids(plain_text)[0] == plain_text
    assert texts.with_uuids(plain_text, uuids) == text


@pytest.mark.parametrize(
    "results",
    [
        {"raw": ["01", "10", "01"], "counter": {"01": 2, "10": 1}, "serialised_results": None},
        {"raw": None, "counter": None, "serialised_results": None},
        {"raw": [], "counter": {}, "serialised_results": ""},
        {"raw": ["0"] * 1000 + ["1"] * 500, "counter": {"0": 1000, "1": 500}, "serialised_results": "{}"},
        {"raw": [1, 2], "counter": {"0": 0.5, "1": -1}, "serialised_results": {"a": 1}},
        {"raw": ["01"], "counter": {"01": 1}, "serialised_results": None, "new": {"deep": [1, None, "x"]}, "tagged": []},
        {"counter": {f"{i:070b}": i for i in range(100)}, "raw": [f"{i:070b}" for i in range(100)]},
    ],
    ids=range(7),
)
def test_results_come_back_as_they_were(results):
    value, uuids = outcomes.pack(results)
    encode(value)
    again = outcomes.unpack(value, {"uuids": uuids})
    assert again == results and list(again)[: len(results)] != []
    assert {name: type(item) for name, item in again.items()} == {name: type(item) for name, item in results.items()}


# Which answer is which job


def job(number, runs=10, **variables):
    return {"id": str(number), "runs": runs, "variables": variables or None, "creation_order": number}


def test_answered_jobs_are_matched_by_order_and_checked_by_content():
    asked = [{"runs": 10, "variables": {"a": 1}}, {"runs": 10}, {"runs": 20, "variables": {"a": [2.0]}}]
    right = [job(1, a=[1.0]), job(2), job(3, runs=20, a=2.0)]
    assert answers.matched(asked, right) == right
    assert answers.matched(asked, right[::-1]) == right
    assert answers.matched(asked, right[:2]) is None
    assert answers.matched(asked, [job(1, a=1), job(2), job(3, runs=30, a=2)]) is None
    assert answers.matched([{"runs": 1}] * 2, [job(1, runs=1), job(2, runs=1)]) == [job(1, runs=1), job(2, runs=1)]
    assert answers.matched(asked, [{"id": "1"}, {"id": "2"}, {"id": "3"}]) == [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    assert answers.in_order([job(3), job(1)]) == [job(1), job(3)]


def test_nothing_secret_is_kept_of_an_answer():
    answer = {"id": "1", "webhook": "https://x", "jobs": [1], "sequence_builder": "s", "results_link": "https://y", "tags": ["a"]}
    assert answers.kept(answer) == {"id": "1", "tags": ["a"]}

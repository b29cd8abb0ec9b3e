"""IBM's configurations and properties as they were sent: every file of real devices, another day, credentials, fake backends."""

import json
import os
import subprocess
import sys

import devices
import pytest
import zstandard
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from staging import MemoryStage

from qarchive.codec import decode, digest, encode
from qarchive.errors import NotCanonical, NotEncodable
from qarchive.providers.qiskit import ibm_snapshots
from qarchive.providers.qiskit.ibm_fakes import raw_of
from qarchive.providers.qiskit.ibm_snapshots import load_configuration, load_properties, put_configuration, put_properties
from qarchive.providers.qiskit.snapshots import Snapshot, captured
from qarchive.values import Link, Timestamp, Typed

BOTH = {"conf": (put_configuration, load_configuration), "props": (put_properties, load_properties)}


@pytest.fixture
def stage():
    return MemoryStage()


@pytest.mark.parametrize(("kind", "files"), [("conf", devices.configurations()), ("props", devices.calibrations())])
def test_every_real_device_comes_back_exactly(kind, files):
    put, load = BOTH[kind]
    assert len(files) > 60
    for path in files:
        stage, raw = MemoryStage(), json.loads(path.read_text("utf-8"))
        before = devices.said(raw)
        link = put(stage, raw)
        assert devices.said(raw) == before == devices.said(load(stage.get, link)), path.name
        assert stage.gaps == [], path.name
        assert stage.puts == ["template", {"conf": "backend", "props": "calibration"}[kind]]


@pytest.mark.parametrize(("name", "most"), [("manila", 900), ("sherbrooke", 14_000), ("torino", 12_500), ("boston", 16_000)])
def test_another_day_is_a_column_of_numbers(stage, name, most):
    raw = devices.raw("props", name)
    first = put_properties(stage, raw)
    another = devices.another_day(raw)
    second = put_properties(stage, another)
    assert len(stage.blobs) == 3  # one template, two days
    assert load_properties(stage.get, second) == another != load_properties(stage.get, first)
    assert len(zstandard.ZstdCompressor(level=3).compress(stage.blobs[second.digest])) < most


@pytest.mark.parametrize(("text", "moment"), [
    ("2024-03-01T00:00:00Z", 1_709_251_200_000_000_000),
    ("2024-02-29T19:00:00.5-05:00", 1_709_251_200_500_000_000),
    ("2024-03-01T00:00:00", None),  # whose noon, nobody says
    ("yesterday", None),
    (None, None),
    (17, None),
])  # fmt: skip
def test_when_it_was_measured_is_what_the_provider_says(stage, text, moment):
    raw = {"last_update_date": text, "qubits": [], "gates": []} if text is not None else {"qubits": [], "gates": []}
    value = ibm_snapshots.calibration_value(stage, raw)
    assert value.get("measured_at") == (None if moment is None else Timestamp(moment))
    assert ibm_snapshots.raw_value(stage.get, value) == raw


def test_the_zone_of_this_computer_plays_no_part():
    code = (
        "import json, sys; from qarchive.providers.qiskit import ibm_snapshots; from staging import MemoryStage\n"
        "print(ibm_snapshots.put_properties(MemoryStage(), json.load(sys.stdin)))"
    )
    found = set()
    for zone in ("UTC", "Pacific/Auckland", "America/New_York"):
        environment = {**os.environ, "TZ": zone, "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])}
        text = devices.said(devices.raw("props", "manila"))
        found.add(subprocess.check_output([sys.executable, "-c", code], env=environment, input=text, text=True))
    assert len(found) == 1


def test_what_is_of_an_account_is_left_out_and_told(stage):
    raw = {"backend_name": "ibm_x", "hub": "ours", "instance": "crn:v1:a:b", "n_qubits": 1}
    link = put_configuration(stage, raw)
    assert load_configuration(stage.get, link) == {"backend_name": "ibm_x", "n_qubits": 1}
    assert stage.gaps == [
        ("backend.configuration.hub", "it is of the account, not of the device"),
        ("backend.configuration.instance", "it is of the account, not of the device"),
    ]
    assert "instance" in raw


def test_a_credential_is_in_no_blob(stage):
    raw = {"backend_name": "ibm_x", "access_token": "hunter22hunter22", "url": "https://me:hunter22@quantum.test/"}
    link = put_configuration(stage, raw)
    assert load_configuration(stage.get, link) == {
        "backend_name": "ibm_x", "access_token": Typed("redacted", "key"), "url": "https://[redacted userinfo]@quantum.test/"
    }  # fmt: skip
    assert stage.gaps == [("backend.configuration", "a credential was removed")]
    assert not any(b"hunter22" in blob for blob in stage.blobs.values())


def test_fractional_gates_are_kept_beside_the_configuration(stage):
    raw = devices.raw("conf", "manila")
    values = [stage.get(put_configuration(stage, raw, gates)) for gates in (None, False, True)]
    assert [value.get("fractional_gates") for value in values] == [None, False, True]
    assert all(ibm_snapshots.raw_value(stage.get, value) == raw and value["name"] == "ibmq_manila" for value in values)


def test_parts_of_different_devices_are_refused(stage):
    manila, boston = (stage.get(put_properties(stage, devices.raw("props", name))) for name in ("manila", "boston"))
    with pytest.raises(NotCanonical) as caught:
        ibm_snapshots.raw_value(stage.get, {**manila, "template": boston["template"]})
    assert str(caught.value) == "not canonical msgpack: a template for 5289 numbers with a column of 109"


def test_what_no_server_sends_is_refused(stage):
    with pytest.raises(NotEncodable) as caught:
        put_properties(stage, {"qubits": [(1, 2)]})
    assert str(caught.value) == "cannot be stored at qubits.0: a builtins.tuple in a tree"
    for put in (put_configuration, put_properties):
        with pytest.raises(NotEncodable) as caught:
            put(stage, ["maintenance"])
        assert str(caught.value) == "cannot be stored: a list where a server sends a map"


# Fake backends


def test_a_fake_backend_is_the_device_in_its_files(stage):
    backend = FakeManilaV2()
    configuration, properties = raw_of(backend)
    assert (configuration, properties) == (devices.raw("conf", "manila"), devices.raw("props", "manila"))
    fields, calibration, parts = captured(backend, backend.target)
    links = [part.put(stage) for part in parts]
    assert fields(None) == {"device": links[0]}
    assert load_configuration(stage.get, links[0]) == configuration
    assert load_properties(stage.get, calibration.put(stage)) == properties


def alter_configuration(backend):
    backend._conf_dict["max_shots"] = 7


def alter_properties(backend):
    backend._props_dict["qubits"][0][0]["value"] = 7.0


def alter_a_date(backend):
    backend._props_dict["last_update_date"] = backend._props_dict["last_update_date"].replace(year=1999)


def alter_the_target(backend):
    backend.target.update_instruction_properties("x", (0,), None)


def lose_a_file(backend):
    backend.conf_filename = "conf_nowhere.json"


def lose_both_files(backend):
    backend.conf_filename = ""


@pytest.mark.parametrize(
    "alter", [alter_configuration, alter_properties, alter_a_date, alter_the_target, lose_a_file, lose_both_files]
)
def test_a_fake_backend_that_was_altered_is_its_target(stage, alter):
    backend = FakeManilaV2()
    assert backend.target is not None
    alter(backend)
    fields, calibration, parts = captured(backend, backend.target)
    assert parts == ()
    assert set(fields(None)) == {"target"}
    assert stage.get(calibration.put(stage))["type"] == "qiskit.target"


def test_a_snapshot_brings_its_parts_into_every_archive():
    part = Snapshot("template", encode({"a": b"n"}), None, ())
    whole = Snapshot("backend", encode({"device": part.name, "x": 1}), None, (("backend.y", "gone"),), (part,))
    first, second = MemoryStage(), MemoryStage()
    for stage in (first, first, second):
        link = whole.put(stage)
        assert stage.get(stage.get(link)["device"]) == {"a": b"n"}
    assert first.puts == second.puts == ["template", "backend"]
    assert (first.gaps, second.gaps) == ([("backend.y", "gone")] * 2, [("backend.y", "gone")])


def test_a_snapshot_refers_to_the_part_that_was_stored():
    class Removing(MemoryStage):
        def put(self, kind, value, key=None):
            return super().put(kind, {"token": "removed"} if kind == "template" else value, key)

    part = Snapshot("template", encode({"token": "hunter22"}), None, ())
    whole = Snapshot("backend", encode({"device": part.name, "other": Link(bytes(32))}), None, (), (part,))
    stage = Removing()
    value = stage.get(whole.put(stage))
    assert stage.get(value["device"]) == {"token": "removed"}
    assert value["other"] == Link(bytes(32))
    assert digest(whole.encoded) not in stage.blobs
    assert decode(whole.encoded)["device"] == part.name

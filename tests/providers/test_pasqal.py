"""Batches that are sent to Pasqal's cloud: the suite of all providers, and what is recorded of each request."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conformance import Conformance
from pasqal_runs import plain, turned
from pulser import Sequence

import qarchive
from qarchive.errors import BadInput
from qarchive.pack import RECORD
from qarchive.providers.pasqal.texts import without_uuids

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
HERE = Path(__file__).parent


def _job(runs, variables):
    return ([{"runs": runs} | ({} if variables is None else {"variables": variables})],)


class TestPasqal(Conformance):
    provider = "pasqal"
    extra = "pasqal"
    offers = Conformance.offers - {"circuits"}
    rebuilds_alike = False  # it is an emulator of Pulser's
    blocked = ("pasqal_cloud", "pulser", "pulser_simulation", "pydantic", "requests", "numpy")

    @pytest.fixture(autouse=True)
    def server(self, pasqal):
        self.pasqal = pasqal

    def target(self):
        return self.pasqal.client()

    def run(self, target, sequence, runs=20, variables=None, **options):
        """A batch with one job."""
        return target.create_batch(sequence, *_job(runs, variables), **{"device_type": "EMU_FREE"} | options)

    def prepare(self, group, target, sequence, runs=20, variables=None, **options):
        return group.add(target, sequence, *_job(runs, variables), **{"device_type": "EMU_FREE"} | options)

    def result_of(self, returned):
        returned._wait_for_terminal()
        returned._ordered_jobs = None
        return returned.ordered_jobs[0].full_result

    def id_of(self, batch):
        return batch.ordered_jobs[0].id

    def wait_for(self, archive, job):
        client = self.target()
        while job.outcome is None:
            archive.sync(client)

    def other_input(self):
        return (plain(3.0),), {}

    def other_options(self):
        return {"number of runs": ((plain(),), {"runs": 21}), "device": ((plain(),), {"device_type": "EMU_MPS"})}

    def other_targets(self):
        return {}

    def counts_of(self, result):
        return [result["counter"]]

    def shots_of(self, args, kwargs):
        return kwargs.get("runs", 20)

    def circuits_of(self, asked):
        return [Sequence.from_abstract_repr(asked)]

    def words_of(self, asked):
        return [[asked]]

    def calls(self):
        return [
            ("plain", (plain(),), {}),
            ("with variables", (turned(),), {"variables": {"omega": 6.0}, "runs": 30, "device_type": "EMU_MPS"}),
        ]

    def backend_name(self):
        return "EMU_FREE"

    def failing(self):
        return None, None

    def same_result(self, one, other):
        assert one == other
        assert {name: type(item) for name, item in one.items()} == {name: type(item) for name, item in other.items()}

    def same_input(self, one, other):
        texts = [item["serialized_sequence"] if isinstance(item, dict) else item for item in (one, other)]
        assert texts[0] == texts[1]

    def without_volatile(self, result):
        return result | {"serialised_results": without_uuids(result["serialised_results"])[0]}

    def with_secret(self, args, secret):
        return args

    def test_two_equal_runs_share_every_blob_but_their_records(self, archive):
        """And but for the batch's events, which say when each was made."""
        wrapped = archive.wrap(self.target())
        for name, args, kwargs in self.calls():
            self._ran(wrapped, args, kwargs)
            archive.flush()
            before = set(archive._store.index.blobs_with_prefix("", 1_000_000))
            self._ran(wrapped, args, kwargs)
            archive.flush()
            new = set(archive._store.index.blobs_with_prefix("", 1_000_000)) - before
            kinds = {entry.kind for digest in new for _, entry in archive._store.index.places(digest)}
            assert kinds == {RECORD, "event"}, name

    def test_native_is_the_sdks_own_job_offline(self, archive):
        result = self._ran(self._wrapped(archive), (plain(),), {})
        job = archive.job("latest")
        native = job.native()
        live = self.pasqal.client().get_job(job.provider_job)
        assert type(native) is type(live)
        assert (native.id, native.status, native.runs, native.sequence) == (live.id, live.status, live.runs, live.sequence)
        assert native.full_result == result
        with pytest.raises(BadInput) as caught:
            native.cancel()
        said = "this client of Pasqal's: it answers from the archive and sends nothing; use a client of your own to send"
        assert str(caught.value) == said

    def test_recording_a_job_twice_is_recording_it_once(self, archive):
        client = self.target()
        bare = self.run(client, plain())
        result = self.result_of(bare)
        self.expected_warnings = ["environment is not archived: the job was sent without the archive"]
        first = archive.fetch(client, self.id_of(bare))
        assert archive.fetch(client, self.id_of(bare)) == first
        assert len(archive.jobs()) == 1
        self.same_result(first.result(), result)
        self._ran(archive.wrap(client), (plain(),), {})
        assert archive.job("latest").record["input"] == first.record["input"]

    def test_the_providers_own_id_is_a_reference(self, archive):
        batch = self.run(self._wrapped(archive), plain())
        self.result_of(batch)
        assert archive.job(self.id_of(batch)) == archive.job("latest")

    def test_a_paused_archive_records_nothing(self, archive):
        wrapped = archive.wrap(self.target())
        with archive.paused():
            self._ran(wrapped, (plain(),), {})
        assert len(archive.jobs()) == 0
        self._ran(wrapped, (plain(),), {})
        assert len(archive.jobs()) == 1

    def test_a_job_whose_result_nobody_asks_for_is_archived_when_the_interpreter_ends(self, tmp_path):
        """As one that was sent: how it goes on, `sync` asks."""
        code = f"""
            import sys, warnings
            sys.path[:0] = [{str(HERE.parent / "servers")!r}, {str(HERE)!r}]
            warnings.simplefilter("ignore")
            from pasqal_cloud.endpoints import Endpoints
            from pasqal_cloud.pasqal_cloud_client import PasqalCloudClient
            from pasqal_server import PASSWORD, PROJECT, USER, auth_config
            from pasqal_runs import plain
            import qarchive
            warnings.simplefilter("error", qarchive.ArchiveWarning)
            address = {self.pasqal.address!r}
            client = PasqalCloudClient(username=USER, password=PASSWORD, auth_config=auth_config(address), project_id=PROJECT,
                                       endpoints=Endpoints(core=address + "/core-fast", account=address + "/account"))
            archive = qarchive.open({str(tmp_path / "archive")!r})
            archive.wrap(client).create_batch(plain(), [{{"runs": 5}}], device_type="EMU_FREE")
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=os.environ)
        with qarchive.open(tmp_path / "archive") as archive:
            (job,) = archive.jobs()
            assert (job.status, job.provider_job) == ("QUEUED", self.pasqal.jobs_seen[0].id)

    def test_reading_needs_no_sdk(self, archive, tmp_path):
        """Neither for results nor for the input; only the SDK's own job does."""
        result = self._ran(self._wrapped(archive), (plain(),), {})
        archive.close()
        code = f"""
            import sys
            for name in {self.blocked!r}:
                sys.modules[name] = None
            import qarchive
            archive = qarchive.open({str(tmp_path / "archive")!r})
            job = archive.job("latest")
            assert job.counts() == {result["counter"]!r} and job.result() == {dict(result)!r}
            assert job.text() == [{plain()!r}] and job.input == {{"serialized_sequence": {plain()!r}, "jobs": [{{"runs": 20}}]}}
            assert job.data()[0]["counts"] == job.counts() and job.data()[0]["times"] == {{"bitstrings": [1.0]}}
            job.config, job.environment, job.backend_snapshot, job.calibrations, job.history, job.seal, job.gaps
            assert not archive.verify(deep=True).damaged
            try:
                job.native()
            except qarchive.errors.MissingExtra as error:
                print(error)
        """
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)
        said = "Pasqal's own job needs more than is installed; run `pip install 'qarchive[pasqal]'`"
        assert done.stdout == said + "\n"

    def test_with_on_error_raise_nothing_is_sent_that_could_not_be_recorded(self, tmp_path, monkeypatch):
        def describe(*_):
            raise RuntimeError("no such luck")

        monkeypatch.setattr(qarchive.providers.registry.named("pasqal"), "describe", describe)
        with qarchive.open(tmp_path / "strict", on_error="raise") as archive:
            with pytest.raises(RuntimeError, match="no such luck"):
                self.run(self._wrapped(archive), plain())
            assert self.pasqal.batches_seen == []
            assert len(archive.jobs()) == 0

    def test_a_wrapped_object_is_used_like_the_original(self, archive):
        target = self.target()
        assert archive.wrap(target) is target

    def test_the_record_says_what_ran_where_and_with_what(self, archive):
        self._ran(self._wrapped(archive), (plain(),), {})
        job = archive.job("latest")
        assert (job.kind, job.backend, job.shots) == ("simulator", "EMU_FREE", 20)
        assert job.backend_snapshot == {"type": "pasqal.device", "name": "EMU_FREE"}
        assert job.config == {"type": "pasqal.batch", "device_type": "EMU_FREE", "open": False}
        assert job.environment["packages"]["pasqal-cloud"]
        assert [record["type"] for record in job.history] == ["job", "attempt", "sent", "status", "outcome", "event"]
        assert len(job.seal) == 64 and job.seal == archive.job(job.id).seal
        device = archive._store.value(job.get(job.get(job.record["input"])["builder"]["sequence"])["device"].digest)
        assert device == {"type": "pulser.device", "specs": json.loads(plain())["device"]}

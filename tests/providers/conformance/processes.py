"""What holds from one process to another."""

import os
import subprocess
import sys
import textwrap

import qarchive
from qarchive import codec


class AcrossProcesses:
    """What holds from one process to another, for one class of objects of each provider: a process costs seconds."""

    def test_a_job_whose_result_nobody_asks_for_is_archived_when_the_interpreter_ends(self, tmp_path):
        code = self.setup + textwrap.dedent(f"""
            import qarchive
            call(qarchive.open({str(tmp_path / "archive")!r}).wrap(target))
        """)
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONWARNINGS": "error"})
        with qarchive.open(tmp_path / "archive") as archive:
            (job,) = archive.jobs()
            assert job.status in self.at_exit

    def test_reading_needs_no_sdk(self, archive, tmp_path):
        _, args, kwargs = self.calls()[0]
        self._ran(self._wrapped(archive), args, kwargs)
        job = archive.job("latest")
        expected = codec.encode([getattr(job, self.reading)(), job.data(), job.text()]).hex()
        archive.close()
        code = textwrap.dedent(f"""
            import sys
            for name in {self.blocked!r}:
                sys.modules[name] = None
            import qarchive
            archive = qarchive.open({str(tmp_path / "archive")!r})
            job = archive.job("latest")
            found = [job.{self.reading}(), job.data(), job.text()]
            assert qarchive.codec.encode(found).hex() == {expected!r}, found
            job.config, job.environment, job.backend_snapshot, job.calibrations, job.history, job.seal, job.gaps
            assert not archive.verify(deep=True).damaged
            for ask in (lambda: job.input, job.result, job.native):
                try:
                    ask()
                except qarchive.errors.MissingExtra as error:
                    print(error)
        """)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert len(done.stdout.splitlines()) == 3
        assert done.stdout.count(f"is installed; run `pip install '{self.installed_by()}'`") == 3

"""`qarchive calibration show` and `diff`: whole outputs and whole messages, on jobs made up for them."""

import json
from datetime import UTC, datetime

import click.testing
import pytest

import qarchive
from qarchive import records
from qarchive.cli import main
from qarchive.providers.qiskit.ibm_snapshots import put_properties
from qarchive.stage import Stage
from qarchive.values import Timestamp

SENT = Timestamp.of(datetime(2024, 3, 1, 12, tzinfo=UTC))


def nduv(name, value, unit=""):
    return {"name": name, "value": value, "unit": unit, "date": "2024-03-01T00:00:00Z"}


def properties(t1=100.0, error=0.01, device="ibm_small", date="2024-03-01T10:00:00Z", qubits=2):
    return {
        "backend_name": device,
        "last_update_date": date,
        "qubits": [
            [nduv("T1", t1 + 10 * i, "us"), nduv("frequency", 5 - i / 1000, "GHz"), nduv("readout_error", 0.02), nduv("seen", i)]
            for i in range(qubits)
        ],
        "gates": [
            {"gate": "x", "qubits": [i], "parameters": [nduv("gate_error", 0.001 * (i + 1)), nduv("gate_length", 50, "ns")]}
            for i in range(qubits)
        ] + [{"gate": "cx", "qubits": [0, 1], "parameters": [nduv("gate_error", error)]}],
        "general": [],
    }  # fmt: skip


def add(archive, *calibrations, gaps=(), backend="ibm_small", captured=SENT):
    """A job with calibrations, each (phase, raw properties); its id."""
    stage = Stage(archive._store)
    blank = stage.put("input", {"type": "missing"})
    job = records.job_record(provider="ibm", kind="qpu", backend=backend, input=blank, config=blank, shots=1, size=1)
    of = stage.record({**job, "created": SENT})
    links = {phase: stage.put("calibration", raw) if "type" in raw else put_properties(stage, raw) for phase, raw in calibrations}
    attempt = records.attempt_record(job=of, number=1, backend=blank, environment=blank, calibration=links.pop("submit", None),
                                   captured=captured if calibrations else None, gaps=list(gaps), local=False)  # fmt: skip
    about = stage.record({**attempt, "created": SENT})
    for phase, link in links.items():
        stage.record(records.calibration_record(job=of, attempt=about, calibration=link, phase=phase, captured=SENT))
    stage.commit(durable=False)
    return str(of)


@pytest.fixture
def archive(tmp_path):
    with qarchive.open(tmp_path / "lab") as archive:
        yield archive


def run(archive, *arguments, code=0):
    """(stdout, stderr) of a command that ends with `code`."""
    command = ["--archive", str(archive.path), "calibration", *map(str, arguments)]
    found = click.testing.CliRunner().invoke(main, command)
    assert found.exit_code == code, (found.stdout, found.stderr, found.exception)
    return found.stdout, found.stderr


def lines(text):
    return "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n"


# show


def test_show_prints_what_there_is(archive):
    job = add(archive, ("submit", properties()))
    digest = archive.job(job).calibrations[0].digest[:12]
    out, err = run(archive, "show", job)
    assert err == ""
    assert lines(out) == lines(f"""
job            {job}
device         ibm_small
phase          submit
measured       2024-03-01T10:00:00Z
captured       2024-03-01T12:00:00Z
age at submit  2 h
digest         {digest}

FIGURE         MEDIAN    BEST  AT   WORST  AT
T1             105 us  110 us  q1  100 us  q0
frequency       5 GHz       -           -
readout_error    0.02       -           -
seen              0.5       -           -
x gate_error   0.0015   0.001  q0   0.002  q1
x gate_length   50 ns       -           -
cx gate_error    0.01       -           -

qubits
  QUBIT      T1  FREQUENCY  READOUT ERROR
      0  100 us      5 GHz           0.02
      1  110 us  4.999 GHz           0.02

gates, the worst first
  GATE  QUBITS  GATE ERROR  GATE LENGTH
  cx    0-1           0.01            -
  x     q1           0.002        50 ns
  x     q0           0.001        50 ns
""")


def test_show_of_one_qubit_has_all_its_figures(archive):
    job = add(archive, ("submit", properties()))
    out, _ = run(archive, "show", job, "--qubit", 1)
    assert lines(out.partition("\n\n")[2]) == lines("""
qubit 1
  T1             110 us
  frequency      4.999 GHz
  readout_error  0.02
  seen           1

gates, the worst first
  GATE  QUBITS  GATE ERROR  GATE LENGTH
  cx    0-1           0.01            -
  x     q1           0.002        50 ns
""")


def test_show_limits_its_tables(archive):
    job = add(archive, ("submit", properties(qubits=25)))
    out, _ = run(archive, "show", job)
    assert "\n  5 more; --all shows them\n" in out and "\n  6 more; --all shows them\n" in out
    assert "\n     24  " not in out
    out, _ = run(archive, "show", job, "--all")
    assert "more;" not in out and "\n     24  " in out


def test_show_takes_the_calibration_of_the_phase(archive):
    job = add(archive, ("submit", properties()), ("run", properties(t1=200.0, date="2024-03-01T14:00:00Z")))
    for phase, shown, t1, age in (
        ("submit", "submit (of submit, run)", "105 us", "2 h"),
        ("run", "run (of submit, run)", "205 us", "-2 h"),
    ):
        out, _ = run(archive, "show", job, "--phase", phase)
        assert f"\nphase          {shown}\n" in out
        assert f"\nage at submit  {age}\n" in out
        assert f"\nT1             {t1}" in out
    assert "\nphase          submit" in run(archive, "show", job)[0]
    later = add(archive, ("retrieval", properties()))
    assert "\nphase          retrieval\n" in run(archive, "show", later)[0]


def test_show_says_when_nobody_knows_when_it_was_measured(archive):
    job = add(archive, ("submit", properties(date="2024-03-01T10:00:00")))
    out, _ = run(archive, "show", job)
    assert "\nmeasured  not said by the provider\ncaptured  2024-03-01T12:00:00Z\ndigest" in out


def test_show_as_json_holds_everything(archive):
    job = add(archive, ("submit", properties()))
    found = json.loads(run(archive, "show", job, "--json")[0])
    digest = archive.job(job).calibrations[0].digest
    assert {name: found[name] for name in ("schema", "job", "device", "phase", "phases", "digest", "age_s")} == {
        "schema": "qarchive/calibration-show/1", "job": job, "device": "ibm_small", "phase": "submit", "phases": ["submit"],
        "digest": digest, "age_s": 7200.0}  # fmt: skip
    assert (found["measured_at"], found["captured_at"]) == ("2024-03-01T10:00:00Z", "2024-03-01T12:00:00Z")
    assert found["qubits"]["T1"] == [1e-4, 1.1e-4]
    assert found["units"]["T1"] == "s"
    assert found["gates"] == [
        {"gate": "x", "qubits": [0], "gate_error": 0.001, "gate_length": 5e-8},
        {"gate": "x", "qubits": [1], "gate_error": 0.002, "gate_length": 5e-8},
        {"gate": "cx", "qubits": [0, 1], "gate_error": 0.01},
    ]
    assert found["figures"][0] == {
        "name": "T1", "unit": "s", "count": 2, "median": 1.05e-4, "best": {"qubits": [1], "value": 1.1e-4},
        "worst": {"qubits": [0], "value": 1e-4}}  # fmt: skip
    assert found["figures"][1]["best"] is None
    one = json.loads(run(archive, "show", job, "--json", "--qubit", 0)[0])
    assert one["qubits"]["T1"] == 1e-4 and [gate["gate"] for gate in one["gates"]] == ["x", "cx"]


def test_show_of_a_job_without_a_calibration_says_why(archive):
    job = add(archive, backend="aer_simulator")
    assert run(archive, "show", job, code=3) == ("", (
        f"qarchive: a calibration is not in job {job[:12]}; aer_simulator has no figures; devices, fake backends of IBM and "
        "simulators made from a device have them; `qarchive list` shows other jobs\n"))  # fmt: skip
    job = add(archive, gaps=[{"what": "calibration", "reason": "no answer within 5 s"}, {"what": "input", "reason": "lost"}])
    assert run(archive, "show", job, code=3) == ("", (
        f"qarchive: a calibration is not in job {job[:12]}; it could not be captured (calibration: no answer within 5 s); "
        "`qarchive list` shows other jobs\n"))  # fmt: skip


def test_show_of_another_phase_names_those_that_are_there(archive):
    job = add(archive, ("submit", properties()), ("retrieval", properties(t1=1.0)))
    assert run(archive, "show", job, "--phase", "run", code=3) == (
        "", f"qarchive: a calibration of the phase run is not in job {job[:12]}; it has submit, retrieval\n")  # fmt: skip


def test_show_of_a_qubit_that_is_not_there(archive):
    job = add(archive, ("submit", properties()))
    assert run(archive, "show", job, "--qubit", 2, code=2) == (
        "", "qarchive: --qubit 2: the calibration has 2 qubits; give one below 2\n")  # fmt: skip


def test_show_of_figures_of_another_kind(archive):
    job = add(archive, ("submit", {"type": "perceval.specs"}))
    digest = archive.job(job).calibrations[0].digest[:12]
    assert run(archive, "show", job, code=2) == ("", (
        f"qarchive: the calibration {digest}: its type 'perceval.specs' has no figures that are known here; read its `value`\n"
    ))  # fmt: skip


def test_a_hostile_name_is_printed_and_not_obeyed(archive):
    raw = properties(device="ibm\x1b[31m")
    raw["qubits"][0].append(nduv("evil\x1b[2J", 1.0, "\x07x"))
    job = add(archive, ("submit", raw), ("run", properties(t1=1.0)), backend="ibm\x1b[31m")
    for arguments in (("show", job), ("show", job, "--qubit", 0), ("diff", job)):
        out, err = run(archive, *arguments)
        assert not any(c in out + err for c in "\x1b\x07")


# diff


def test_diff_of_one_job_is_from_its_sending_to_its_run(archive):
    job = add(archive, ("submit", properties()), ("run", properties(t1=120.0, error=0.02, date="2024-03-01T14:00:00Z")),
              ("retrieval", properties(t1=500.0)))  # fmt: skip
    out, err = run(archive, "diff", job)
    assert err == ""
    assert lines(out) == lines(f"""
from  job {job[:12]}, ibm_small, submit: measured 2024-03-01T10:00:00Z
to    job {job[:12]}, ibm_small, run: measured 2024-03-01T14:00:00Z

FIGURE         BEFORE   AFTER  CHANGE  MOVED  MOST MOVED
T1             105 us  125 us   +19 %      2  q0 +20 %, q1 +18.2 %
cx gate_error    0.01    0.02  +100 %      1  0-1 +100 %
unchanged: frequency, readout_error, seen, x gate_error, x gate_length
""")


def test_diff_of_one_job_without_a_run_takes_the_last_one(archive):
    job = add(archive, ("submit", properties()), ("retrieval", properties(t1=50.0)))
    assert "\nT1      105 us  55 us  -47.6 %      2  q0 -50 %, q1 -45.5 %\n" in run(archive, "diff", job)[0]


def test_diff_of_two_jobs_takes_the_calibrations_of_their_runs(archive):
    one = add(archive, ("submit", properties(t1=1.0)), ("run", properties()))
    other = add(archive, ("submit", properties(t1=110.0)))
    out, _ = run(archive, "diff", one, other)
    assert lines(out) == lines(f"""
from  job {one[:12]}, ibm_small, run: measured 2024-03-01T10:00:00Z
to    job {other[:12]}, ibm_small, submit: measured 2024-03-01T10:00:00Z

FIGURE  BEFORE   AFTER   CHANGE  MOVED  MOST MOVED
T1      105 us  115 us  +9.52 %      2  q0 +10 %, q1 +9.09 %
unchanged: frequency, readout_error, seen, x gate_error, x gate_length, cx gate_error
""")


def test_diff_tells_what_appeared_and_what_vanished(archive):
    after = properties()
    del after["gates"][2]
    after["qubits"][1].append(nduv("T2", 50.0, "us"))
    one, other = add(archive, ("submit", properties(qubits=6))), add(archive, ("submit", after))
    out, _ = run(archive, "diff", one, other)
    assert "\nT1 vanished at q2, q3, q4, 1 more\n" in out
    assert "\nT2 appeared at q1\n" in out
    assert ["T2", "-", "50", "us", "0"] in [line.split() for line in out.splitlines()]


def test_diff_from_nothing_and_by_a_multiple(archive):
    before, after = properties(error=0.01, qubits=2), properties(error=0.5, qubits=2)
    before["gates"][0]["parameters"][0]["value"] = 0
    one, other = add(archive, ("submit", before)), add(archive, ("submit", after))
    out, _ = run(archive, "diff", one, other)
    assert "0-1 x 50\n" in out and "q0 from 0\n" in out
    found = json.loads(run(archive, "diff", one, other, "--json")[0])
    assert [change["relative"] for figure in found["figures"] for change in figure["changes"]] == [None, pytest.approx(49.0)]


def test_diff_of_equal_calibrations_and_of_equal_figures(archive):
    one, other = add(archive, ("submit", properties())), add(archive, ("submit", properties()))
    later = add(archive, ("submit", properties(date="2024-03-02T10:00:00Z")))
    assert run(archive, "diff", one, other)[0].endswith("\n\nboth are the same calibration\n")
    assert run(archive, "diff", one, later)[0].endswith(
        "measured 2024-03-02T10:00:00Z\nno figure moved: T1, frequency, readout_error, seen, x gate_error, x gate_length, "
        "cx gate_error\n")  # fmt: skip


def test_diff_of_two_devices_says_so(archive):
    one, other = add(archive, ("submit", properties())), add(archive, ("submit", properties(device="ibm_other", t1=5.0)))
    assert run(archive, "diff", one, other)[1] == "qarchive: warning: these are two devices, ibm_small and ibm_other\n"


def test_diff_as_json(archive):
    job = add(archive, ("submit", properties()), ("run", properties(error=0.02)))
    found = json.loads(run(archive, "diff", job, "--json")[0])
    assert (found["schema"], found["one"]["job"], found["one"]["phase"], found["other"]["phase"]) == (
        "qarchive/calibration-diff/1", job, "submit", "run")  # fmt: skip
    assert [figure for figure in found["figures"] if figure["changes"]] == [{
        "name": "cx gate_error", "unit": "", "before": 0.01, "after": 0.02, "appeared": [], "vanished": [],
        "changes": [{"qubits": [0, 1], "before": 0.01, "after": 0.02, "relative": 1.0}]}]  # fmt: skip


def test_diff_of_a_job_with_one_calibration_asks_for_another_job(archive):
    job = add(archive, ("submit", properties()))
    assert run(archive, "diff", job, code=3) == ("", (
        f"qarchive: a second calibration is not in job {job[:12]}; it has submit; give another job to compare it with\n"
    ))  # fmt: skip
    assert run(archive, "diff", job, "0000", code=3)[0] == ""


# drift


def test_drift_shows_each_figure_in_time(archive):
    for day, t1 in ((3, 120.0), (1, 100.0), (2, 60.0)):
        add(archive, ("submit", properties(t1=t1, date=f"2024-03-0{day}T10:00:00Z", error=0.01 * day)))
    add(archive, ("submit", properties(t1=60.0, date="2024-03-02T10:00:00Z", error=0.02)))  # the same calibration again
    out, err = run(archive, "drift", "ibm_small")
    assert err == ""
    assert lines(out) == lines("""
device        ibm_small
calibrations  3
measured      2024-03-01T10:00Z to 2024-03-03T10:00Z

FIGURE            NOW  CHANGE  MEDIANS
T1             125 us   +19 %  ▆▁█
frequency       5 GHz     0 %  ▅▅▅
readout_error    0.02     0 %  ▅▅▅
seen              0.5     0 %  ▅▅▅
x gate_error   0.0015     0 %  ▅▅▅
x gate_length   50 ns     0 %  ▅▅▅
cx gate_error    0.03  +200 %  ▁▅█
""")


def test_drift_as_json_of_one_figure_of_jobs_and_of_the_latest(archive):
    jobs = []
    for day, t1 in ((1, 100.0), (2, 60.0)):
        sent, ran = (properties(t1=t1 + hour, date=f"2024-03-0{day}T1{hour}:00:00Z") for hour in (0, 1))
        jobs.append(add(archive, ("submit", sent), ("run", ran)))
    found = json.loads(run(archive, "drift", *jobs, "--figure", "T1", "--json")[0])
    [device] = found["devices"]
    assert (found["schema"], device["device"]) == ("qarchive/calibration-drift/1", "ibm_small")
    assert [each["at"][:13] for each in device["calibrations"]] == [
        "2024-03-01T10", "2024-03-01T11", "2024-03-02T10", "2024-03-02T11"
    ]  # fmt: skip
    [figure] = device["figures"]
    assert (figure["name"], figure["unit"]) == ("T1", "s")
    assert figure["medians"] == pytest.approx([105e-6, 106e-6, 65e-6, 66e-6])
    of_device = json.loads(run(archive, "drift", "ibm_small", "--figure", "T1", "--json")[0])["devices"][0]
    assert of_device["figures"][0]["medians"] == pytest.approx([105e-6, 65e-6])
    latest = json.loads(run(archive, "drift", *jobs, "--limit", 2, "--json")[0])["devices"][0]
    assert [each["at"][:13] for each in latest["calibrations"]] == ["2024-03-02T10", "2024-03-02T11"]


def test_drift_leaves_a_gap_where_a_figure_is_missing(archive):
    for day in (1, 2, 3):
        raw = properties(t1=100.0 * day, date=f"2024-03-0{day}T10:00:00Z")
        if day == 2:
            for qubit in raw["qubits"]:
                del qubit[0]
        add(archive, ("submit", raw))
    assert run(archive, "drift", "ibm_small", "--figure", "T1")[0].splitlines()[-1] == "T1      305 us  +190 %  ▁·█"


def test_drift_says_what_is_missing(archive):
    job = add(archive, ("submit", properties()))
    figures = "T1, frequency, readout_error, seen, x gate_error, x gate_length, cx gate_error"
    assert run(archive, "drift", "ibm_small", "--figure", "T9", code=3) == (
        "", f"qarchive: the figure 'T9' is not in these calibrations; they have {figures}\n"
    )  # fmt: skip
    blank = add(archive)
    assert run(archive, "drift", blank, code=3) == ("", (
        f"qarchive: a calibration is not in {blank}; devices, fake backends of IBM and simulators made from a device have them\n"
    ))  # fmt: skip
    assert run(archive, "drift", "ibm_other", code=3) == (
        "", f"qarchive: job 'ibm_other' is not in {archive.path}; `qarchive list` shows what there is\n"
    )  # fmt: skip
    assert run(archive, "drift", job)[0].splitlines()[2] == "measured      2024-03-01T10:00Z"


# The group


def test_the_group_alone_says_what_it_can():
    found = click.testing.CliRunner().invoke(main, ["calibration"])
    assert found.exit_code == 0 and "Show and compare calibrations of devices." in found.stdout
    found = click.testing.CliRunner().invoke(main, ["calibration", "--json"])
    commands = {
        "show": "Show the calibration that a job ran with.",
        "diff": "Show which figures of a device moved, and where.",
        "drift": "Show how the figures of a device moved in time.",
    }
    assert json.loads(found.stdout) == {"schema": "qarchive/calibration/1", "commands": commands}


def test_drift_dates_a_calibration_that_nobody_dated_by_the_first_job_that_used_it(archive):
    undated = properties(t1=70.0)
    del undated["last_update_date"]
    jobs = [add(archive, ("submit", undated), captured=None) for _ in range(2)]
    used = f"{archive.job(jobs[0]).created:%Y-%m-%dT%H:%MZ}"
    for references in (jobs, ["ibm_small"]):
        out, _ = run(archive, "drift", *references)
        assert out.splitlines()[1:3] == ["calibrations  1", f"used          {used}"]
    add(archive, ("submit", properties(t1=60.0, date="2024-02-02T10:00:00Z")))
    out, _ = run(archive, "drift", "ibm_small", "--figure", "T1")
    assert out.splitlines()[2] == f"measured or used  2024-02-02T10:00Z to {used}"

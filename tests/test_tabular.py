"""A table of jobs has the same columns in every form, says what the archive says, and is written a page at a time."""

import csv
import io
import json
import sys

import duckdb
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from building import blob
from hypothesis import given, settings
from hypothesis import strategies as st

import qarchive
from qarchive import pack, records, tabular
from qarchive.errors import MissingExtra
from qarchive.rows import Row
from qarchive.store import Store
from qarchive.values import Array, Link, Timestamp

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "'=1", 'a,"b"', "<script>", "plain"]
MOMENT = 1_763_769_600_123_456_789


def job(number, backend="aer_simulator", shots=100, names=("bell",), **labels):
    """A job that was only prepared."""
    circuit, config = blob("circuit", {"number": number}), blob("config", {})
    record = records.job_record(provider="aer", kind="simulator", backend=backend, input=Link(circuit.digest),
                                config=Link(config.digest), shots=shots, size=len(names), names=names, labels=labels)  # fmt: skip
    record["created"] = Timestamp(MOMENT + number)
    return [circuit, config, blob(pack.RECORD, record)]


@pytest.fixture
def archive(folder):
    store = Store.create(folder / "lab")
    for number, name in enumerate(HOSTILE):
        store.commit(job(number, backend=name, names=(name,), tags=[name], params={"theta": number / 4, name: [1, 2]}), False)
    store.commit(job(50, shots=None, names=()), False)
    store.commit(job(51, names=("a", "b", "c", "d"), group="sweep", tags=["x", "y"]), False)
    store.close()
    with qarchive.open(folder / "lab") as found:
        yield found


def written(form, jobs, params=False):
    """The bytes of a table."""
    file = io.BytesIO()
    tabular.WRITERS[form](tabular.pages(jobs.rows, jobs._labels if params else None), file, params)
    return file.getvalue()


def test_the_columns_are_what_the_index_has_of_a_job():
    assert [column.name for column in tabular.COLUMNS] == list(Row.__slots__)


def test_parquet_says_what_the_archive_says(archive):
    jobs = list(archive.jobs())
    found = pyarrow.parquet.read_table(io.BytesIO(written("parquet", archive.jobs(), params=True)))
    assert found.schema.metadata[b"schema"] == b"qarchive/table/1"
    assert [field.name for field in found.schema] == [*(column.name for column in tabular.COLUMNS), "params"]
    assert {str(field.type) for field in found.schema} == {"string", "int64", "timestamp[ns, tz=UTC]", "list<element: string>"}
    assert [field.metadata[b"about"].decode() for field in found.schema][:2] == ["64 hexadecimal digits",
                                                                               "when the job was recorded, in UTC"]  # fmt: skip
    columns = found.to_pydict()
    for column in tabular.COLUMNS:
        expected = [getattr(job.row, column.name) for job in jobs]
        if column.name == "created":
            assert found["created"].cast("int64").to_pylist() == [moment.ns for moment in expected]
        else:
            plain = [list(each) if type(each) is tuple else each for each in expected]
            assert columns[column.name] == [None if each == "" else each for each in plain]
    assert [json.loads(text) for text in columns["params"]] == [job.labels.get("params", {}) for job in jobs]


def test_duckdb_reads_parquet_with_its_times_lists_and_params(archive, tmp_path):
    path = tmp_path / "jobs.parquet"
    path.write_bytes(written("parquet", archive.jobs(), params=True))
    ask = lambda sql: duckdb.sql(sql.replace("JOBS", f"'{path}'")).fetchall()  # noqa: E731
    assert ask("SELECT count(*), count(shots), min(epoch_ns(created)) FROM JOBS") == [(11, 10, MOMENT)]
    assert ask("SELECT \"group\" FROM JOBS WHERE list_contains(tags, 'y')") == [("sweep",)]
    assert ask("SELECT backend FROM JOBS WHERE CAST(params->>'theta' AS DOUBLE) = 0.25") == [("+1",)]
    assert ask("SELECT decode(value) FROM parquet_kv_metadata(JOBS) WHERE decode(key) = 'schema'") == [("qarchive/table/1",)]


def test_csv_holds_no_formula_and_gives_every_name_back(archive):
    text = written("csv", archive.jobs(order="oldest"), params=True).decode()
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert header == [*(column.name for column in tabular.COLUMNS), "params"]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert [row["backend"] for row in rows[:9]] == [
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'＝1", "''=1", 'a,"b"', "<script>", "plain",
    ]  # fmt: skip
    assert [row["backend"].removeprefix("'") for row in rows[:9]] == HOSTILE
    assert [json.loads(row["tags"]) for row in rows[:9]] == [[name] for name in HOSTILE]
    assert json.loads(rows[1]["params"]) == {"theta": 0.25, "+1": [1, 2]}
    assert rows[0]["created"] == "2025-11-22T00:00:00.123456789Z" and rows[0]["shots"] == "100"
    assert rows[9]["shots"] == rows[9]["group"] == "" and rows[10]["names"] == '["a", "b", "c"]' and rows[10]["size"] == "4"


@given(st.lists(st.text() | st.builds("".join, st.tuples(st.sampled_from("=+-@\t\r\n＝＋－＠'"), st.text())), min_size=1))
@settings(max_examples=60)
def test_any_text_comes_back_from_csv_without_its_apostrophe(texts):
    page = {column.name: [None] * len(texts) for column in tabular.COLUMNS}
    file = io.BytesIO()
    tabular.write_csv([{**page, "error": texts, "created": [Timestamp(0)] * len(texts)}], file)
    cells = [line[-1] for line in csv.reader(io.StringIO(file.getvalue().decode(), newline=""))][1:]
    assert [cell.removeprefix("'") for cell in cells] == texts
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n＝＋－＠") - {""}]


def test_a_line_of_json_is_a_job_as_it_is_listed(archive):
    lines = [json.loads(line) for line in written("jsonl", archive.jobs()).decode("ascii").splitlines()]
    for line, job in zip(lines, archive.jobs(), strict=True):
        expected = {name: getattr(job.row, name) for name in Row.__slots__}
        expected |= {"created": str(job.row.created), "error": job.row.error or None}
        assert line == {"schema": "qarchive/job/1", **json.loads(json.dumps(expected))}
    assert list(lines[0]) == ["schema", *(column.name for column in tabular.COLUMNS)]


def test_params_that_json_has_no_form_for_have_the_form_of_the_command_line(folder):
    store = Store.create(folder / "odd")
    params = {"z": 1j, "bound": float("inf"), "grid": Array("<i4", (2,), b"\1\0\0\0\2\0\0\0"), "pair": (1, 2)}
    store.commit(job(1, params=params), False)
    store.close()
    with qarchive.open(folder / "odd") as archive:
        [line] = written("jsonl", archive.jobs(), params=True).splitlines()
        assert json.loads(line)["params"] == {
            "z": {"$complex": [0.0, 1.0]}, "bound": {"$float": "inf"}, "grid": {"$array": "<i4", "shape": [2], "data": [1, 2]},
            "pair": {"$tuple": [1, 2]},
        }  # fmt: skip
        assert written("csv", archive.jobs(), params=True) and written("parquet", archive.jobs(), params=True)


@pytest.mark.parametrize("form", tabular.WRITERS)
def test_pages_do_not_show_and_no_more_than_one_is_asked_for_at_once(archive, form):
    asked = []

    def rows(size):
        for row in archive.jobs().rows(1):
            asked.append(len(asked))
            yield row

    read = {"parquet": lambda data: pyarrow.parquet.read_table(io.BytesIO(data)).to_pydict()}.get(form, bytes)
    file = io.BytesIO()
    pages = tabular.pages(rows)
    taken = []

    def counted():
        for page in pages:
            taken.append(len(asked))
            yield page

    tabular.WRITERS[form](counted(), file)
    assert taken == list(range(1, 12))
    assert read(file.getvalue()) == read(written(form, archive.jobs()))


def test_a_frame_has_the_types_of_its_columns_however_many_jobs_there_are(archive):
    expected = {
        "id": "string", "created": "datetime64[ns, UTC]", "provider": "category", "backend": "category", "kind": "category",
        "status": "category", "shots": "Int64", "size": "Int64", "group": "category", "tags": "object", "input": "string",
        "calibration": "string", "provider_job": "string", "attempts": "Int64", "gaps": "Int64", "names": "object",
        "error": "string",
    }  # fmt: skip
    for jobs in (archive.jobs(), archive.jobs(limit=1), archive.jobs(tag="none")):
        found = jobs.to_pandas(params=True).dtypes
        assert {name: str(dtype) for name, dtype in found.items()} == {**expected, "params": "object"}
        assert {name: str(dtype) for name, dtype in jobs.to_pandas().dtypes.items()} == expected


def test_a_frame_says_what_the_archive_says(archive):
    jobs = list(archive.jobs())
    frame = archive.jobs().to_pandas(params=True)
    assert list(frame.id) == [job.id for job in jobs] and list(frame.backend) == [job.backend for job in jobs]
    assert list(frame.backend.cat.categories) == sorted({job.backend for job in jobs})
    assert [moment.value for moment in frame.created] == [job.row.created.ns for job in jobs]
    assert frame.tags[0] == ["x", "y"] and frame.names[0] == ["a", "b", "c"] and frame.group[0] == "sweep"
    assert frame.shots[1] is pandas.NA and frame.shots.sum() == 1000 and pandas.isna(frame.group[1])
    assert frame.params[0] == {} and frame.params[2] == {"theta": 2.0, "plain": [1, 2]}
    assert frame.groupby("kind", observed=True).size().to_dict() == {"simulator": 11}


@pytest.mark.parametrize(("module", "what", "message"), [
    ("pandas", lambda jobs: jobs.to_pandas(),
     "a DataFrame needs more than is installed; run `pip install 'qarchive[pandas]'`"),
    ("pyarrow", lambda jobs: written("parquet", jobs),
     "a Parquet file needs more than is installed; run `pip install 'qarchive[parquet]'`"),
])  # fmt: skip
def test_what_is_not_installed_is_named(archive, monkeypatch, module, what, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra) as caught:
        what(archive.jobs())
    assert str(caught.value) == message

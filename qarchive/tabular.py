"""Jobs as a table: which columns there are, and how they are written as Parquet, CSV and JSON lines, or shown as a DataFrame.

Everything is read in pages and written as it is read, but for a DataFrame, which is in memory by its nature.
"""

import csv
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from .errors import MissingExtra
from .json_forms import to_json
from .rows import Row
from .version import __version__

SCHEMA = "qarchive/table/1"  # of the columns
LINE = "qarchive/job/1"  # of a line of JSON, as in `qarchive list --jsonl`
PAGE = 10_000  # jobs in memory at once

TEXT, WORD, NUMBER, MOMENT, TEXTS, VALUES = "text", "word", "number", "moment", "texts", "values"  # a word is one of few


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    about: str


COLUMNS = (
    Column("id", TEXT, "64 hexadecimal digits"),
    Column("created", MOMENT, "when the job was recorded, in UTC"),
    Column("provider", WORD, "aer, ibm, perceval, ..."),
    Column("backend", WORD, "its name"),
    Column("kind", WORD, "simulator, qpu, local or mock"),
    Column("status", WORD, "DONE, ERROR, QUEUED, ..."),
    Column("shots", NUMBER, "of each circuit, as asked for or by the SDK's default; none where nothing is sampled"),
    Column("size", NUMBER, "circuits"),
    Column("group", WORD, "its name; none for a job of no group"),
    Column("tags", TEXTS, "in order"),
    Column("input", TEXT, "the digest of what went in: the same for equal circuits"),
    Column("calibration", TEXT, "the digest of the calibration at sending, if there was one"),
    Column("provider_job", TEXT, "the provider's own id"),
    Column("attempts", NUMBER, "how often it was sent"),
    Column("gaps", NUMBER, "how many parts could not be captured"),
    Column("names", TEXTS, "the first three different names of circuits"),
    Column("error", TEXT, "the beginning of its message; none where there is none"),
)
PARAMS = Column("params", VALUES, "of archive.context(params=...), by name")

Pages = Iterable[Sequence[Row]]
Labels = Callable[[Sequence[Row]], list[Mapping[str, Any]]]  # the labels of each of some jobs, for the column of params

_ROW_GROUP = 10  # pages; larger ones are read faster, and are in memory while they are gathered
_KNOWN = 100_000  # texts of a column that are remembered while a DataFrame is gathered
_FORMULA = tuple("=+-@\t\r\n＝＋－＠'")  # a spreadsheet may take text that begins so for a formula; the apostrophe marks it


def pages(read: Callable[[int], Iterable[Sequence[Row]]], labels: Labels | None = None) -> Iterator[dict[str, list]]:
    """{column: its values}, a page after another: times as `Timestamp`, None for what there is not. `read` takes the size of a
    page; with `labels` there is the column of params."""
    for rows in read(PAGE):
        found = {column.name: [getattr(row, column.name) for row in rows] for column in COLUMNS}
        found["error"] = [text or None for text in found["error"]]
        if labels is not None:
            found[PARAMS.name] = [to_json(each.get("params", {})) for each in labels(rows)]
        yield found


def columns(params: bool) -> tuple[Column, ...]:
    return (*COLUMNS, PARAMS) if params else COLUMNS


# Files


def write_jsonl(found: Iterable[Mapping[str, list]], file: BinaryIO, params: bool = False) -> None:
    """A JSON document a line for each job, in pure ASCII: the lines of `qarchive list --jsonl`, with the column of params."""
    for page in found:
        shown = {**page, "created": map(str, page["created"])}
        lines = (json.dumps({"schema": LINE, **dict(zip(shown, values))}) for values in zip(*shown.values()))
        file.write("".join(f"{line}\n" for line in lines).encode())


def write_csv(found: Iterable[Mapping[str, list]], file: BinaryIO, params: bool = False) -> None:
    """A header, and a line for each job, in UTF-8. Lists and params are JSON, what there is not is empty.

    Text that a spreadsheet might take for a formula has an apostrophe before it, and so has text that begins with one.
    """
    kinds = columns(params)
    lines = csv.writer(_Lines(file))  # with the line ends of RFC 4180: text with one of its own is quoted
    lines.writerow([column.name for column in kinds])
    for page in found:
        lines.writerows(zip(*(map(_CELLS[column.kind], page[column.name]) for column in kinds)))


class _Lines:
    """A file for bytes that takes text."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def write(self, text: str) -> None:
        self._file.write(text.encode())


def _safe(text: str | None) -> str | None:
    return f"'{text}" if text and text.startswith(_FORMULA) else text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_CELLS: dict[str, Callable] = {TEXT: _safe, WORD: _safe, NUMBER: lambda number: number, MOMENT: str, TEXTS: _json, VALUES: _json}


def write_parquet(found: Iterable[Mapping[str, list]], file: BinaryIO, params: bool = False) -> None:
    """A Parquet file: times as nanoseconds in UTC, lists as lists, params as JSON. Its metadata name the schema, and each column
    says what it holds. Raises MissingExtra."""
    arrow, parquet = _arrow()
    kinds = columns(params)
    types = {
        **dict.fromkeys((TEXT, WORD, VALUES), arrow.string()),
        NUMBER: arrow.int64(),
        MOMENT: arrow.timestamp("ns", "UTC"),
        TEXTS: arrow.list_(arrow.string()),
    }
    fields = [arrow.field(column.name, types[column.kind], metadata={"about": column.about}) for column in kinds]
    schema = arrow.schema(fields, metadata={"schema": SCHEMA, "created_by": f"qarchive {__version__}"})
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        gathered: list[Any] = []
        for page in found:
            arrays = [arrow.array(_stored(column.kind, page[column.name]), types[column.kind]) for column in kinds]
            gathered.append(arrow.RecordBatch.from_arrays(arrays, schema=schema))
            if len(gathered) == _ROW_GROUP:
                writer.write_table(arrow.Table.from_batches(gathered))
                gathered = []
        if gathered:
            writer.write_table(arrow.Table.from_batches(gathered))


def _stored(kind: str, values: list) -> list:
    if kind == MOMENT:
        return [moment.ns for moment in values]
    return list(map(_json, values)) if kind == VALUES else values


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("a Parquet file", "parquet") from None
    return pyarrow, pyarrow.parquet


WRITERS: dict[str, Callable[..., None]] = {"parquet": write_parquet, "csv": write_csv, "jsonl": write_jsonl}


def check(form: str) -> None:
    """Raises MissingExtra for a form that cannot be written here."""
    if form == "parquet":
        _arrow()


# In memory


def frame(found: Iterable[Mapping[str, list]], params: bool = False) -> Any:
    """A pandas DataFrame with the same types of columns however many jobs there are. Raises MissingExtra.

    Times are datetime64[ns, UTC], numbers Int64, what takes few values is a category, text is "string", tags and names are lists,
    params are dicts.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtra("a DataFrame", "pandas") from None
    kinds = columns(params)
    gathered = {column.name: _GATHERED.get(column.kind, _Values)() for column in kinds}
    for page in found:
        for column in kinds:
            gathered[column.name].add(page[column.name])
    return pandas.DataFrame({column.name: gathered.pop(column.name).series(pandas) for column in kinds})


class _Values:
    """A column of lists or dicts."""

    dtype = "object"

    def __init__(self):
        self._values: list[Any] = []

    def add(self, values: Iterable[Any]) -> None:
        self._values += map(list, values) if values and type(values[0]) is tuple else values

    def series(self, pandas: Any) -> Any:
        return pandas.Series(self._values, dtype=self.dtype)


class _Texts(_Values):
    """A column of texts; equal ones are one object."""

    dtype = "string"

    def __init__(self):
        super().__init__()
        self._known: dict[str | None, str | None] = {}

    def add(self, values: Iterable[str | None]) -> None:
        self._values += [self._known.setdefault(value, value) for value in values]
        if len(self._known) > _KNOWN:
            self._known.clear()


class _Words(_Values):
    """A column of texts of which there are few: a number each, the place in the list of all."""

    def __init__(self):
        self._codes, self._known = array("i"), {}

    def add(self, values: Iterable[str | None]) -> None:
        known = self._known
        self._codes.extend(-1 if value is None else known.setdefault(value, len(known)) for value in values)

    def series(self, pandas: Any) -> Any:
        names = sorted(self._known)
        new = {self._known[name]: place for place, name in enumerate(names)} | {-1: -1}
        found = pandas.Index(names, dtype="str")
        return pandas.Series(pandas.Categorical.from_codes([new[code] for code in self._codes], found))


class _Numbers(_Values):
    dtype = "Int64"


class _Moments(_Values):
    def __init__(self):
        self._ns = array("q")

    def add(self, values: Iterable[Any]) -> None:
        self._ns.extend(value.ns for value in values)

    def series(self, pandas: Any) -> Any:
        return pandas.Series(pandas.to_datetime(pandas.array(self._ns, dtype="int64"), unit="ns", utc=True))


_GATHERED: dict[str, type[_Values]] = {TEXT: _Texts, WORD: _Words, NUMBER: _Numbers, MOMENT: _Moments}

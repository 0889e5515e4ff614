"""Data in: every form of file, standard input, the hub, and whatever is wrong with them."""

import csv
import errno
import gzip
import io as std_io
import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr import hub, io
from flr.errors import InputError, OptionError, UserError

ROWS = [{"prompt": "a", "response": "b", "id": 1}, {"prompt": "c", "response": "d", "id": 2}]


def put(path: Path, content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def lines(rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def complaint(source: str, **options) -> str:
    """What is said of a source, without its name."""
    with pytest.raises(InputError) as caught:
        io.load(source, **options)
    assert str(caught.value).startswith(f"{caught.value.path}: ")
    return str(caught.value).removeprefix(f"{caught.value.path}: ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(ROWS)),
        ("a.JSONL", lines(ROWS).rstrip()),
        ("a.jsonl.gz", lines(ROWS)),
        ("a.jsonl", "\ufeff" + lines(ROWS).replace("\n", "\r\n")),
        ("a.json", json.dumps(ROWS, indent=1)),
        ("a.json", "\ufeff" + json.dumps(ROWS)),
        ("a.json.gz", json.dumps(ROWS)),
        ("a.json", lines(ROWS)),
        ("a.json", "\ufeff\n" + lines(ROWS).replace("\n", "\r\n\r\n").rstrip()),
        ("a.json.gz", lines(ROWS)),
    ],
)
def test_json_files(tmp_path, name, content):
    source = put(tmp_path / name, content)
    assert io.read(source) == ROWS
    assert [row.columns for row in io.load(source)] == ROWS


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_cells_are_texts_of_any_length(tmp_path, name):
    long = 'a "b", c\n\n' * 50_000
    buffer = std_io.StringIO(newline="")
    csv.writer(buffer).writerows([["prompt", "response"], [long, ""], [], ["\x00", "é"]])
    source = put(tmp_path / name, "\ufeff" + buffer.getvalue())
    assert io.read(source) == [
        {"prompt": long, "response": ""},
        {"prompt": "\x00", "response": "é"},
    ]
    assert [row.number for row in io.load(source)] == [1, 2]


def test_parquet_messages_lose_the_nulls_that_parquet_adds(tmp_path):
    messages = [
        {"role": "user", "content": "a", "name": "Ann"},
        {"role": "assistant", "content": "b"},
    ]
    pq.write_table(pa.table({"messages": [messages], "id": [7]}), tmp_path / "a.parquet")
    (row,) = io.load(str(tmp_path / "a.parquet"))
    assert row.columns["messages"][1] == {"role": "assistant", "content": "b", "name": None}
    assert [m.extra for m in row.conversations[0].messages] == [{"name": "Ann"}, {}]


def test_the_paper_s_files(tmp_path):
    for rows in ([["a", "b"], ["c", "d"]], [{"conversation": ["a", "b"]}, ["c", "d"]]):
        source = put(tmp_path / "a.json", json.dumps(rows))
        assert io.read(source) == [{"conversation": ["a", "b"]}, {"conversation": ["c", "d"]}]
        assert [row.conversations[0].response for row in io.load(source)] == ["b", "d"]


def test_standard_input_is_jsonl(monkeypatch):
    class Stdin:
        buffer = std_io.BytesIO(lines(ROWS).encode() + b"\n{")

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert io.read("-", limit=2) == ROWS
    Stdin.buffer.seek(0)
    with pytest.raises(InputError, match=r"^standard input: row 4: is not whole and valid JSON"):
        io.load("-")


def test_rows_of_jsonl_are_numbered_by_line(tmp_path):
    source = put(tmp_path / "a.jsonl", "\n" + lines(ROWS[:1]) + "  \r\n" + lines(ROWS[1:]) + "\n")
    assert [row.number for row in io.load(source)] == [2, 4]


def test_unicode_line_separators_do_not_end_a_line(tmp_path):
    row = {"prompt": "a\u2028b\u0085c\x0b", "response": "\r"}
    io.write(tmp_path / "a.jsonl", [row])
    assert io.read(str(tmp_path / "a.jsonl")) == [row]


def test_a_limit_stops_the_reading(tmp_path):
    source = put(tmp_path / "a.jsonl", lines(ROWS) + "half a line")
    assert io.read(source, limit=2) == ROWS
    assert len(io.load(source, limit=1)) == 1
    with pytest.raises(OptionError, match="--limit is 0"):
        io.load(source, limit=0)


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_a_line_that_stops_short_is_not_called_line_two(tmp_path, end: str):
    with pytest.raises(InputError, match=r"row 1: is not whole .* at character 7$"):
        io.read(put(tmp_path / "a.jsonl", '{"a": ' + end))


def test_bad_lines_and_bad_rows_are_named_together(tmp_path):
    content = (
        lines([*ROWS, {"prompt": 1, "response": "b"}]).encode() + b'\xff\n"text"\n{"prompt": "c'
    )
    with pytest.raises(InputError) as caught:
        io.load(put(tmp_path / "a.jsonl", content))
    assert [str(problem) for problem in caught.value.problems] == [
        "row 3, prompt: expected a text or a list of messages, got a number",
        "row 4: is not UTF-8: byte 0xff at byte 1",
        "row 5: expected an object (or a list of utterances), got a text",
        "row 6: is not whole and valid JSON: Unterminated string starting at at character 12",
    ]
    with pytest.raises(InputError, match="row 4: is not UTF-8") as caught:
        io.read(str(tmp_path / "a.jsonl"))
    assert [problem.row for problem in caught.value.problems] == [4, 5, 6]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", "", "has no rows"),
        ("a.jsonl", "\n \n", "has no rows"),
        ("a.json", "", "has no rows"),
        ("a.json", "[]", "has no rows"),
        ("a.csv", "", "has no rows"),
        ("a.csv", "prompt,response\n", "has no rows"),
        ("a.json", '{"rows": []}', "expected a list of rows, got an object"),
        ("a.json", '[\n{"a"', "is not whole and valid JSON: Expecting ':' delimiter at line 2"),
        ("a.json", b"[\n \xff]", "is not UTF-8: byte 0xff at line 2, byte 2"),
        ("a.json", "null", "expected a list of rows, got null"),
        ("a.json", lines(ROWS) + '{"prompt', "row 3: is not whole and valid JSON: Unterminated"),
        ("a.json", '{"a": 1} {"b": 2}', "row 1: is not whole and valid JSON: Extra data at char"),
        ("a.json", "[\n1\n]\n]", "is not whole and valid JSON: Extra data at line 4, character 1"),
        ("a.json", "[" * 100_000, "is nested too deeply"),
        ("a.jsonl", "[" * 100_000, "row 1: is nested too deeply"),
        (
            "a.jsonl",
            '{"a": ' + "1" * 5000 + "}",
            "row 1: cannot be read as JSON: Exceeds the limit",
        ),
        ("a.csv", "prompt,response\na\n", "row 1: has 1 cells, but the header names 2 columns"),
        ("a.csv", "prompt,response\na,b\na,b,c\n", "row 2: has 3 cells, but the header names 2"),
        ("a.csv", 'prompt,response\na,"b\n', "is not valid CSV: unexpected end of data (line 2)"),
        ("a.csv", "prompt,prompt\na,b\n", "several columns have one name: 'prompt'"),
        ("a.csv", b"prompt,response\na,\xe9\n", "is not UTF-8: byte 0xe9 at line 2, byte 3"),
        ("a.parquet", "PAR1", "cannot be read as Parquet"),
        ("a.parquet", "", "cannot be read as Parquet"),
        ("a.txt", "a", "has no known suffix; expected .jsonl"),
        ("a.parquet.gz", "a", "has no known suffix"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name, content, said):
    assert said in complaint(put(tmp_path / name, content))


def test_a_gz_file_that_is_none_or_half_of_one(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"plain")
    assert "cannot be read: Not a gzipped file" in complaint(str(path))
    path.write_bytes(gzip.compress(os.urandom(1000))[:-100])
    assert "cannot be read" in complaint(str(path))


def test_parquet_with_a_name_twice_or_a_broken_text(tmp_path):
    source = str(tmp_path / "a.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, ["prompt", "prompt"]), source)
    assert "several columns have one name: 'prompt'" in complaint(source)
    text = pa.array([b"\xff"]).cast(pa.string(), safe=False)
    pq.write_table(pa.table({"prompt": text}), source)
    assert "cannot be read as Parquet" in complaint(source)


def test_places_that_are_no_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert complaint("data") == "is a folder without a .parquet file\nName one file in it."
    for source in ("a.jsonl", "owner/a.jsonl", "data/a", "./a", "/nowhere/a", "word", "a b/c"):
        assert complaint(source).startswith("no such file\nA data set of the Hugging Face hub")
    assert "cannot be read: File name too long" in complaint("x" * 5000)
    with pytest.raises(OptionError, match="--split test is for data sets of the hub"):
        io.load(put(tmp_path / "a.jsonl", lines(ROWS)), split="test")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    source = put(tmp_path / "a.jsonl", lines(ROWS))

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert complaint(source) == "cannot be read: Permission denied"


class Hub:
    """A hub with one data set of three rows; it remembers what it was asked."""

    def __init__(self, monkeypatch, splits: list[str]) -> None:
        self.splits, self.asked, self.folders = splits, [], []
        monkeypatch.setattr(hub.datasets, "get_dataset_split_names", self.split_names)
        monkeypatch.setattr(hub.datasets, "load_dataset", self.load)
        monkeypatch.setattr(hub.settings, "HF_HUB_OFFLINE", False)

    def split_names(self, name: str, config: str | None, *, data_dir: str | None) -> list[str]:
        self.folders.append(data_dir)
        if name != "owner/name":
            raise ConnectionError("Couldn't reach it\n(many more lines)")
        return self.splits

    def load(self, *names, **options):
        assert options["data_dir"] == self.folders[-1]
        self.asked.append((*names, options["split"], options["streaming"]))
        return iter([*ROWS, {"prompt": "e", "response": "f"}])


def test_a_data_set_of_the_hub(monkeypatch):
    fake = Hub(monkeypatch, ["train", "test"])
    assert len(io.load("owner/name", split="test")) == 3
    assert io.read("owner/name:main", split="train", limit=2) == ROWS
    assert fake.asked == [
        ("owner/name", None, "test", False),
        ("owner/name", "main", "train", True),
    ]
    fake.splits = ["only"]
    assert len(io.read("owner/name")) == 3
    assert fake.asked[-1] == ("owner/name", None, "only", False)
    assert len(io.read("owner/name:a@b", data_dir="part")) == 3
    assert fake.asked[-1] == ("owner/name", "a@b", "only", False)
    assert fake.folders == [None, None, None, "part"]


def test_the_hub_s_failures_are_the_user_s_errors(monkeypatch):
    Hub(monkeypatch, ["train", "test"])
    with pytest.raises(OptionError, match="has the splits train, test; choose one with --split"):
        io.load("owner/name")
    with pytest.raises(OptionError, match=r"no split 'tset'.* Did you mean 'test'"):
        io.load("owner/name", split="tset")
    said = complaint("other/name")
    assert said.startswith("cannot be read from the Hugging Face hub: Couldn't reach it\nCheck the")


FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
BYTES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text('{}[]",:\\\n \ufeff01eaprompt', max_size=60).map(str.encode),
    st.tuples(st.just(lines(ROWS).encode() * 2), st.integers(0, 150), st.binary(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
    ),
)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.parquet", "a.jsonl.gz"])
@FUZZ
@given(data=BYTES)
def test_any_bytes_are_read_or_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    for act in (io.read, io.load):
        try:
            rows = act(str(tmp_path / name))
        except UserError as error:
            assert str(error).encode("utf-8")  # noqa: PT017
        else:
            assert rows

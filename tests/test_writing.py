"""Data out: whole or not at all, and read back the same."""

import errno
import math
import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flr import io
from flr.errors import OutputError

ROWS = [{"prompt": "a", "response": "b", "id": 1}, {"prompt": "c", "response": "d", "id": 2}]
FUZZ = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def test_jsonl_keeps_what_json_can_say_and_more(tmp_path):
    row = {
        "é": "\x00 👩‍👩‍👧",
        "half": "\ud83d",
        "big": 10**400,
        "nan": math.nan,
        "inf": -math.inf,
        "o": {},
    }
    io.write(tmp_path / "a.jsonl", [row, {"é": None}])
    first, second = io.read(str(tmp_path / "a.jsonl"))
    assert math.isnan(first.pop("nan"))
    assert first == {key: value for key, value in row.items() if key != "nan"}
    assert second == {"é": None}
    assert "é".encode() in (tmp_path / "a.jsonl").read_bytes().splitlines()[1]


def test_jsonl_writes_parquet_s_values_as_text(tmp_path):
    row = {
        "when": datetime(2024, 6, 7, 1, tzinfo=UTC),
        "day": date(2024, 6, 7),
        "span": timedelta(seconds=1),
        "price": Decimal("1.10"),
        "bytes": b"\xff\x00",
        "array": np.array([1.5, 2.5], np.float32),
        "scalar": np.float32(0.5),
    }
    io.write(tmp_path / "a.jsonl", [row])
    assert io.read(str(tmp_path / "a.jsonl")) == [
        {
            "when": "2024-06-07T01:00:00+00:00",
            "day": "2024-06-07",
            "span": "0:00:01",
            "price": "1.10",
            "bytes": "/wA=",
            "array": [1.5, 2.5],
            "scalar": 0.5,
        }
    ]


def test_parquet_has_the_union_of_the_columns(tmp_path):
    io.write(tmp_path / "a.parquet", [{"b": 1}, {"a": ["x"], "b": 2.5}, {}])
    assert io.read(str(tmp_path / "a.parquet")) == [
        {"b": 1.0, "a": None},
        {"b": 2.5, "a": ["x"]},
        {"b": None, "a": None},
    ]


@pytest.mark.parametrize(
    "values", [[1, "a"], [10**30], ["\ud83d"], [{}], [[1], [["a"]]], [True, 1], [2**53 + 1, 0.5]]
)
def test_a_column_that_parquet_cannot_hold_is_named_before_and_after(tmp_path, values):
    rows = [{"fine": 1, "mixed": value} for value in values]
    for act in (io.write, io.check_output):
        with pytest.raises(OutputError, match=r"cannot hold the column 'mixed'.*output \.jsonl\.$"):
            act(tmp_path / "a.parquet", rows)
    assert list(tmp_path.iterdir()) == []
    io.check_output(tmp_path / "a.jsonl", rows)
    assert list(tmp_path.iterdir()) == []


def test_a_value_without_json_form_is_named_by_row_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.jsonl"
    io.write(path, ROWS)
    with pytest.raises(OutputError, match="row 2 cannot be written as JSON: object has no JSON"):
        io.write(path, [{"a": 1}, {"a": object()}])
    assert io.read(str(path)) == ROWS
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_full_disk_leaves_no_trace(tmp_path, monkeypatch, name):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"no space left in .*; nothing was written"):
        io.write(tmp_path / name, ROWS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_disk_that_fills_in_the_middle_of_a_write(tmp_path, name):
    (tmp_path / f".{name}.part").symlink_to("/dev/full")
    rows = [{"a": os.urandom(1000).hex()} for _ in range(1000)]
    with pytest.raises(OutputError, match="no space left in"):
        io.write(tmp_path / name, rows)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    def interrupted():
        yield ROWS[0]
        raise KeyboardInterrupt

    path = tmp_path / "a.jsonl"
    io.write(path, ROWS)
    with pytest.raises(KeyboardInterrupt):
        io.write(path, interrupted())
    assert io.read(str(path)) == ROWS
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_that_are_refused_early(tmp_path, monkeypatch):
    (tmp_path / "b.jsonl").mkdir()
    for name, said in [
        ("a.json", "an output is named .jsonl or .parquet"),
        ("a", "an output is named .jsonl or .parquet"),
        ("a.jsonl.gz", "an output is named .jsonl or .parquet"),
        ("b.jsonl", "is a folder"),
        ("none/a.jsonl", "make it with `mkdir -p"),
    ]:
        with pytest.raises(OutputError, match=said):
            io.check_output(tmp_path / name)
    io.check_output(tmp_path / "a.jsonl", ROWS)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="you may not write to the folder"):
        io.check_output(tmp_path / "a.jsonl")


def test_a_folder_that_vanished_before_the_writing(tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        io.write(tmp_path / "gone" / "a.jsonl", ROWS)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None), max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec=None), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@FUZZ
@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=4), min_size=1, max_size=4))
def test_jsonl_round_trip(tmp_path, rows):
    io.write(tmp_path / "a.jsonl", rows)
    assert io.read(str(tmp_path / "a.jsonl")) == rows


SAME_TYPE = st.fixed_dictionaries(
    {
        "text": st.text(max_size=8),
        "number": st.floats(allow_nan=False) | st.none(),
        "count": st.integers(-(2**63), 2**63 - 1),
        "list": st.lists(st.text(max_size=4), max_size=3),
        "object": st.fixed_dictionaries({"a": st.booleans(), "b": st.none() | st.text(max_size=2)}),
    }
)


@FUZZ
@given(st.lists(SAME_TYPE, min_size=1, max_size=4))
def test_parquet_round_trip(tmp_path, rows):
    io.write(tmp_path / "a.parquet", rows)
    assert io.read(str(tmp_path / "a.parquet")) == rows


@FUZZ
@given(st.lists(st.dictionaries(st.text(max_size=3), JSON, min_size=1), min_size=1, max_size=3))
def test_parquet_takes_any_rows_or_names_the_column(tmp_path, rows):
    path = tmp_path / "any.parquet"
    try:
        io.write(path, rows)
    except OutputError as error:
        assert "cannot hold the column" in str(error)  # noqa: PT017
    else:
        assert len(io.read(str(path))) == len(rows)

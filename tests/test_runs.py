import json
import sqlite3
from pathlib import Path

import pytest

from flr.errors import OutputError
from flr.runs import (
    Store,
    check_free,
    is_done,
    key_of,
    read_record,
    record_path,
    store_path,
    write_record,
)


def test_a_key_is_the_hash_of_plain_data_and_of_nothing_else() -> None:
    assert key_of({"a": 1, "b": [2.5, None]}) == key_of({"b": [2.5, None], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})
    assert key_of(["ü\x00\ud83d"]) != key_of(["u"])


def test_a_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    results = {"responses": [{"values": [-1.25, 1e-300]}], "text": "\x00 \U0001f600"}
    with Store(tmp_path / "s") as store:
        assert "key" not in store
        store.put("key", results)
    with Store(tmp_path / "s") as store:
        assert store["key"] == results
        with pytest.raises(KeyError):
            store["other"]


def test_a_block_that_was_altered_counts_as_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Store(path) as store:
        store.put("key", {"a": 1})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE block SET payload = ?", ('{"a":2}',))
    db.close()
    with Store(path) as store:
        assert "key" not in store
        store.put("key", {"a": 1})
        assert store["key"] == {"a": 1}


@pytest.mark.parametrize("content", [b"not a database at all" * 99, b"SQLite format 3\x00 cut"])
def test_a_file_that_is_no_store_is_an_error_that_says_what_to_do(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(OutputError, match="remove it"):
        Store(tmp_path / "s")


def test_a_second_process_is_told_to_wait(tmp_path: Path) -> None:
    with Store(tmp_path / "s"), pytest.raises(OutputError, match="another flr"):
        Store(tmp_path / "s")


def test_a_full_disk_is_worded_and_finished_blocks_stay(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        store.put("small", "x")
        store._db.execute("PRAGMA max_page_count = 4")
        with pytest.raises(OutputError, match=r"disk is full.*finished blocks are kept"):
            store.put("large", "x" * 10**6)
        assert store["small"] == "x"


def test_an_output_is_done_only_with_the_record_of_the_same_run(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    assert not is_done(output, "run")
    output.write_text("{}\n")
    with pytest.raises(OutputError, match="--force"):
        check_free(output, "run")
    write_record(output, "run", {"mean": float("nan"), "path": tmp_path, "rows": (1, 2)})
    assert is_done(output, "run")
    check_free(output, "run")
    check_free(output, "another", force=True)
    assert not is_done(output, "another")
    assert read_record(output)["mean"] is None
    assert json.loads(record_path(output).read_text())["rows"] == [1, 2]
    output.write_text("{} \n")
    assert not is_done(output, "run")


@pytest.mark.parametrize("content", ["", "[1]", '{"run": ', "\x00"])
def test_a_broken_record_counts_as_none(tmp_path: Path, content: str) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("{}\n")
    record_path(output).write_text(content)
    assert read_record(output) == {}
    assert not is_done(output, "run")


def test_a_record_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text("{}\n")
    record_path(output).mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_record(output, "run", {})
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_store_and_record_lie_beside_the_output(tmp_path: Path) -> None:
    assert store_path(tmp_path / "a.jsonl") == tmp_path / "a.jsonl.run.sqlite"
    assert record_path(tmp_path / "a.jsonl") == tmp_path / "a.jsonl.run.json"

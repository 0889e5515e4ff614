"""Folders of Parquet, and files on other file systems, in and out."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flr import io, remote, runs, writing
from flr.cli.main import run
from flr.errors import InputError, OutputError
from tests.tiny_model import save_tiny_model

ROWS = [{"prompt": f"{n}?", "response": "Yes."} for n in range(20)]


@pytest.fixture
def memory() -> Iterator[Any]:
    """A file system that is gone after the test."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def put(system: Any, path: str, rows: list[dict[str, Any]]) -> None:
    with system.open(path, "wb") as file:
        pq.write_table(pa.Table.from_pylist(rows), file)


def complaint(source: str) -> str:
    with pytest.raises(InputError) as caught:
        io.load(source)
    return str(caught.value)


def test_a_folder_of_parquet_is_read_by_name_and_hidden_files_are_not(tmp_path: Path):
    system = fsspec.filesystem("file")
    for place, rows in [
        ("b/c.parquet", ROWS[12:]),
        ("a-2.parquet", ROWS[5:12]),
        ("a-1.parquet", ROWS[:5]),
        ("_temporary/x.parquet", ROWS),
        (".old.parquet", ROWS),
    ]:
        (tmp_path / place).parent.mkdir(exist_ok=True)
        put(system, str(tmp_path / place), rows)
    (tmp_path / "_SUCCESS").touch()
    assert io.read(str(tmp_path)) == ROWS
    assert io.read(f"file://{tmp_path}") == ROWS
    assert [row.number for row in io.load(f"{tmp_path}/")] == list(range(1, 21))


def test_what_is_wrong_in_a_folder_names_its_file(tmp_path: Path):
    assert "without a .parquet file" in complaint(str(tmp_path))
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert f"{tmp_path / 'a.parquet'}: cannot be read as Parquet" in complaint(str(tmp_path))


def test_files_elsewhere_are_read_as_those_here(memory: Any):
    put(memory, "/bucket/rows/a.parquet", ROWS[:7])
    put(memory, "/bucket/rows/b.parquet", ROWS[7:])
    with memory.open("/bucket/rows.jsonl.gz", "wb", compression="gzip") as file:
        file.write(b'{"prompt": "a", "response": "b"}\n')
    assert io.read("memory://bucket/rows") == ROWS
    assert io.read("memory://bucket/rows/b.parquet") == ROWS[7:]
    assert io.read("memory://bucket/rows.jsonl.gz") == [{"prompt": "a", "response": "b"}]
    assert "cannot be read: " in complaint("memory://bucket/none.parquet")
    assert "no known suffix" in complaint("memory://bucket/none")
    assert "Protocol not known" in complaint("nowhere://bucket/a.parquet")


def test_a_folder_is_written_in_parts_of_one_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(writing, "ROWS_OF_A_PART", 8)
    rows: list[dict[str, Any]] = [*ROWS[:19], {**ROWS[19], "late": 1}]
    output = tmp_path / "out"
    for _ in range(2):  # the second time in place of the first
        io.check_output(output, rows, folder_too=True)
        io.write(output, rows)
    files = sorted(output.iterdir())
    assert [file.name for file in files] == [f"part-0000{n}.parquet" for n in range(3)]
    assert len({pq.read_schema(file) for file in files}) == 1
    assert [row["prompt"] for row in io.read(str(output))] == [row["prompt"] for row in rows]
    assert list(tmp_path.iterdir()) == [output]


def test_a_folder_with_other_things_in_it_is_never_replaced(tmp_path: Path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").touch()
    with pytest.raises(OutputError, match=r"a folder with 'thesis.txt' in it"):
        io.check_output(tmp_path / "notes", folder_too=True)


def test_an_output_in_the_folder_that_is_read_is_refused(tmp_path: Path):
    with pytest.raises(OutputError, match="is in the folder that is the input"):
        io.check_place(str(tmp_path), tmp_path / "out.parquet")
    with pytest.raises(OutputError, match="is the input"):
        io.check_place(str(tmp_path), tmp_path)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


@pytest.fixture
def asked(tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command that scores a folder in a bucket."""
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    put(memory, "/bucket/rows/a.parquet", ROWS)
    return ["score", "memory://bucket/rows", "--model", "model", "--set", "short"]


def test_scoring_from_and_to_a_bucket(asked, memory, capsys):
    for name in ("scored", "scored.jsonl"):
        assert run([*asked, "-o", f"memory://bucket/{name}"]) == 0
        assert run([*asked, "-o", f"memory://bucket/{name}"]) == 0
        assert "it was finished before" in said(capsys)
        assert memory.exists(f"/bucket/{name}.run.json")
    assert run([*asked, "-o", "here.parquet"]) == 0
    assert io.read("memory://bucket/scored") == io.read("here.parquet")
    assert io.read("memory://bucket/scored.jsonl") == io.read("here.parquet")


def test_nothing_in_a_bucket_is_replaced_but_what_was_copied_from_here(asked, memory, capsys):
    put(memory, "/bucket/other/x.parquet", ROWS)
    assert run([*asked, "-o", "memory://bucket/other", "--force"]) == 2
    assert "is there already" in said(capsys)
    assert memory.exists("/bucket/other/x.parquet")
    asked += ["-o", "memory://bucket/scored.jsonl"]
    assert run(asked) == 0
    assert run([*asked, "--per-followup"]) == 2
    assert "or --force to replace it" in said(capsys)
    assert run([*asked, "--per-followup", "--force"]) == 0
    assert "followups" in io.read("memory://bucket/scored.jsonl")[0]


def test_a_copy_that_was_killed_goes_on_with_the_same_command(asked, memory):
    asked += ["-o", "memory://bucket/scored.jsonl"]
    assert run(asked) == 0
    memory.pipe_file("/bucket/scored.jsonl", b"half")
    begun = json.dumps({"run": runs.read_record(Path("scored.jsonl"))["run"]})
    memory.pipe_file("/bucket/scored.jsonl.run.json", begun.encode())
    assert run(asked) == 0
    assert len(io.read("memory://bucket/scored.jsonl")) == len(ROWS)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("memory://bucket/rows", "is the input, or in it"),
        ("memory://bucket/rows/scored", "is the input, or in it"),
        ("nowhere://bucket/other", "Protocol not known"),
        ("https://bucket/other", "no place to write to"),
        ("memory://", "no place to write to"),
        (".", "an output is named"),
    ],
)
def test_places_that_cannot_be_written_are_refused_before_work(asked, capsys, output, words):
    assert run([*asked, "-o", output]) == 2
    assert words in said(capsys)


def test_shards_lie_beside_a_path(asked, capsys):
    assert run([*asked, "-o", "memory://bucket/scored", "--shard", "1/2"]) == 2
    assert "--shard: shards lie beside OUTPUT" in said(capsys)


def test_a_shorter_folder_takes_the_place_of_a_longer_one(asked, memory, monkeypatch):
    monkeypatch.setattr(writing, "ROWS_OF_A_PART", 8)
    assert run([*asked, "-o", "memory://bucket/scored"]) == 0
    assert len(memory.find("/bucket/scored")) == 3
    assert run([*asked, "-o", "memory://bucket/scored", "--limit", "9", "--force"]) == 0
    assert len(memory.find("/bucket/scored")) == 2
    assert len(io.read("memory://bucket/scored")) == 9


def test_a_copy_that_fails_over_an_earlier_one_goes_on_and_foreign_files_stay(
    asked, memory, monkeypatch, capsys
):
    asked += ["-o", "memory://bucket/scored"]
    assert run(asked) == 0
    memory.pipe_file("/bucket/scored/README.md", b"mine")

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "expired")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "pipe_file", refused)
        assert run([*asked, "--limit", "9", "--force"]) == 2
        assert "expired; all of it lies in scored" in said(capsys)
    assert run([*asked, "--limit", "9"]) == 0
    assert len(io.read("memory://bucket/scored")) == 9
    assert memory.exists("/bucket/scored/README.md")


def test_what_was_removed_there_is_copied_again(asked, memory):
    asked += ["-o", "memory://bucket/scored.jsonl"]
    assert run(asked) == 0
    memory.rm_file("/bucket/scored.jsonl")
    assert run(asked) == 0
    assert memory.exists("/bucket/scored.jsonl")


def test_what_cannot_be_copied_lies_here_and_is_copied_by_the_same_command(
    asked, memory, capsys, monkeypatch
):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(type(memory), "put_file", full)
        assert run([*asked, "-o", "memory://bucket/scored.jsonl"]) == 2
        assert "No space left on device; all of it lies in scored.jsonl" in said(capsys)
    assert run([*asked, "-o", "memory://bucket/scored.jsonl"]) == 0
    assert len(io.read("memory://bucket/scored.jsonl")) == len(ROWS)


def test_an_empty_folder_is_free_and_a_file_is_replaced_when_forced(asked, capsys):
    Path("out").mkdir()
    assert run([*asked, "-o", "out"]) == 0
    assert len(io.read("out")) == len(ROWS)
    Path("file").write_text("mine", "utf-8")
    assert run([*asked, "-o", "file"]) == 2
    assert run([*asked, "-o", "file", "--force"]) == 0
    assert io.read("file") == io.read("out")


def test_what_another_package_raises_is_told(monkeypatch: pytest.MonkeyPatch):
    def refused(url: str) -> Any:
        raise LookupError("no credentials")

    monkeypatch.setattr(fsspec.core, "url_to_fs", refused)
    assert "cannot be read: LookupError: no credentials" in complaint("s3://bucket/a.parquet")
    with pytest.raises(OutputError, match="no credentials"):
        remote.local("in.jsonl", "s3://bucket/a.parquet", in_parts=False)


def test_what_another_package_raises_while_reading_is_told(memory, monkeypatch):
    put(memory, "/bucket/rows/a.parquet", ROWS)

    def broken(*_: Any, **__: Any) -> Any:
        raise LookupError("the connection broke")

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", broken)
    assert "cannot be read: the connection broke" in complaint("memory://bucket/rows")

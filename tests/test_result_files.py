"""A folder of results: known again when it is whole, never replaced unasked."""

import json
from pathlib import Path
from typing import Any

import pytest

from flr import result_files
from flr.errors import OutputError
from flr.result_files import RESULTS

RESULT = {"run": "k", "options": {"seed": 0, "limit": None, "vllm": {}}, "sets": {"a": 1, "b": 2}}
ASKED = {"seed": 0, "limit": None, "vllm": {}, "sets": ["a", "b"], "force": True}


def put(output: Path, **changes: Any) -> None:
    output.mkdir(exist_ok=True)
    (output / "more.txt").write_text("there before")
    files = {"page.html": "<p>\ud800", "rows.jsonl": [{"text": "🎉\0"}]}
    result_files.write(output, {**RESULT, **changes}, files, ["more.txt"])


def earlier(output: Path, run: str = "k", **asked: Any) -> dict[str, Any] | None:
    given = {**ASKED, **asked}
    return result_files.earlier(output, run, given, verb="flr bench", force=False)


def test_what_is_whole_is_known_again(tmp_path: Path):
    assert earlier(tmp_path) is None
    put(tmp_path / "o")
    found = earlier(tmp_path / "o")
    assert found
    assert set(found["written"]) == {"page.html", "rows.jsonl", "more.txt"}
    assert json.loads((tmp_path / "o" / "rows.jsonl").read_text("utf-8")) == {"text": "🎉\0"}


@pytest.mark.parametrize("name", ["page.html", "rows.jsonl", "more.txt"])
def test_a_file_that_is_gone_or_changed_is_to_be_written_again(tmp_path: Path, name: str):
    put(tmp_path)
    (tmp_path / name).write_text("other")
    assert earlier(tmp_path) is None
    (tmp_path / name).unlink()
    assert earlier(tmp_path) is None


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"seed": 1}, "seed 0, and now 1"),
        ({"sets": ["a"]}, r"sets \['a', 'b'\], and now \['a'\]"),
        ({"policies": []}, "not of flr bench, or of another version"),
        ({}, "data, models, follow-ups or versions have changed"),
    ],
)
def test_other_results_are_named_and_kept(tmp_path: Path, asked: dict[str, Any], says: str):
    put(tmp_path)
    before = (tmp_path / RESULTS).read_bytes()
    with pytest.raises(OutputError, match=f"other results .{says}"):
        earlier(tmp_path, "another", **asked)
    assert (tmp_path / RESULTS).read_bytes() == before
    kept = result_files.earlier(tmp_path, "another", ASKED, verb="flr bench", force=True)
    assert kept is None


@pytest.mark.parametrize("torn", [b"", b"[1]", b'{"options": 2}', b"\xff", b"null"])
def test_what_is_no_results_file_of_ours_is_kept(tmp_path: Path, torn: bytes):
    (tmp_path / RESULTS).write_bytes(torn)
    with pytest.raises(OutputError, match="not of flr bench"):
        earlier(tmp_path)


@pytest.mark.parametrize("written", [None, {}, [], {"page.html": "0"}])
def test_results_that_name_no_files_are_not_taken_for_whole(tmp_path: Path, written: Any):
    put(tmp_path)
    whole = {**RESULT, "written": written}
    (tmp_path / RESULTS).write_text(json.dumps(whole))
    assert earlier(tmp_path) is None

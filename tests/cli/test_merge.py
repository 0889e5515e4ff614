"""`flr score --shard` and `flr merge` from the command line."""

from pathlib import Path

import pytest

from flr import io
from flr.cli.main import run
from tests.tiny_model import save_tiny_model


def test_shards_are_computed_and_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    save_tiny_model(tmp_path / "model")
    io.write(Path("in.jsonl"), [{"prompt": f"{n}?", "response": "Yes."} for n in range(20)])
    asked = ["score", "in.jsonl", "--model", "model", "--set", "short", "--dtype", "fp32"]
    assert run([*asked, "-o", "whole.jsonl"]) == 0
    assert run([*asked, "-o", "out.jsonl", "--shard", "1/2"]) == 0
    assert "when all shards are finished: flr merge out.jsonl" in _said(capsys)
    assert run(["merge", "out.jsonl"]) == 2
    assert "not finished: 2/2" in _said(capsys)
    assert run([*asked, "-o", "out.jsonl", "--shard", "3/2"]) == 2
    assert run([*asked, "-o", "out.jsonl", "--shard", "2/2"]) == 0
    capsys.readouterr()
    assert run(["merge", "out.jsonl"]) == 0
    said = _said(capsys)
    assert "20 in 20 rows" in said
    assert "finished before" not in said
    assert run([*asked, "-o", "out.jsonl", "--shard", "1/2"]) == 0  # as a scheduler does
    assert "they were finished before" in _said(capsys)
    assert run([*asked, "-o", "out.jsonl", "--shard", ""]) == 2
    assert Path("out.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()


def _said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())

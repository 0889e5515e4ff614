"""`flr feedback`: what its verbs print, and their exit codes."""

from pathlib import Path
from typing import Any

import pytest

from flr import io
from flr.cli.main import run
from tests.training.small import put

RATED: list[dict[str, Any]] = [
    {
        "prompt": f"Tea {at}?",
        "response": f"Yes {at}.",
        "feedback": "The response ignores the milk. Score: 2",
        "score": at % 2,
        "id": at,
    }
    for at in range(3)
]
LOG = {"conversation": ["How do I boil rice?", "In water.", "Thanks! How long?"]}


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_build_and_rewrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = put(tmp_path / "r.jsonl", RATED)
    built, said = tmp_path / "b.jsonl", tmp_path / "s.jsonl"
    assert run(["feedback", "build", source, "-o", str(built)]) == 0
    shown = words(capsys)
    assert "3 rows of 3 prompts in the form role-switched" in shown
    assert "3 texts lost a label at their end" in shown
    command = ["feedback", "rewrite", str(built), "-o", str(said)]
    assert run(command) == 0
    shown = words(capsys)
    assert "3 of 3 critiques in a user's words" in shown
    assert "from: The response ignores the milk. to: Your answer ignores the milk." in shown
    assert f"flr tune {said} -o DIR" in shown
    assert run(command) == 0
    assert "nothing to do, it was finished before" in words(capsys)
    assert run([*command, "--sentences", "1"]) == 2
    assert "made otherwise" in words(capsys)
    assert run([*command, "-n", "4"]) == 2
    assert "--n is for --by model" in words(capsys)


def test_from_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source, output = put(tmp_path / "l.jsonl", [LOG]), tmp_path / "o.jsonl"
    command = ["feedback", "from-logs", source, "-o", str(output), "--cut", "first-sentence"]
    assert run([*command, "--form", "user"]) == 0
    assert "1 row of 1 prompt in the form user" in words(capsys)
    (row,) = io.read(str(output))
    assert row["completion"] == [{"role": "user", "content": "Thanks!"}]
    assert run(["feedback", "from-logs", "-o", str(output)]) == 2
    assert "flr feedback from-logs needs LOGS" in words(capsys)


def test_by_model_what_a_model_cannot_do_is_told(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    source, built = put(tmp_path / "r.jsonl", RATED), tmp_path / "b.jsonl"
    assert run(["feedback", "build", source, "-o", str(built)]) == 0
    command = ["feedback", "rewrite", str(built), "-o", str(tmp_path / "s.jsonl"), "--by", "model"]
    command += ["--policy", str(tiny_model), "--max-new-tokens", "3", "--dtype", "fp32"]
    assert run([*command, "--threads", "1", "-n", "1"]) == 2
    assert "nothing is left to write" in words(capsys)


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("build", "Make training conversations of critiques"),
        ("from-logs", "what users really said next"),
        ("rewrite", "Put critiques into a user's own words"),
    ],
)
def test_help_is_whole(verb: str, says: str, capsys: pytest.CaptureFixture[str]):
    assert run(["feedback", verb, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert says in out
    assert "--limit" in out

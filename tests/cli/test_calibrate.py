"""`flr calibrate`: what it prints, the set and the page that it writes, its exit codes."""

from pathlib import Path

import pytest

from flr import followups
from flr.cli.main import run
from tests.calibration.planted import differences, only, pair_rows, written


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_it_tells_what_was_learned_and_what_to_type_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = written(tmp_path / "s.jsonl", pair_rows(differences(80, only("correctness"))))
    made, page = tmp_path / "mine.yaml", tmp_path / "mine.html"
    given = ["calibrate", str(source), "-o", str(made), "--html", str(page)]
    assert run(given) == 0
    shown = words(capsys)
    assert "Learned from 40 prompts, measured on 40 others." in shown
    assert "better on other prompts" in shown
    assert f"flr score FILE --set {made} -o OUT" in shown
    assert followups.load(made).name == "short-calibrated"
    assert "What a margin means" in page.read_text("utf-8")
    assert run(given) == 0
    assert "nothing to do, it was finished before" in words(capsys)
    assert run([*given, "--keep", "4"]) == 2
    assert run([*given, "--keep", "4", "--force"]) == 0
    assert len(followups.load(made).followups) <= 4


def test_mistakes_are_the_users(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = written(tmp_path / "s.jsonl", pair_rows(differences(4, only("correctness"))))
    made = tmp_path / "mine.yaml"
    assert run(["calibrate", str(source), "-o", str(made)]) == 2
    assert "4 prompts have labelled pairs (those that begin" in words(capsys)
    assert run(["calibrate", str(source), "-o", str(made), "--html", str(source)]) == 2
    assert "a page is named .html" in words(capsys)
    assert run(["calibrate", str(source)]) == 2
    assert "flr calibrate needs --output" in words(capsys)
    plain = tmp_path / "plain.jsonl"
    plain.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    assert run(["calibrate", str(plain), "--set", "short", "-o", str(made)]) == 2
    assert "is not scored; give the output of flr score" in words(capsys)
    assert not made.exists()

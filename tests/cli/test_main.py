import subprocess
import sys
from pathlib import Path

import pytest

from flr.cli.main import run

VERBS = (
    "score",
    "sample",
    "mine",
    "check",
    "align",
    "bench",
    "explain",
    "followups",
    "doctor",
    "demo",
)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--help"]) == 0
    assert f"flr {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("score", "the paper's utterance lists"),
        ("sample", "finish_reasons (stop; length where"),
        ("mine", "the best is set against the worst"),
        ("check", "Exit code 0 where all is well"),
        ("doctor", "the noise floor"),
        ("bench", "Compare rewards"),
        ("followups", "List, show, check or import"),
    ],
)
def test_the_help_of_a_verb_says_what_it_takes_and_makes(
    verb: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([verb, "--help"]) == 0
    assert says in " ".join(capsys.readouterr().out.split())


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scroe"], "score"),
        (["score"], "INPUT"),
        (["score", "a.jsonl"], "flr score needs --output or -o; `flr score --help` says"),
        (["score", "a.jsonl", "-o"], "-o"),
        (["bench", "a.jsonl"], "flr bench needs --output or -o"),
        (["score", "a.jsonl", "-o", "b.jsonl", "--sett", "short"], "--set"),
        (["score", "a.jsonl", "-o", "b.jsonl", "--limit", "many"], "many"),
        (["score", "a.jsonl", "-o", "b.jsonl", "--reward", "best"], "best"),
        (["score", "a.jsonl", "-o", "b.jsonl", "--config"], "--config"),
    ],
)
def test_what_the_user_mistypes_is_worded_with_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr().err
    assert says in shown
    assert "Traceback" not in shown


def test_a_bug_of_ours_has_code_3_and_asks_for_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("flr.followups.available", broken)
    assert run(["followups", "list"]) == 3
    shown = capsys.readouterr().err
    assert "deep inside" in shown
    assert "please report" in shown


def test_ctrl_c_has_code_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flr.followups.available", stopped)
    assert run(["followups", "list"]) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m flr followups show default | head -1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    "content", ["set: [", "sett: short", "\x00", "- a\n- b", "1: 2", "score: {set: short}", ""]
)
def test_a_bad_config_file_is_the_users_mistake(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(content)
    (tmp_path / "in.jsonl").write_text('{"prompt": "a", "response": "b"}\n')
    arguments = ["score", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "o.jsonl")]
    assert run([*arguments, "--config", str(tmp_path / "c.yaml")]) == 2
    assert run([*arguments, f"--config={tmp_path / 'none.yaml'}"]) == 2
    assert "Traceback" not in capsys.readouterr().err

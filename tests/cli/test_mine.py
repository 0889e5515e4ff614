"""`flr sample`, `flr mine` and `flr check`: what they print, and their exit codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flr.cli.main import run
from flr.filling import Progress

PROMPTS = [{"prompt": "Tea?"}, {"prompt": "Why \x1b[31m[bold]?"}]
REWARDED = [
    {"prompt": text, "responses": ["Yes, gladly.", "No.\x1b[2J"], "rewards": [0.5, -0.5]}
    for text in ("Tea?", "Milk?", "Sugar?")
]


def put(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def test_sample_writes_and_tells(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    source, output = put(tmp_path / "p.jsonl", PROMPTS), tmp_path / "s.jsonl"
    command = ["sample", source, "-o", str(output), "--policy", str(tiny_model), "-n", "2"]
    command += ["--max-new-tokens", "3", "--dtype", "fp32", "--threads", "1"]
    assert run(command) == 0
    shown = capsys.readouterr().err
    assert "4 responses to 2 prompts" in " ".join(shown.split())
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [len(row["responses"]) for row in rows] == [2, 2]
    assert run(command) == 0
    assert "finished before" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("short", [["-n", "3"], ["-n3"], ["-n=3"], ["--n=3"]])
def test_the_number_of_responses_in_short(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], short: list[str]
):
    source, output = put(tmp_path / "p.jsonl", PROMPTS), tmp_path / "s.jsonl"
    command = ["sample", source, "-o", str(output), "--policy", str(tiny_model), *short]
    assert run([*command, "--max-new-tokens", "2", "--dtype", "fp32", "--threads", "1"]) == 0
    assert "6 responses to 2 prompts" in " ".join(capsys.readouterr().err.split())
    assert run([*command, "-nx"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_bar_of_a_stage_ends_before_the_next_begins(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    told: list[str] = []

    @contextmanager
    def bar(_: object, unit: str) -> Iterator[Progress]:
        told.append(unit)
        yield lambda *_: None
        told.append("end")

    monkeypatch.setattr("flr.cli.progress.bar", bar)
    source, output = put(tmp_path / "p.jsonl", PROMPTS[:1]), str(tmp_path / "pairs.jsonl")
    command = ["mine", source, "-o", output, "--set", "short", "-n", "3", "--keep-unfinished"]
    command += ["--policy", str(tiny_model), "--model", str(tiny_model)]
    assert run([*command, "--max-new-tokens", "5", "--dtype", "fp32", "--threads", "1"]) == 0
    units = ["prompts", "responses", "responses for the noise floor"]
    assert told == [word for unit in units for word in (unit, "end")]


def test_mine_tells_what_it_found_and_check_agrees(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source, output = put(tmp_path / "r.jsonl", REWARDED), tmp_path / "pairs.jsonl"
    assert run(["mine", source, "-o", str(output)]) == 0
    shown = capsys.readouterr().err
    assert "3 pairs of 3 prompts" in shown
    words = " ".join(shown.split())
    assert "the chosen one is longer in 100.0% of the pairs" in words
    assert "their noise floor is not known" in words
    assert "\x1b" not in shown
    assert run(["check", str(output), "--for", "trl-dpo"]) == 0
    assert "3 rows that trl-dpo understands" in " ".join(capsys.readouterr().err.split())
    assert run(["check", str(output), "--for", "llama-factory"]) == 1
    assert "1 kind of errors in 3 rows" in " ".join(capsys.readouterr().err.split())
    assert run(["check", str(output), "--for", "trl-dpo", "--against", str(output)]) == 1
    assert "held-out prompt too" in " ".join(capsys.readouterr().err.split())


def test_check_counts_tokens(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]):
    rows = [
        {"prompt": [{"role": "user", "content": text}], "completion": answer, "label": label}
        for text, label in (("Tea? " * 50, True), ("Tea?", False))
        for answer in ([{"role": "assistant", "content": "Yes " * 50}],)
    ]
    source = put(tmp_path / "k.jsonl", rows)
    command = ["check", source, "--for", "trl-kto", "--tokenizer", str(tiny_model)]
    assert run([*command, "--max-length", "100000"]) == 0
    capsys.readouterr()
    assert run([*command, "--max-length", "60"]) == 1
    shown = " ".join(capsys.readouterr().err.split())
    assert "drops the row (1 row: 1)" in shown
    assert "cuts its end off (1 row: 2)" in shown


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["sample", "none.jsonl", "-o", "s.jsonl"], "none.jsonl"),
        (["sample", "p.jsonl", "-o", "s.jsonl", "--policy", "smolm2"], "Did you mean 'smollm2'"),
        (["sample", "p.jsonl", "-o", "s.txt"], "s.txt"),
        (["mine", "-", "-o", "s.jsonl"], "give a file"),
        (["mine", "p.jsonl", "-o", "s.jsonl", "--format", "trl-kto"], "--reward pmi"),
        (["check", "p.jsonl", "--for", "trl"], "trl"),
        (["check", "p.jsonl"], "--for"),
        (["check", "p.jsonl", "--for", "trl-dpo", "--max-length", "9"], "belong together"),
        (["check", "none.jsonl", "--for", "trl-dpo"], "none.jsonl"),
    ],
)
def test_what_cannot_be_has_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    says: str,
):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "p.jsonl", PROMPTS)
    assert run(command) == 2
    shown = capsys.readouterr().err
    assert says in shown.replace("\n", " ")
    assert "Traceback" not in shown

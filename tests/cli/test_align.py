"""`flr align`: what it prints, and its exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from flr.cli.main import run
from flr.training.run import is_main
from tests.training.small import LABELLED, PAIRS, put, said


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def command(source: str, output: Path, policy: Path, *more: str) -> list[str]:
    fast = ["--dtype", "fp32", "--threads", "1", "--batch-size", "4"]
    return ["align", source, "-o", str(output), "--policy", str(policy), *fast, *more]


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().err.split())


def test_it_tells_what_was_trained_and_what_to_type_next(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    source = put(tmp_path / "pairs.jsonl", PAIRS)
    held_out = put(tmp_path / "h.jsonl", [{**PAIRS[0], "prompt": said("Milk?", "user")}])
    given = command(source, tmp_path / "p", tiny_model, "--lora", "--held-out", held_out)
    assert run(given) == 0
    shown = words(capsys)
    assert "dpo, loss sigmoid, LoRA of rank 16, learning rate 1e-05: 6 steps over 24 rows" in shown
    assert "first and last tenth of the steps: loss 0.693 -> 0." in shown
    assert "1 held-out rows, before and after: loss 0.693 -> 0." in shown
    assert f"flr sample PROMPTS --policy {tmp_path / 'p'} -o OUT.jsonl" in shown
    assert run(given) == 0
    assert "nothing to do, it was finished before" in words(capsys)
    assert run([*given, "--beta", "0.5"]) == 2
    assert "beta 0.1, now 0.5" in words(capsys)


def test_options_come_from_a_file_and_trls_by_their_names(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    source = put(tmp_path / "labelled.jsonl", LABELLED)
    (tmp_path / "c.yaml").write_text("method: kto\nbeta: 0.25\ntrl:\n  warmup_steps: 2\n")
    given = command(source, tmp_path / "p", tiny_model, "--config", str(tmp_path / "c.yaml"))
    assert run(given) == 0
    assert "kto, loss kto, all weights, learning rate 1e-06" in words(capsys)
    record: dict[str, Any] = json.loads((tmp_path / "p" / "align.json").read_text())
    assert record["configuration"]["warmup_steps"] == 2
    assert record["settings"]["beta"] == 0.25
    given = command(source, tmp_path / "q", tiny_model, "--method", "kto")
    assert run([*given, "--trl.warmup_steps", "3", "--trl.lr_scheduler_type", "cosine"]) == 0
    record = json.loads((tmp_path / "q" / "align.json").read_text())
    assert record["options"]["trl"] == {"warmup_steps": "3", "lr_scheduler_type": "cosine"}
    assert record["configuration"]["lr_scheduler_type"] == "cosine"


def test_findings_are_printed_and_stop_it_with_code_2(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [*PAIRS, {**PAIRS[0], "chosen": said("\x1b[31m" + "long " * 100)}]
    source = put(tmp_path / "pairs.jsonl", rows)
    given = command(source, tmp_path / "p", tiny_model, "--max-length", "100")
    assert run(given) == 2
    shown = words(capsys)
    assert "goes beyond the limit: TRL cuts its end off (1 row: 25)" in shown
    assert "--check warn" in shown
    assert "\x1b" not in shown
    assert run([*given, "--check", "warn"]) == 0
    assert "warning: " in words(capsys)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["align"], "PAIRS"),
        (["align", "p.jsonl"], "flr align needs --output or -o"),
        (["align", "none.jsonl", "-o", "p"], "none.jsonl: no such file"),
        (["align", "p.jsonl", "-o", "p", "--loss", "ipoo"], "Did you mean 'ipo'"),
        (["align", "p.jsonl", "-o", "p", "--method", "ppo"], "ppo"),
        (["align", "p.jsonl", "-o", "p", "--policy", "smolm2"], "Did you mean 'smollm2'"),
        (["align", "-", "-o", "p"], "give a file in place of -"),
        (["align", "p.jsonl", "-o", "p", "--trl.output_dir", "x"], "name the folder by -o"),
    ],
)
def test_what_cannot_be_has_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    says: str,
):
    monkeypatch.chdir(tmp_path)
    put(Path("p.jsonl"), PAIRS)
    assert run(given) == 2
    shown = words(capsys)
    assert says in shown
    assert "Traceback" not in shown


def test_of_several_processes_the_first_is_the_main_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RANK", raising=False)
    assert is_main()
    for rank, expected in (("0", True), ("1", False), ("12", False)):
        monkeypatch.setenv("RANK", rank)
        assert is_main() is expected

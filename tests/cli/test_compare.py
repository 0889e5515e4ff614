"""`flr compare`: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from flr.cli.main import run
from tests.tiny_model import save_tiny_model


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "Tea?"}\n{"prompt": "Why \\u001b[31m[bold]?"}\n', "utf-8")
    return str(path)


def command(policies: list[Path], prompts: str, output: Path) -> list[str]:
    given = ["compare", *map(str, policies), "--prompts", prompts, "-o", str(output)]
    given += ["--model", str(policies[0]), "--reward", "flr:short", "--max-new-tokens", "4"]
    return [*given, "--dtype", "fp32", "--threads", "1"]


def test_policies_are_compared_and_shown(
    tmp_path: Path,
    tiny_model: Path,
    prompts: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sys.argv", ["flr", "compare", "a", "b c"])
    other = save_tiny_model(tmp_path / "other", initializer_range=0.2)
    output = tmp_path / "out"
    assert run(command([tiny_model, other], prompts, output)) == 0
    shown = " ".join(capsys.readouterr().err.split())
    for title in ("win rate", "at similar length", "longer", "unfinished", "verifiable"):
        assert title in shown
    assert "flr:mean:short" in shown
    results = json.loads((output / "results.json").read_text("utf-8"))
    assert list(results["policies"]) == [str(tiny_model), str(other)]
    assert results["command"] == "flr compare a 'b c'"
    assert run(command([tiny_model, other], prompts, output)) == 0
    shown = capsys.readouterr().err
    assert "finished before" in " ".join(shown.split())
    assert "\x1b" not in shown


def test_a_policy_twice_is_told_apart(
    tmp_path: Path, tiny_model: Path, prompts: str, capsys: pytest.CaptureFixture[str]
):
    given = command([tiny_model, tiny_model], prompts, tmp_path / "out")
    assert run([*given, "--export", "alpaca-eval", "-n", "2"]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert list(results["against"]) == [f"{tiny_model} (2)"]
    assert results["options"]["n"] == 2
    assert (tmp_path / "out" / "policy-2.alpaca-eval.json").exists()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "two policies or more, and none was given"),
        (["smollm2"], "two policies or more, and one was given"),
        (["smollm2", "smolm2"], "Did you mean 'smollm2'"),
        (["smollm2", "smollm2", "--export", "alpaca"], "alpaca"),
        (["smollm2", "smollm2", "--reward", "lenght"], "Did you mean 'length'"),
        (["smollm2", "smollm2", "--model", "a,b", "--revision", "x"], "--revision is for one"),
    ],
)
def test_what_cannot_be_has_code_2(
    tmp_path: Path,
    tiny_model: Path,
    prompts: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    says: str,
):
    given = [str(tiny_model) if one == "smollm2" else one for one in arguments]
    more = ["--prompts", prompts, "-o", str(tmp_path / "out"), "--max-new-tokens", "4"]
    assert run(["compare", *given, *more]) == 2
    shown = capsys.readouterr().err
    assert says in " ".join(shown.split())
    assert "Traceback" not in shown
    assert not (tmp_path / "out").exists()


def test_prompts_are_needed(capsys: pytest.CaptureFixture[str]):
    assert run(["compare", "smollm2", "smollm2", "-o", "out"]) == 2
    assert "--prompts" in capsys.readouterr().err

import json
from pathlib import Path
from typing import Any

import pytest

from flr.cli.main import run
from flr.datasets.catalogue import SPECS
from tests.evaluation.planted import BAD, GOOD, PROMPTS


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one known set, and a file of pairs."""
    folder = tmp_path / "data" / "helpful-base"
    folder.mkdir(parents=True)
    turns = "\n\nHuman: {}\n\nAssistant: {}"
    texts = list(zip(PROMPTS, GOOD, BAD, strict=True))
    hh = [{"chosen": turns.format(p, g), "rejected": turns.format(p, b)} for p, g, b in texts]
    pairs = [{"prompt": p, "chosen": g, "rejected": b} for p, g, b in texts]
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in hh), "utf-8")
    path = tmp_path / "data" / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in pairs), "utf-8")
    return tmp_path / "data"


def results(output: Path) -> dict[str, Any]:
    return json.loads((output / "results.json").read_text("utf-8"))


def test_sets_and_files_are_compared_and_shown(
    data: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ["bench", "hh-helpful-base", str(data / "mine.jsonl"), "--data-dir", str(data)]
    command += ["--reward", "flr:short,length", "-o", str(output), "--limit", "4"]
    command += ["--model", str(tiny_model), "--threads", "1", "--dtype", "fp32"]
    assert run(command) == 0
    shown = capsys.readouterr().err
    assert "hh-helpful-base: 4 items of 4 prompts, 0 left out" in shown
    assert "flr:mean:short" in shown
    assert str(output / "report.html") in shown.replace("\n", "")
    assert set(results(output)["sets"]) == {"hh-helpful-base", str(data / "mine.jsonl")}
    assert "| length |" in (output / "results.md").read_text("utf-8")
    assert run(command) == 0
    assert "finished before" in capsys.readouterr().err.replace("\n", " ")


def test_robustness_is_a_verb_of_its_own(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    command = ["bench", "robustness", "hh-helpful-base", "--data-dir", str(data), "-o", str(output)]
    assert run([*command, "--reward", "length,random"]) == 0
    assert "robustness of hh-helpful-base" in capsys.readouterr().err
    assert results(output)["reference"] == "length"


def test_options_come_from_a_file(data: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(f"reward: length\ndata_dir: {data}\nlimit: 2\nseed: 5\n", "utf-8")
    output = tmp_path / "out"
    command = ["bench", "hh-helpful-base", "-o", str(output), "--config", str(config)]
    assert run([*command, "--limit", "3"]) == 0
    options = results(output)["options"]
    assert (options["limit"], options["seed"]) == (3, 5)


def test_list_shows_every_set_and_what_lies_here(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["bench", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in SPECS)
    assert "Anthropic/hh-rlhf" in shown
    assert shown.splitlines()[-1].startswith("--data-dir FOLDER marks the sets that lie below it")
    assert run(["bench", "list", "--data-dir", str(data)]) == 0
    shown = capsys.readouterr().out
    assert "--data-dir" not in shown
    lines = [line.strip() for line in shown.splitlines()]
    (at,) = [at for at, line in enumerate(lines) if line.startswith("hh-helpful-base")]
    assert lines[at + 1] == "1 file here (MIT)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["hh-helpful-bas", "--data-dir", "."], "Did you mean 'hh-helpful-base'"),
        (["llmbar", "--data-dir", "."], "dataset"),
        (["llmbar"], "--data-dir"),
        (["no-such-file.jsonl"], "no-such-file.jsonl"),
        ([], "flr bench list"),
        (["mine.jsonl", "--reward", "lenght"], "Did you mean 'length'"),
        (["wrong.jsonl", "--reward", "length"], "row 1"),
        (["same.jsonl", "--reward", "length"], "same.jsonl"),
        (["mine.jsonl", "--reward", "judge:no-such-model"], "no-such-model"),
    ],
)
def test_what_cannot_be_is_one_clear_error(
    data: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(data)
    Path("wrong.jsonl").write_text('{"prompt": "a", "chosen": 1, "rejected": "b"}\n')
    Path("same.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "b"}\n')
    assert run(["bench", *arguments, "-o", "out"]) == 2
    shown = capsys.readouterr().err
    assert says in shown.replace("\n", " ")
    assert "Traceback" not in shown
    assert not Path("out", "results.json").exists()

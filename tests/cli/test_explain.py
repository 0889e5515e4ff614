import json
import re
from pathlib import Path
from typing import Any

import pytest

from flr.cli.main import run

PAIR = {"prompt": "Capital of France?", "chosen": "Paris.", "rejected": "I like turtles."}
SEVERAL = {"prompt": "Name a colour.", "responses": ["Red.", "A horse.", "Blue or green, say."]}
SINGLES = [{"prompt": f"What is {n} and {n}?", "response": f"It is {2 * n}."} for n in range(20)]
MODEL = ("--set", "short", "--dtype", "fp32", "--threads", "1")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def scored(folder: Path, model: Path, rows: list[dict[str, Any]], *more: str) -> Path:
    """The rows as `flr score` leaves them."""
    source, output = write(folder / "in.jsonl", rows), folder / "out.jsonl"
    arguments = ["score", str(source), "-o", str(output), "--model", str(model), *MODEL, *more]
    assert run(arguments) == 0
    return output


def differences(shown: str) -> dict[str, float]:
    """Category and difference, from the table of rewards in the terminal."""
    lines = re.findall(r"^ *(\w+) +[+-]\d\.\d+ +[+-]\d\.\d+ +([+-]\d\.\d+)", shown, re.MULTILINE)
    return {name: float(number) for name, number in lines}


def test_a_scored_pair_is_explained_from_its_file_alone(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, [SINGLES[0], PAIR], "--per-followup")
    capsys.readouterr()
    assert run(["explain", str(output)]) == 0
    shown = capsys.readouterr()
    (row,) = [row for row in read(output) if "chosen" in row]
    good, bad = row["reward_chosen_by_category"], row["reward_rejected_by_category"]
    expected = {name: round(good[name] - bad[name], 3) for name in good}
    expected["reward"] = round(row["reward_chosen"] - row["reward_rejected"], 3)
    assert differences(shown.out) == pytest.approx(expected, abs=1e-9)
    for part in ("row 2", "Paris.", "I like turtles.", "chosen", str(tiny_model), "set short"):
        assert part in shown.out.replace("\n", "")
    assert shown.err == ""


def test_rows_not_scored_yet_give_the_same_as_scored_ones(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, [PAIR], "--per-followup")
    capsys.readouterr()
    assert run(["explain", str(output)]) == 0
    stored = capsys.readouterr().out
    source = str(tmp_path / "in.jsonl")
    assert run(["explain", source, "--model", str(tiny_model), *MODEL]) == 0
    now = capsys.readouterr()
    assert differences(now.out) == pytest.approx(differences(stored), abs=2e-3)
    assert "scored now" in " ".join(now.out.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.jsonl",
        "out.jsonl",
        "out.jsonl.run.json",
        "out.jsonl.run.sqlite",
    ]


def test_of_several_responses_the_best_is_held_against_the_worst(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, [SEVERAL], "--per-followup")
    capsys.readouterr()
    assert run(["explain", str(output), "--row", "1"]) == 0
    rewards = read(output)[0]["rewards"]
    best, worst = rewards.index(max(rewards)) + 1, rewards.index(min(rewards)) + 1
    shown = capsys.readouterr().out
    assert f"Likelier after response {best} than after response {worst}" in shown
    assert differences(shown)["reward"] == pytest.approx(max(rewards) - min(rewards), abs=6e-4)


def test_a_single_response_is_held_against_the_mean_of_its_file(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, SINGLES, "--per-followup")
    capsys.readouterr()
    assert run(["explain", str(output), "--row", "3"]) == 0
    shown = capsys.readouterr().out
    rewards = [row["reward"] for row in read(output)]
    assert "mean of 20 rows" in shown
    assert "What is 2 and 2?" in shown
    expected = rewards[2] - sum(rewards) / 20
    assert differences(shown)["reward"] == pytest.approx(expected, abs=6e-4)


def test_unscored_single_responses_are_held_against_sixteen(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.jsonl", SINGLES)
    arguments = ["explain", str(source), "--row", "20", "--model", str(tiny_model), *MODEL]
    assert run(arguments) == 0
    shown = capsys.readouterr()
    assert "mean of 16 rows" in shown.out
    assert "What is 19 and 19?" in shown.out


def test_variant_and_weights_are_those_of_the_run(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--per-followup", "--reward", "sum", "--weights.relevance", "0")
    output = scored(tmp_path, tiny_model, [PAIR], *more)
    capsys.readouterr()
    assert run(["explain", str(output), "--top", "30"]) == 0
    shown = capsys.readouterr().out
    assert "Reward (nats)" in shown
    assert "reward sum" in shown
    adds = re.findall(r"[+-]  .+ relevance +[+-]\d+\.\d+ +([+-]\d\.\d+)", shown)
    assert adds
    assert set(adds) == {"+0.0000"}


def test_the_published_quantity_is_explained_in_its_unit(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, [PAIR], "--per-followup", "--reward", "official")
    capsys.readouterr()
    assert run(["explain", str(output)]) == 0
    assert "Reward (logits)" in capsys.readouterr().out


def test_pmi_is_explained_within_a_prompt_only(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [PAIR, *SINGLES[:2]]
    output = scored(tmp_path, tiny_model, rows, "--per-followup", "--reward", "pmi")
    assert run(["explain", str(output)]) == 0
    capsys.readouterr()
    assert run(["explain", str(output), "--row", "2"]) == 2
    assert "--reward mean" in capsys.readouterr().err


def test_without_a_run_record_the_default_is_taken_and_said(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, [PAIR], "--per-followup")
    for record in ("[]", '{"reward": 3}', ""):
        output.with_name("out.jsonl.run.json").write_text(record)
        capsys.readouterr()
        assert run(["explain", str(output)]) == 0
        assert "no run record" in capsys.readouterr().out


def test_no_text_is_taken_for_markup(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "<script>alert(1)</script> [red]x[/red] :smile: \x1b[2J & \"q\" 'r'"
    rows = [{"prompt": nasty, "chosen": nasty + "1", "rejected": "</style><b>2"}]
    output = scored(tmp_path, tiny_model, rows, "--per-followup")
    page = tmp_path / "[red]page.html"
    capsys.readouterr()
    assert run(["explain", str(output), "--html", str(page)]) == 0
    shown = capsys.readouterr()
    assert "[red]x[/red] :smile:" in shown.out
    assert "\x1b" not in shown.out + shown.err
    assert "[red]page.html" in shown.err
    html = page.read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "[red]x[/red]" in html
    for forbidden in ("<script", "</style><b>", "\x1b"):
        assert forbidden not in html


@pytest.mark.parametrize(
    ("row", "says"),
    [("0", "numbered 1 to 3"), ("4", "numbered 1 to 3"), ("-1", "1 to 3"), ("2", "null")],
)
def test_a_row_that_cannot_be_explained_is_said(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], row: str, says: str
) -> None:
    special = {**PAIR, "chosen": "<|im_start|>user"}
    rows = [PAIR, special, PAIR]
    output = scored(tmp_path, tiny_model, rows, "--per-followup", "--on-special", "skip")
    capsys.readouterr()
    assert run(["explain", str(output), "--row", row]) == 2
    shown = capsys.readouterr()
    assert says in shown.err
    assert shown.out == ""


def test_by_itself_it_passes_over_rows_that_were_left_out(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    special = {**PAIR, "chosen": "<|im_start|>user"}
    more = ("--per-followup", "--on-special", "skip")
    output = scored(tmp_path, tiny_model, [special, PAIR], *more)
    assert run(["explain", str(output)]) == 0
    assert "row 2" in capsys.readouterr().out
    write(output, read(output)[:1] * 2)
    assert run(["explain", str(output)]) == 2
    assert "no row can be explained" in capsys.readouterr().err


def test_a_file_without_followups_says_how_to_get_them_without_computing_again(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, [PAIR])
    capsys.readouterr()
    assert run(["explain", str(output)]) == 2
    said = capsys.readouterr().err
    assert "row 1" in said
    assert "--per-followup --force" in said
    scored(tmp_path, tiny_model, [PAIR], "--per-followup", "--force")
    assert "finished" in json.loads(output.with_name("out.jsonl.run.json").read_text())
    assert json.loads(output.with_name("out.jsonl.run.json").read_text())["blocks"] == {
        "rows_each": 8,
        "all": 1,
        "computed_last": 0,
    }
    assert run(["explain", str(output)]) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"reward_chosen": "high"},
        {"reward_chosen": float("nan")},
        {"reward_chosen": 10**400},
        {"reward_chosen_by_category": 3},
        {"reward_chosen_by_category": {"relevance": None}},
        {"reward_chosen_by_category": {}},
        {"followups_chosen": "none"},
        {"followups_chosen": []},
        {"followups_chosen": [{"text": "a"}]},
    ],
)
def test_a_scored_file_that_was_changed_is_named_with_its_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    entry = {"category": "relevance", "logprob": -2.0, "tokens": 2}
    told = [{"text": str(one), "polarity": one, **entry} for one in (1, -1)]
    row: dict[str, Any] = dict(PAIR)
    for side in ("chosen", "rejected"):
        row |= {f"reward_{side}": 0.0, f"reward_{side}_by_category": {"relevance": 0}}
        row[f"followups_{side}"] = told
    output = write(tmp_path / "out.jsonl", [row])
    assert run(["explain", str(output)]) == 0
    capsys.readouterr()
    write(output, [row | changes])
    assert run(["explain", str(output)]) == 2
    shown = capsys.readouterr().err
    assert "out.jsonl: row 1" in shown
    assert "Traceback" not in shown


def test_a_list_of_rewards_of_another_length_is_the_files_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for rewards in ([1.0], 7, "ab"):
        row = {
            **SEVERAL,
            "rewards": rewards,
            "rewards_by_category": [{}] * 3,
            "followups": [[]] * 3,
        }
        assert run(["explain", str(write(tmp_path / "out.jsonl", [row]))]) == 2
        assert "row 1" in capsys.readouterr().err


def test_one_response_alone_has_nothing_to_be_held_against(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = scored(tmp_path, tiny_model, SINGLES[:1], "--per-followup")
    capsys.readouterr()
    assert run(["explain", str(output)]) == 2
    assert "nothing to hold it against" in capsys.readouterr().err


def test_an_unscored_row_that_the_model_cannot_take_is_named(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.jsonl", [PAIR, {**PAIR, "chosen": "<|im_start|>user"}])
    arguments = ["explain", str(source), "--row", "2", "--model", str(tiny_model), *MODEL]
    assert run(arguments) == 2
    assert "in.jsonl: row 2" in capsys.readouterr().err
    assert run([*arguments, "--on-special", "skip"]) == 2
    assert "null" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--set", "short"], "scored already"),
        (["--top", "0"], "--top 0"),
        (["--html", "none/page.html"], "mkdir -p"),
        (["--html", "in.jsonl"], "named .html"),
        (["--html", "folder.html"], "is a folder"),
    ],
)
def test_options_that_cannot_be(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    source = write(tmp_path / "in.jsonl", [{**PAIR, "reward_chosen_by_category": {}}])
    before = source.read_bytes()
    assert run(["explain", "in.jsonl", *more]) == 2
    assert says in capsys.readouterr().err
    assert source.read_bytes() == before


def test_a_missing_file_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "/no/such/file.jsonl"]) == 2
    assert "no such file" in capsys.readouterr().err


def test_parquet_is_explained_as_jsonl_is(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    source = write(tmp_path / "in.jsonl", [SEVERAL])
    for output in (tmp_path / "out.jsonl", tmp_path / "out.parquet"):
        arguments = ["score", str(source), "-o", str(output), "--per-followup"]
        assert run([*arguments, "--model", str(tiny_model), *MODEL]) == 0
        capsys.readouterr()
        assert run(["explain", str(output)]) == 0
        shown.append(differences(capsys.readouterr().out))
    assert shown[0] == shown[1]

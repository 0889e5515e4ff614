"""Mining in one go: from prompts, responses or rewards to files that trainers read."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from flr import followups, io
from flr.checking import check_file
from flr.errors import InputError, OptionError, OutputError, UserError
from flr.mining import MineOptions, MineReport, beside, mine_file

PROMPTS = [f"Tea {at} \U0001f375?" for at in range(12)]
REWARDED = [
    {
        "prompt": text,
        "responses": ["Yes, gladly.", "No.", "Perhaps."],
        "rewards": [0.5 + at, at - 0.5, 0.1 * at],
    }
    for at, text in enumerate(PROMPTS)
]
FOR = {
    "trl": "trl-dpo",
    "trl-kto": "trl-kto",
    "llama-factory": "llama-factory",
    "llama-factory-kto": "llama-factory-kto",
    "openrlhf": "openrlhf",
}


def put(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def options(model: Path, **given: Any) -> MineOptions:
    common = {"policy": str(model), "model": str(model), "dtype": "fp32", "threads": 1}
    own = {"n": 3, "max_new_tokens": 6, "set": "short", "keep_unfinished": True}
    return MineOptions(**{**common, **own, **given})


def run(tmp: Path, model: Path, rows: list[Any], name: str = "pairs.jsonl", **given: Any) -> Any:
    return mine_file(put(tmp / "in.jsonl", rows), tmp / name, options(model, **given))


def test_prompts_become_pairs_by_way_of_responses_and_rewards(tmp_path: Path, tiny_model: Path):
    report: MineReport = run(tmp_path, tiny_model, [{"prompt": text} for text in PROMPTS])
    found = io.read(str(tmp_path / "pairs.jsonl"))
    rewarded = {
        row["prompt"]: dict(zip(row["responses"], row["rewards"], strict=True))
        for row in io.read(str(tmp_path / "pairs.rewards.jsonl"))
    }
    assert found
    for row in found:
        rewards = rewarded[row["prompt"][0]["content"]]
        assert rewards[row["chosen"][0]["content"]] == row["reward_chosen"] == max(rewards.values())
        assert row["reward_rejected"] == min(rewards.values())
        assert row["margin"] == pytest.approx(row["reward_chosen"] - row["reward_rejected"])
    assert report.record["yield"]["responses"] == 36
    assert 0 < report.record["noise_floor"] < 1e-4
    assert report.record["min_margin"] == 2 * report.record["noise_floor"]
    assert (tmp_path / "pairs.responses.jsonl").is_file()


def test_each_stage_is_skipped_that_is_done_already(tmp_path: Path, tiny_model: Path):
    run(tmp_path, tiny_model, [{"prompt": text} for text in PROMPTS])
    expected = (tmp_path / "pairs.jsonl").read_bytes()
    for stage in ("responses", "rewards"):
        rows = io.read(str(tmp_path / f"pairs.{stage}.jsonl"))
        min_margin = json.loads((tmp_path / "pairs.jsonl.run.json").read_text())["min_margin"]
        run(tmp_path, tiny_model, rows, f"from-{stage}.jsonl", min_margin=min_margin)
        assert (tmp_path / f"from-{stage}.jsonl").read_bytes() == expected


def test_other_ways_of_pairing_compute_nothing(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": text} for text in PROMPTS]
    assert run(tmp_path, tiny_model, rows).computed > 0
    assert run(tmp_path, tiny_model, rows).computed == 0
    with pytest.raises(OutputError, match="--force"):
        run(tmp_path, tiny_model, rows, choose="all-above-margin")
    again = run(tmp_path, tiny_model, rows, choose="all-above-margin", force=True)
    assert again.computed == 0
    assert again.record["yield"]["pairs"] > len(rows)


@pytest.mark.parametrize("form", FOR)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_every_format_is_understood_by_its_trainer(
    tmp_path: Path, tiny_model: Path, form: str, suffix: str
):
    given = {"label_quantile": 0.3} if form.endswith("kto") else {}
    name = f"mined{suffix}"
    report = run(tmp_path, tiny_model, REWARDED, name, format=form, held_out=0.2, **given)
    output = tmp_path / name
    held_out = beside(output, "held-out", suffix)
    for one, other in ((output, held_out), (held_out, output)):
        assert check_file(str(one), FOR[form], against=str(other)).errors == 0
    assert report.record["rows"] == len(io.read(str(output)))
    assert report.record["rows_held_out"] == len(io.read(str(held_out))) > 0
    info = tmp_path / "dataset_info.json"
    assert info.exists() == form.startswith("llama-factory")
    if info.exists():
        entries = json.loads(info.read_text("utf-8"))
        assert {one["file_name"] for one in entries.values()} == {name, held_out.name}


def test_the_weights_of_the_reward_are_those_of_the_share_by_category(
    tmp_path: Path, tiny_model: Path
):
    own = [{"correctness": one, "relevance": one} for one in (2.0, 0.0, 1.0)]
    rows = [{**REWARDED[0], "rewards_by_category": own}]
    assert own[0].keys() <= set(followups.load("short").categories)
    text = followups.to_yaml(followups.load("short")).replace("name: short", "name: mine")
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("  correctness:\n", "  correctness:\n    weight: 3\n"), "utf-8")
    found = run(tmp_path, tiny_model, rows, set=str(mine)).record["categories"]
    assert {name: part["share"] for name, part in found.items()} == {
        "correctness": 0.75,
        "relevance": 0.25,
    }


def test_other_entries_of_dataset_info_are_kept(tmp_path: Path, tiny_model: Path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"mine": {"file_name": "mine.json"}}')
    run(tmp_path, tiny_model, REWARDED, format="llama-factory")
    entries = json.loads(info.read_text("utf-8"))
    assert entries["mine"] == {"file_name": "mine.json"}
    assert entries["pairs"]["file_name"] == "pairs.jsonl"
    info.write_text("[")
    with pytest.raises(OutputError, match="mend or remove"):
        run(tmp_path, tiny_model, REWARDED, "other.jsonl", format="llama-factory")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"held_out": 1.0}, "--held-out 1.0"),
        ({"min_margin": -1.0}, "--min-margin -1.0"),
        ({"format": "trl-kto"}, "--reward pmi"),
        ({"label_quantile": 0.7}, "--label-quantile 0.7"),
        ({"n": 0}, "--n 0"),
        ({"workers": 0}, "--workers 0"),
    ],
)
def test_options_that_cannot_be_are_refused(tiny_model: Path, given: dict[str, Any], says: str):
    with pytest.raises(OptionError, match=says):
        options(tiny_model, **given)


def test_rows_that_are_not_equally_far_are_refused(tmp_path: Path, tiny_model: Path):
    rows = [REWARDED[0], {"prompt": "Tea?", "responses": ["Yes."]}]
    with pytest.raises(InputError, match="row 2: has responses, row 1 rewards"):
        run(tmp_path, tiny_model, rows)


@pytest.mark.parametrize("more", [{}, {"responses": ["Yes.", "No."]}, REWARDED[0]])
def test_a_prompt_that_the_format_cannot_hold_is_named_before_any_work(
    tmp_path: Path, tiny_model: Path, more: dict[str, Any]
):
    tool = [{"role": "user", "content": "Tea?"}, {"role": "tool", "content": "Out of tea."}]
    rows = [{**more, "prompt": "Tea?"}, {**more, "prompt": tool}]
    with pytest.raises(InputError, match="message of the role 'tool'") as caught:
        run(tmp_path, tiny_model, rows, format="llama-factory")
    assert [problem.row for problem in caught.value.problems] == [2]
    assert not list(tmp_path.glob("pairs*"))


def test_nothing_left_to_write_is_said(tmp_path: Path, tiny_model: Path):
    rows = [{**REWARDED[0], "rewards": [0.5, 0.5, 0.5]}]
    with pytest.raises(UserError, match=r'nothing is left to write: .*"margin": 1'):
        run(tmp_path, tiny_model, rows)
    assert not (tmp_path / "pairs.jsonl").exists()


def test_standard_input_is_refused(tmp_path: Path, tiny_model: Path):
    with pytest.raises(OptionError, match="in place of -"):
        mine_file("-", tmp_path / "pairs.jsonl", options(tiny_model))


def test_a_response_that_cannot_be_scored_stops_nothing(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": "Tea?", "responses": ["Yes.", "<|im_end|>", "No, thank you."]}]
    report = run(tmp_path, tiny_model, rows)
    assert report.record["yield"]["no_reward"] == 1
    assert report.record["yield"]["pairs"] == 1


KILLED = """
import sys
from pathlib import Path
from flr.mining import MineOptions, mine_file
from tests.test_mining import options
mine_file(sys.argv[1], Path(sys.argv[2]), options(Path(sys.argv[3])))
"""


def test_a_kill_in_any_stage_changes_no_byte(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": f"Tea {at}?"} for at in range(60)]
    run(tmp_path, tiny_model, rows, "undisturbed.jsonl")
    command = [sys.executable, "-c", KILLED, str(tmp_path / "in.jsonl")]
    command += [str(tmp_path / "killed.jsonl"), str(tiny_model)]
    beginnings = ("killed.responses.jsonl.run.sqlite", "killed.rewards.jsonl.run.sqlite")
    for name in (*beginnings, "killed.jsonl.run.sqlite"):
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        while not (tmp_path / name).exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(0.05)
        process.kill()
        process.wait()
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    for end in (".jsonl", ".responses.jsonl", ".rewards.jsonl"):
        both = [(tmp_path / f"{name}{end}").read_bytes() for name in ("killed", "undisturbed")]
        assert both[0] == both[1]

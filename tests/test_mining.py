"""Mining in one go: from prompts, responses or rewards to files that trainers read."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_args

import pytest

from flr import followups, io
from flr.cli.check import Trainer
from flr.errors import InputError, OptionError, OutputError, UserError
from flr.mined.files import beside
from flr.mined.rows import Format
from flr.mining import MineOptions, mine_file
from flr.preferences.checking import check_file
from flr.preferences.formats import PAIRED, UNPAIRED
from flr.preferences.trainers import TRAINERS
from flr.report.mined import text
from flr.runs import Report

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


def options(model: Path, /, **given: Any) -> MineOptions:
    common = {"policy": str(model), "model": str(model), "dtype": "fp32", "threads": 1}
    own = {"n": 3, "max_new_tokens": 6, "set": "short", "keep_unfinished": True}
    return MineOptions(**{**common, **own, **given})


def run(tmp: Path, model: Path, rows: list[Any], name: str = "pairs.jsonl", /, **given: Any) -> Any:
    return mine_file(put(tmp / "in.jsonl", rows), tmp / name, options(model, **given))


def test_prompts_become_pairs_by_way_of_responses_and_rewards(tmp_path: Path, tiny_model: Path):
    report: Report = run(tmp_path, tiny_model, [{"prompt": text} for text in PROMPTS])
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
    given = {"label_threshold": 0.2} if form.endswith("kto") else {}
    rows = [{**row, "rewards": [0.5, -0.5, at]} for at, row in enumerate(REWARDED)]
    name = f"mined{suffix}"
    report = run(tmp_path, tiny_model, rows, name, format=form, held_out=0.2, **given)
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


def test_every_format_is_offered_and_has_a_trainer():
    assert set(get_args(Format)) == {*PAIRED, *UNPAIRED} == FOR.keys()
    assert {*FOR.values(), "rewardbench"} == TRAINERS.keys() == set(get_args(Trainer))


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
        ({"format": "trl-kto", "choose": "max-mean"}, "--choose is for pairs"),
        ({"format": "trl-kto", "min_margin": 0.1}, "--min-margin is for pairs"),
        ({"label_threshold": 0.1}, "--label-threshold is for single responses"),
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
    with pytest.raises(InputError, match="row 2: has responses without rewards, row 1 has rewards"):
        run(tmp_path, tiny_model, rows)


def test_rows_of_another_form_are_not_taken_for_their_responses(tmp_path: Path, tiny_model: Path):
    # `chosen` and `rejected` go before `responses`, and the rewards are not in their order
    row = {"prompt": "Q", "responses": ["A", "B"], "rewards": [0.1, 0.9]}
    with pytest.raises(InputError, match="stands beside columns of another form"):
        run(tmp_path, tiny_model, [row, {**row, "chosen": "B", "rejected": "A"}])
    assert not list(tmp_path.glob("pairs*"))


def test_rows_are_named_by_their_lines(tmp_path: Path, tiny_model: Path):
    rows = [json.dumps(REWARDED[0]), "", json.dumps({"prompt": "Tea?"})]
    (tmp_path / "in.jsonl").write_text("\n".join(rows), "utf-8")
    with pytest.raises(InputError, match="row 3: has no responses"):
        mine_file(str(tmp_path / "in.jsonl"), tmp_path / "pairs.jsonl", options(tiny_model))


@pytest.mark.parametrize(
    ("rows", "given", "says"),
    [
        ([{"prompt": "Tea?"}], {"set": "shrot"}, "shrot"),
        ([{"prompt": "Tea?"}], {"model": "smolm2"}, "smolm2"),
        ([{"prompt": "Tea?"}], {"weights": {"relevanse": 2.0}}, "relevanse"),
        ([{"prompt": "Tea?"}], {"n": 1}, "a pair needs two responses"),
        ([{"prompt": "Tea?"}], {"format": "trl-kto"}, "--reward pmi"),
        ([{"prompt": "Tea?", "rewards_by_category": []}], {}, "rewards_by_category"),
        (REWARDED, {"format": "trl-kto", "reward": "pmi"}, "--label-threshold of your own"),
        ([{"prompt": "Tea?", "reward_variant": "x"}], {"reward": "official"}, "reward_variant"),
    ],
)
def test_what_a_later_stage_would_refuse_is_said_before_the_first(
    tmp_path: Path, tiny_model: Path, rows: list[Any], given: dict[str, Any], says: str
):
    with pytest.raises(UserError, match=says):
        run(tmp_path, tiny_model, rows, **given)
    assert not list(tmp_path.glob("pairs*"))


def test_parquet_that_cannot_hold_the_columns_is_refused_before_any_work(
    tmp_path: Path, tiny_model: Path
):
    rows = [{"prompt": "Tea?", "id": 1}, {"prompt": "Milk?", "id": "two"}]
    with pytest.raises(UserError, match="id"):
        run(tmp_path, tiny_model, rows, "pairs.parquet")
    assert not list(tmp_path.glob("pairs*"))


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.rewards.jsonl", "pairs.held-out.jsonl"])
def test_what_somebody_else_made_is_not_replaced(tmp_path: Path, tiny_model: Path, name: str):
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(OutputError, match="made otherwise"):
        run(tmp_path, tiny_model, [{"prompt": "Tea?"}], held_out=0.5)
    assert (tmp_path / name).read_text() == "mine\n"
    assert not (tmp_path / "pairs.responses.jsonl").exists()


def test_a_held_out_file_can_be_read_but_not_by_its_own_run(tmp_path: Path, tiny_model: Path):
    source = put(tmp_path / "pairs.held-out.jsonl", REWARDED)
    with pytest.raises(OutputError, match="is the input"):
        mine_file(source, tmp_path / "pairs.jsonl", options(tiny_model, held_out=0.5))


def test_a_held_out_file_goes_where_it_is_no_longer_asked_for(tmp_path: Path, tiny_model: Path):
    held_out, form = tmp_path / "pairs.held-out.jsonl", "llama-factory"
    run(tmp_path, tiny_model, REWARDED, held_out=0.25, format=form)
    assert len(io.read(str(held_out))) == 3
    run(tmp_path, tiny_model, REWARDED, format=form, force=True)
    assert not list(tmp_path.glob("*held-out*"))
    assert json.loads((tmp_path / "dataset_info.json").read_text()).keys() == {"pairs"}
    assert len(io.read(str(tmp_path / "pairs.jsonl"))) == 12


def test_a_file_that_another_verb_made_is_left_alone(tmp_path: Path, tiny_model: Path):
    other = tmp_path / "pairs.held-out.jsonl"
    put(other, [{"prompt": "Tea?", "reward": 1.0}])
    (tmp_path / "pairs.held-out.jsonl.run.json").write_text('{"run": "x"}')
    before = other.read_bytes()
    run(tmp_path, tiny_model, REWARDED)
    run(tmp_path, tiny_model, REWARDED, choose="max-mean", force=True)
    assert other.read_bytes() == before


def test_responses_that_come_without_their_record_are_taken(tmp_path: Path, tiny_model: Path):
    source = tmp_path / "pairs.responses.jsonl"
    put(source, [{"prompt": "Tea?", "responses": ["Yes.", "No, never."]}])
    before = source.read_bytes()
    mine_file(str(source), tmp_path / "pairs.jsonl", options(tiny_model))
    assert source.read_bytes() == before
    prompts = put(tmp_path / "other.rewards.jsonl", [{"prompt": "Tea?"}])
    with pytest.raises(OutputError, match="is the input"):
        mine_file(prompts, tmp_path / "other.jsonl", options(tiny_model, force=True))


def test_rewards_of_responses_that_are_gone_are_not_met_after_sampling(
    tmp_path: Path, tiny_model: Path
):
    run(tmp_path, tiny_model, [{"prompt": "Tea?", "responses": ["Yes.", "No, never."]}])
    (tmp_path / "pairs.jsonl").unlink()
    with pytest.raises(OutputError, match=r"pairs.rewards.jsonl exists"):
        run(tmp_path, tiny_model, [{"prompt": "Tea?"}])
    assert not (tmp_path / "pairs.responses.jsonl").exists()


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"finish_reasons": ["stop"]}, "finish_reasons: expected"),
        ({"responses": ["Yes."]}, "no row has two responses"),
    ],
)
def test_what_pairing_would_refuse_is_said_before_scoring(
    tmp_path: Path, tiny_model: Path, columns: dict[str, Any], says: str
):
    with pytest.raises(UserError, match=says):
        run(tmp_path, tiny_model, [{"prompt": "Tea?", "responses": ["Yes.", "No."], **columns}])
    assert not list(tmp_path.glob("pairs*"))


@pytest.mark.parametrize("form", FOR)
def test_rows_that_say_the_same_are_written_once(tmp_path: Path, tiny_model: Path, form: str):
    given = {"label_threshold": 0.0} if form.endswith("kto") else {}
    rows = [
        {"prompt": text, "responses": ["Yes.", "No."], "rewards": [1.0, -1.0]}
        for text in ("Tea?", "Tea? ", "Milk?")
    ]
    record = run(tmp_path, tiny_model, rows, format=form, **given).record
    assert check_file(str(tmp_path / "pairs.jsonl"), FOR[form]).errors == 0
    told = "2 near-equal to another response" if given else "1 pairs that say the same as another"
    assert told in text(record)
    assert "no pair" not in text(record)


def test_an_entry_of_another_file_is_not_replaced(tmp_path: Path, tiny_model: Path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"pairs": {"file_name": "theirs.json"}}')
    with pytest.raises(OutputError, match="entry 'pairs' of another file"):
        run(tmp_path, tiny_model, REWARDED, format="llama-factory")
    assert not (tmp_path / "pairs.jsonl").exists()


def test_entries_go_with_the_format(tmp_path: Path, tiny_model: Path):
    info = tmp_path / "dataset_info.json"
    info.write_text('{"theirs": {"file_name": "theirs.json"}}')
    run(tmp_path, tiny_model, REWARDED, format="llama-factory", held_out=0.25)
    assert json.loads(info.read_text()).keys() == {"theirs", "pairs", "pairs.held-out"}
    run(tmp_path, tiny_model, REWARDED, force=True)
    assert json.loads(info.read_text()).keys() == {"theirs"}


def test_one_prompt_holds_nothing_out_and_is_done(tmp_path: Path, tiny_model: Path):
    first = run(tmp_path, tiny_model, REWARDED[:1], held_out=0.5)
    assert first.record["rows_held_out"] == 0
    assert run(tmp_path, tiny_model, REWARDED[:1], held_out=0.5).record == first.record


def test_follow_ups_are_written_where_they_are_asked_for_later(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": "Tea?", "responses": ["Yes.", "No, never."]}]
    run(tmp_path, tiny_model, rows)
    run(tmp_path, tiny_model, rows, per_followup=True, force=True)
    assert "followups" in io.read(str(tmp_path / "pairs.rewards.jsonl"))[0]


def test_two_processes_write_what_one_does(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": f"Tea {at}?"} for at in range(24)]
    run(tmp_path, tiny_model, rows, "one.jsonl")
    run(tmp_path, tiny_model, rows, "two.jsonl", workers=2)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_a_file_of_the_run_that_is_gone_is_written_again(tmp_path: Path, tiny_model: Path):
    given = {"held_out": 0.25, "format": "llama-factory"}
    run(tmp_path, tiny_model, REWARDED, **given)
    files = [tmp_path / name for name in ("pairs.held-out.jsonl", "dataset_info.json")]
    before = [path.read_bytes() for path in files]
    for path in files:
        path.unlink()
        run(tmp_path, tiny_model, REWARDED, **given)
    assert [path.read_bytes() for path in files] == before


def test_what_sampling_left_out_is_told(tmp_path: Path, tiny_model: Path):
    rows = [{"prompt": "Tea?"}, {"prompt": "<|im_end|>"}, {"prompt": "Milk?"}]
    with pytest.raises(UserError, match=r"im_end"):
        run(tmp_path, tiny_model, rows)
    record = run(tmp_path, tiny_model, rows, on_special="skip").record
    assert [number for number, _ in record["stages"]["sample"]["skipped"]] == [2]
    words = text(record)
    assert "1 prompts were not sampled: rows 2" in words
    assert "row 3, margin" in words or "row 1, margin" in words
    assert "row 2, margin" not in words


def test_a_prompt_that_was_not_scored_whole_is_told(tmp_path: Path, tiny_model: Path):
    said = [{"role": "user", "content": "word " * 400}, {"role": "assistant", "content": "Yes."}]
    prompt = [*said * 6, {"role": "user", "content": "Tea?"}]
    rows = [{"prompt": one, "responses": ["Yes.", "No, never."]} for one in (prompt, "Milk?")]
    record = run(tmp_path, tiny_model, rows).record
    assert [number for number, *_ in record["stages"]["score"]["cut"]] == [1, 1]
    assert "  2 responses were scored without the oldest turns of their prompts\n" in text(record)
    assert "oldest turns" not in text(run(tmp_path, tiny_model, rows[1:], "short.jsonl").record)


def test_labels_of_rewards_that_come_with_the_file_need_a_threshold(
    tmp_path: Path, tiny_model: Path
):
    rows = [{**row, "rewards": [0.5, -0.5, -0.1]} for row in REWARDED]
    report = run(tmp_path, tiny_model, rows, format="trl-kto", label_threshold=0.2)
    words = text(report.record)
    assert "12 desirable, 24 undesirable, 0 without a label" in words
    assert "desirable_weight 2.33, undesirable_weight 1.0" in words  # 2.33 x 12 : 24 is 7 : 6
    assert ", undesirable\n" in words


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
    with pytest.raises(UserError, match=r'nothing is left to write, .*"margin": 1}: --keep'):
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
from flr import runs
real = runs.Store.put
def put(store, key, results):
    real(store, key, results)
    with open(sys.argv[4], "a") as log:
        log.write(f"{store.path.name} {key}\\n")
runs.Store.put = put
from flr.mining import MineOptions, mine_file
from tests.test_mining import options
mine_file(sys.argv[1], Path(sys.argv[2]), options(Path(sys.argv[3])))
"""


def test_a_kill_in_any_stage_changes_no_byte(tmp_path: Path, tiny_model: Path):
    """kill -9 as soon as each stage has finished a block; no block is worked on twice."""
    rows = [{"prompt": f"Tea {at}?"} for at in range(60)]
    run(tmp_path, tiny_model, rows, "undisturbed.jsonl")
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "in.jsonl")]
    command += [str(tmp_path / "killed.jsonl"), str(tiny_model), str(log)]
    stages = [f"killed{stage}.jsonl.run.sqlite" for stage in (".responses", ".rewards", "")]
    for stage in stages:
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1])
        while stage not in log.read_text().split() and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.jsonl.run.json").exists()
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    for end in (".jsonl", ".responses.jsonl", ".rewards.jsonl"):
        both = [(tmp_path / f"{name}{end}").read_bytes() for name in ("killed", "undisturbed")]
        assert both[0] == both[1]
    blocks = log.read_text().splitlines()
    assert len(blocks) == len(set(blocks))
    assert {line.split()[0] for line in blocks} == set(stages)

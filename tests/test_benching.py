import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flr import followups, io
from flr.benching import BenchOptions, bench
from flr.datasets.catalogue import SUITES
from flr.errors import InputError, OptionError, OutputError, UserError
from flr.evaluation.columns import MOST_COMPARED
from flr.loading import load
from flr.result_files import RESULTS, ResultsReport
from tests.datasets.samples import put, put_set
from tests.evaluation.planted import BAD, GOOD, PROMPTS

FILES = ("results.md", "items.jsonl", "report.html")

ROWS = [
    {"prompt": prompt, "chosen": good, "rejected": bad, "subset": "xy"[at % 2]}
    for at, (prompt, good, bad) in enumerate(zip(PROMPTS, GOOD, BAD, strict=True))
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def run(tmp: Path, model: Path, rows: list[dict[str, Any]] = ROWS, **given: Any) -> ResultsReport:
    source = write(tmp / "pairs.jsonl", rows)
    robustness = given.pop("robustness", False)
    options = {"model": str(model), "dtype": "fp32", "threads": 1, "reward": "flr:short,length"}
    name = given.pop("output", "out")
    return bench([source], tmp / name, BenchOptions(**{**options, **given}), robustness=robustness)


def only(report: ResultsReport) -> dict[str, Any]:
    (found,) = report.results["sets"].values()
    return found


def test_all_files_are_written_and_say_the_same(tmp_path: Path, tiny_model: Path) -> None:
    rewards = f"flr:short,flr:official:short,flr:pmi:short,direct,length,random,judge:{tiny_model}"
    report = run(tmp_path, tiny_model, reward=rewards)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FILES, RESULTS, "run.sqlite"}
    results = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert results == json.loads(json.dumps(report.results))
    assert results["reference"] == "flr:mean:short"
    assert list(only(report)["rewards"]) == results["rewards"]
    assert len(results["rewards"]) == 8
    rows = io.read(str(tmp_path / "out" / "items.jsonl"))
    assert [row["responses"] for row in rows] == [
        list(pair) for pair in zip(GOOD, BAD, strict=True)
    ]
    assert all(set(row["rewards"]) == set(results["rewards"]) for row in rows)
    assert set(rows[0]["by_category"]["flr:mean:short"]) == set(
        only(report)["rewards"]["flr:mean:short"]["categories"]
    )


def test_the_rewards_are_those_of_the_scorer_and_the_accuracy_follows(
    tmp_path: Path, tiny_model: Path
) -> None:
    found = only(run(tmp_path, tiny_model))
    rows = io.read(str(tmp_path / "out" / "items.jsonl"))
    scorer = load(model=str(tiny_model), set="short", dtype="fp32", threads=1)
    for row in rows:
        asked = [{"prompt": row["prompt"], "response": text} for text in row["responses"]]
        says = [score.reward for score in scorer.score(asked) if score]
        assert row["rewards"]["flr:mean:short"] == pytest.approx(says, abs=1e-4)
        assert row["rewards"]["length"] == [len(text) for text in row["responses"]]
    margins = [np.subtract(*row["rewards"]["flr:mean:short"]) for row in rows]
    right = np.mean([margin > 0 for margin in margins])
    assert found["rewards"]["flr:mean:short"]["accuracy"]["value"] == pytest.approx(right)
    differences = np.array([len(good) - len(bad) for good, bad in zip(GOOD, BAD, strict=True)])
    longer = np.mean((differences > 0) + (differences == 0) / 2)
    assert found["rewards"]["length"]["accuracy"]["value"] == pytest.approx(longer)


def test_within_a_prompt_pmi_decides_as_mean_does(tmp_path: Path, tiny_model: Path) -> None:
    found = only(run(tmp_path, tiny_model, reward="flr:short,flr:pmi:short"))["rewards"]
    mean, pmi = found["flr:mean:short"], found["flr:pmi:short"]
    assert mean["accuracy"] == pmi["accuracy"]
    assert pmi["difference"] == {"value": 0.0, "interval": [0.0, 0.0], "count": 5}


def test_how_it_was_made_is_told(tmp_path: Path, tiny_model: Path) -> None:
    results = run(tmp_path, tiny_model, limit=3, seed=7).results
    assert results["options"]["limit"] == 3
    assert results["options"]["seed"] == 7
    (one,) = results["made_with"]["passes"].values()
    assert one["made_with"]["dtype"] == "fp32"
    assert one["conversations"] == 3 * 2 * 2  # once in blocks, once alone for the noise floor
    assert one["tokens_run"] < one["tokens_asked"]
    assert set(results["made_with"]["versions"]) >= {"flr", "torch", "transformers"}
    (found,) = results["sets"].values()
    assert found["items"] == 3
    assert results["options"]["threads"] == 1


def test_the_noise_floor_is_measured_for_models_and_0_for_texts(
    tmp_path: Path, tiny_model: Path
) -> None:
    found = only(run(tmp_path, tiny_model))["rewards"]
    assert 0 <= found["flr:mean:short"]["noise_floor"] < 1e-4
    assert found["length"]["noise_floor"] == 0


def test_the_same_command_again_computes_nothing(tmp_path: Path, tiny_model: Path) -> None:
    first = run(tmp_path, tiny_model)
    before = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}
    again = run(tmp_path, tiny_model)
    assert (first.computed, again.computed) == (6, 0)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == before
    (tmp_path / "out" / "report.html").unlink()
    assert run(tmp_path, tiny_model).computed == 0
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "items.jsonl").read_bytes() == before["items.jsonl"]


def test_other_results_are_not_replaced_unless_forced(tmp_path: Path, tiny_model: Path) -> None:
    run(tmp_path, tiny_model)
    says = "other results \\(reward flr:short,length, and now length\\).*--force"
    with pytest.raises(OutputError, match=says):
        run(tmp_path, tiny_model, reward="length")
    assert run(tmp_path, tiny_model, reward="length", force=True).computed == 0


def test_an_item_that_cannot_be_asked_about_is_left_out_for_every_reward(
    tmp_path: Path, tiny_model: Path
) -> None:
    rows = [*ROWS, {"prompt": "Sly?", "chosen": "<|im_end|>", "rejected": "no"}]
    found = only(run(tmp_path, tiny_model, rows))
    ((name, place, reason),) = found["skipped"]
    assert name.endswith(":6")
    assert place == ""
    assert "<|im_end|>" in reason
    assert found["items"] == 5
    assert found["rewards"]["length"]["accuracy"]["count"] == 5


def test_a_set_of_which_nothing_is_left_is_an_error(tmp_path: Path, tiny_model: Path) -> None:
    rows = [{"prompt": "Sly?", "chosen": "<|im_end|>", "rejected": "no"}]
    with pytest.raises(UserError, match="every item was left out"):
        run(tmp_path, tiny_model, rows)
    assert not (tmp_path / "out" / "results.json").exists()


def test_a_judge_is_left_out_where_there_is_nothing_to_compare(
    tmp_path: Path, tiny_model: Path
) -> None:
    rows = [
        {**row, "instruction": row["instruction"].replace("Why?", prompt), "idx": prompt}
        for row, prompt in zip(judged_rows(GOOD), PROMPTS, strict=True)
    ]
    (tmp_path / "vicuna_eval.json").write_text(json.dumps(rows), "utf-8")
    options = BenchOptions(
        model=str(tiny_model), threads=1, reward=f"judge:{tiny_model},length", data_dir=tmp_path
    )
    warned: list[str] = []
    report = bench(["vicuna-single"], tmp_path / "out", options, warn=warned.append)
    found = only(report)
    assert list(found["rewards"]) == ["length"]
    assert list(found["not_computed"]) == [f"judge:{tiny_model}"]
    assert "5 of 5 items have only one" in warned[0]
    assert report.computed == 0
    assert found["rewards"]["length"]["spearman"]["value"] is not None


def judged_rows(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a single-answer judge set, all of one prompt."""
    form = "###The instruction to evaluate:\n{}\n###Response to evaluate:\n{}\n###Score Rubrics:\nx"
    return [
        {"instruction": form.format("Why?", text), "gpt4_score": [at, at], "idx": 1}
        for at, text in enumerate(texts)
    ]


def test_of_ratings_only_the_response_is_left_out_that_cannot_be_asked_about(
    tmp_path: Path, tiny_model: Path
) -> None:
    rows = judged_rows(["So.", "Because.", "<|im_end|>", "I do not know."])
    (tmp_path / "vicuna_eval.json").write_text(json.dumps(rows), "utf-8")
    options = BenchOptions(
        model=str(tiny_model), threads=1, dtype="fp32", reward="flr:short,length", data_dir=tmp_path
    )
    found = only(bench(["vicuna-single"], tmp_path / "out", options))
    ((_, place, reason),) = found["skipped"]
    assert (place, found["responses"]) == ("response 3", 3)
    assert "<|im_end|>" in reason
    (row,) = io.read(str(tmp_path / "out" / "items.jsonl"))
    assert row["responses"] == ["So.", "Because.", "I do not know."]
    assert row["labels"] == [0.0, 1.0, 3.0]
    assert row["rewards"]["length"] == [3.0, 8.0, 14.0]
    assert found["rewards"]["flr:mean:short"]["noise_floor"] is None  # its item had no company


def test_a_judge_is_left_out_where_there_is_too_much_to_compare(
    tmp_path: Path, tiny_model: Path
) -> None:
    rows = judged_rows([f"{at}" for at in range(MOST_COMPARED + 1)])
    (tmp_path / "vicuna_eval.json").write_text(json.dumps(rows), "utf-8")
    options = BenchOptions(threads=1, reward=f"length,judge:{tiny_model}", data_dir=tmp_path)
    found = only(bench(["vicuna-single"], tmp_path / "out", options))
    assert "an item has 11" in found["not_computed"][f"judge:{tiny_model}"]


def test_the_words_of_a_follow_up_set_are_part_of_the_run(tmp_path: Path, tiny_model: Path) -> None:
    mine = tmp_path / "mine.yaml"
    text = followups.to_yaml(followups.load("short")).replace("name: short", "name: mine")
    mine.write_text(text, "utf-8")
    before = only(run(tmp_path, tiny_model, reward=f"flr:{mine}"))
    swapped = text.replace("positive:", "x:").replace("negative:", "positive:")
    mine.write_text(swapped.replace("x:", "negative:"), "utf-8")
    report = run(tmp_path, tiny_model, reward=f"flr:{mine}", force=True)
    after = only(report)
    assert not report.finished_before
    accuracies = [one["rewards"]["flr:mean:mine"]["accuracy"]["value"] for one in (before, after)]
    assert accuracies[0] == pytest.approx(1 - accuracies[1])


def test_the_weights_of_a_follow_up_set_are_part_of_the_run(
    tmp_path: Path, tiny_model: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    text = followups.to_yaml(followups.load("short")).replace("name: short", "name: mine")
    rewards: list[list[list[float]]] = []
    for weight in ("1", "50"):
        weighted = text.replace("  correctness:\n", f"  correctness:\n    weight: {weight}\n")
        assert weighted != text
        mine.write_text(weighted, "utf-8")
        report = run(tmp_path, tiny_model, reward=f"flr:{mine}", force=True)
        assert not report.finished_before
        items = io.read(str(tmp_path / "out" / "items.jsonl"))
        rewards.append([item["rewards"]["flr:mean:mine"] for item in items])
    assert report.computed == 0
    assert rewards[0] != rewards[1]


def test_prompts_that_part_before_their_last_turns_are_told_apart(
    tmp_path: Path, tiny_model: Path
) -> None:
    turns = "\n\nHuman: Hi\n\nAssistant: {}\n\nHuman: Go on\n\nAssistant: {}"
    rows = [{"chosen": turns.format("Yes?", "So"), "rejected": turns.format("What?", "No")}]
    run(tmp_path, tiny_model, [*rows, *ROWS], reward="length")
    first, *others = io.read(str(tmp_path / "out" / "items.jsonl"))
    assert first["prompt"] == [{"role": "user", "content": "Hi"}]
    assert [[one["content"] for one in side] for side in first["turns"]] == [
        ["Yes?", "Go on"],
        ["What?", "Go on"],
    ]
    assert not any("turns" in row for row in others)
    assert first["points"] == {"length": 0.5}
    assert first["margins"] == {"length": 0.0}


def test_a_kill_while_results_are_written_leaves_none_that_are_not_whole(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, tiny_model, reward="length")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("flr.result_files.write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tiny_model, reward="random", force=True)
    assert not (tmp_path / "out" / RESULTS).exists()
    monkeypatch.undo()
    again = run(tmp_path, tiny_model, reward="length")
    assert not again.finished_before
    assert only(again)["rewards"].keys() == {"length"}


def test_a_result_file_that_was_changed_is_written_again(tmp_path: Path, tiny_model: Path) -> None:
    run(tmp_path, tiny_model, reward="length")
    whole = (tmp_path / "out" / "items.jsonl").read_bytes()
    (tmp_path / "out" / "items.jsonl").write_bytes(whole[:100])
    assert not run(tmp_path, tiny_model, reward="length").finished_before
    assert (tmp_path / "out" / "items.jsonl").read_bytes() == whole
    assert run(tmp_path, tiny_model, reward="length").finished_before


def test_robustness_spoils_the_good_responses(tmp_path: Path, tiny_model: Path) -> None:
    found = only(run(tmp_path, tiny_model, robustness=True))
    assert set(found["rewards"]["length"]["subsets"]) == {
        "as rated",
        "empty",
        "repeated",
        "echo",
        "elsewhere",
        "refusal",
        "cut",
        "planted",
        "fake turn",
    }
    assert found["rewards"]["length"]["subsets"]["empty"]["value"] == 1.0
    assert found["groups"] == 5


@pytest.mark.parametrize("torn", [b"", b"[]", b'{"run": 1, "options": 2}', b"\xff"])
def test_a_results_file_of_something_else_is_not_replaced(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / RESULTS).write_bytes(torn)
    with pytest.raises(OutputError, match="not of flr bench"):
        run(tmp_path, tmp_path, reward="length")
    assert (tmp_path / "out" / RESULTS).read_bytes() == torn


def test_changed_data_are_other_results(tmp_path: Path) -> None:
    run(tmp_path, tmp_path, reward="length")
    with pytest.raises(OutputError, match="data, models, follow-ups or versions have changed"):
        run(tmp_path, tmp_path, ROWS[:3], reward="length")


def test_the_paper_suite_is_labelled_partial(tmp_path: Path) -> None:
    options = BenchOptions(suite="paper", data_dir=tmp_path / "data", reward="length")
    for name in SUITES["paper"]:
        put_set(tmp_path / "data", name)
    told: list[str] = []
    report = bench([], tmp_path / "out", options, warn=told.append)
    assert list(report.results["sets"]) == list(SUITES["paper"])
    assert report.results["notes"] == told
    assert "not to be averaged beside the paper's" in told[0]
    assert "paper, partial" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_of_the_local_suite_a_set_that_cannot_be_used_is_left_out(tmp_path: Path) -> None:
    data, told = tmp_path / "data", list[str]()
    put_set(data, "hh-helpful-base")
    twice = put_set(data, "llmbar")
    (twice.parent / "dataset.jsonl").write_bytes(twice.read_bytes())
    options = BenchOptions(suite="local", data_dir=data, reward="length")
    report = bench([], tmp_path / "out", options, warn=told.append)
    assert list(report.results["sets"]) == ["hh-helpful-base"]
    assert report.results["notes"] == told
    assert told[0].startswith("llmbar is left out: ")
    with pytest.raises(UserError, match="one file twice"):
        bench(["llmbar"], tmp_path / "out", options)
    put(data / "hh/helpful-base/test.jsonl.gz", [{"chosen": 1, "rejected": 2}])
    with pytest.raises(OptionError, match=r"no set to benchmark on.*\nhh-helpful-base is left"):
        bench([], tmp_path / "out", options)


def test_the_local_suite_is_what_lies_there(tmp_path: Path, tiny_model: Path) -> None:
    folder = tmp_path / "data" / "helpful-base"
    folder.mkdir(parents=True)
    human = "\n\nHuman: {}\n\nAssistant: {}"
    rows = [
        {"chosen": human.format(prompt, good), "rejected": human.format(prompt, bad)}
        for prompt, good, bad in zip(PROMPTS, GOOD, BAD, strict=True)
    ]
    write(folder / "test.jsonl", rows)
    options = BenchOptions(suite="local", data_dir=tmp_path / "data", reward="length,random")
    report = bench([], tmp_path / "out", options)
    assert list(report.results["sets"]) == ["hh-helpful-base"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"limit": 0}, "--limit 0"),
        ({"workers": 0}, "--workers 0"),
        ({"seed": -1}, "--seed -1"),
        ({"workers": 2, "device_map": "auto"}, "--workers 1"),
    ],
)
def test_options_that_cannot_be_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        BenchOptions(**given)


def test_no_set_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="flr bench list"):
        bench([], tmp_path / "out", BenchOptions())


def test_a_wrong_column_and_a_file_in_the_folders_place_are_said(
    tmp_path: Path, tiny_model: Path
) -> None:
    with pytest.raises(InputError, match="chosen"):
        run(tmp_path, tiny_model, [{"prompt": "a", "choosen": "b", "rejected": "c"}])
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="no folder"):
        run(tmp_path, tiny_model)


KILLED = """
import sys
from pathlib import Path
from flr import runs
from flr.benching import BenchOptions, bench
put = runs.Store.put
def logged(self, key, results):
    put(self, key, results)
    with open(sys.argv[4], "a") as log:
        log.write(key + "\\n")
runs.Store.put = logged
options = {"model": sys.argv[3], "dtype": "fp32", "threads": 1, "reward": "flr:short,length"}
bench([sys.argv[1]], Path(sys.argv[2]), BenchOptions(**options))
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, tiny_model: Path
) -> None:
    rows = [{"prompt": f"{at}?", "chosen": f"{at}!", "rejected": "no"} for at in range(160)]
    run(tmp_path, tiny_model, rows, output="undisturbed")
    log, killed = tmp_path / "log", tmp_path / "killed"
    log.touch()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "pairs.jsonl"), str(killed)]
    command += [str(tiny_model), str(log)]
    for enough in (1, 11):
        process = subprocess.Popen(command)
        while len(log.read_text().splitlines()) < enough and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert not (killed / "results.json").exists()
    subprocess.run(command, check=True)
    keys = log.read_text().splitlines()
    # A block killed between its commit and its line in the log is finished and not logged.
    assert len(keys) == len(set(keys)) >= 20 + 8 - 2
    assert (killed / "items.jsonl").read_bytes() == (
        tmp_path / "undisturbed" / "items.jsonl"
    ).read_bytes()
    figures = [
        json.loads((folder / "results.json").read_text("utf-8"))["sets"]
        for folder in (killed, tmp_path / "undisturbed")
    ]
    assert figures[0] == figures[1]

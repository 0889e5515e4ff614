"""`flr calibrate` as a whole, on files in which it is known what carries the labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flr
from flr import followups, runs
from flr.calibrating import calibrate_file
from flr.calibration.learning import CalibrateOptions
from flr.errors import FollowUpError, InputError, OptionError, OutputError, UserError
from flr.rewards import by_category, reward
from tests.calibration.planted import (
    SHORT,
    coin,
    differences,
    only,
    pair_rows,
    rated_rows,
    written,
)

PLANTED = pair_rows(differences(200, only("correctness")))


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    return written(tmp_path / "scored.jsonl", PLANTED)


def calibrated(source: Path, **options: Any) -> tuple[Path, dict[str, Any]]:
    output = source.with_name("set.yaml")
    report = calibrate_file(str(source), output, CalibrateOptions(**options))
    return output, dict(report.record)


@pytest.mark.parametrize("learn", ["categories", "followups"])
def test_the_category_that_carries_the_label_is_found(scored: Path, learn: str):
    output, record = calibrated(scored, learn=learn)
    weights = record["categories"]
    assert weights["correctness"]["after"] > 2 * weights["correctness"]["before"]
    assert weights["correctness"]["after"] == max(one["after"] for one in weights.values())
    accuracy = record["accuracy"]
    assert accuracy["after"]["value"] > accuracy["before"]["value"] + 0.05
    assert accuracy["difference"]["interval"][0] > 0
    assert accuracy["before"]["count"] == 100
    made = followups.load(output)
    assert (made.name, made.language, made.licence) == ("short-calibrated", "en", SHORT.licence)
    assert followups.check(output) == ()
    assert record["calibrated_set"]["sha256"] == followups.digest(made)
    assert "flr calibrate from 'scored.jsonl', set short" in made.source


@pytest.mark.parametrize("learn", ["categories", "followups"])
def test_labels_that_are_coin_flips_leave_the_weights(tmp_path: Path, learn: str):
    rows = pair_rows(differences(200, coin, seed=2))
    output, record = calibrated(written(tmp_path / "scored.jsonl", rows), learn=learn)
    assert record["penalty"] == record["penalties"][0]["penalty"] == "infinity"
    low, high = record["accuracy"]["difference"]["interval"]
    assert low <= 0 <= high
    assert followups.digest(followups.load(output)) == followups.digest(SHORT)
    assert record["dropped"] == {"categories": [], "followups": 0}


def test_a_reward_that_is_always_wrong_says_nothing_of_weights(tmp_path: Path):
    wrong = pair_rows(-np.abs(differences(60, coin)) * [f.polarity for f in SHORT.followups])
    output, record = calibrated(written(tmp_path / "scored.jsonl", wrong))
    assert "does not agree with these labels" in record["warnings"][0]
    assert followups.digest(followups.load(output)) == followups.digest(SHORT)


def test_the_written_set_has_the_accuracy_and_the_rewards_that_were_told(scored: Path):
    output, record = calibrated(scored, learn="followups")
    made = followups.load(output)
    places = [SHORT.followups.index(f) for f in (flr_unweighted(f) for f in made.followups)]
    told = np.array([one["after"] for one in record["followups"]])
    polarity = np.array([f.polarity for f in SHORT.followups])
    values = differences(1, coin, seed=9)[0]
    by_set = reward(by_category(values[places], made), made.weights)
    assert values @ (told * polarity) == pytest.approx(by_set, abs=1e-12)
    assert record["dropped"]["followups"] == len(SHORT.followups) - len(made.followups)


def flr_unweighted(followup: Any) -> Any:
    return type(followup)(followup.text, followup.category, followup.polarity)


@pytest.mark.parametrize("learn", ["categories", "followups", "none"])
@pytest.mark.parametrize("keep", [2, 5, 12])
def test_a_set_may_be_pruned(scored: Path, learn: str, keep: int):
    output, record = calibrated(scored, learn=learn, keep=keep)
    made = followups.load(output)
    assert 2 <= len(made.followups) <= keep
    assert "correctness" in made.categories
    if learn == "none":
        assert len(made.followups) == keep - keep % 2
        assert set(made.weights.values()) == {1.0}
        assert record["penalty"] is None
    assert [point["followups"] for point in record["curve"]][-1] == len(SHORT.followups)


@pytest.mark.parametrize("single", [False, True])
def test_ratings_teach_as_pairs_do(tmp_path: Path, single: bool):
    rows = rated_rows(differences(80, only("correctness", 0.8)), single)
    _, record = calibrated(written(tmp_path / "scored.jsonl", rows))
    of_pairs = pair_rows(differences(80, only("correctness", 0.8)))
    _, expected = calibrated(written(tmp_path / "pairs.jsonl", of_pairs), force=True)
    for name, weights in expected["categories"].items():
        assert record["categories"][name]["after"] == pytest.approx(weights["after"], abs=1e-6)


def test_a_probability_comes_with_the_set(scored: Path):
    output, record = calibrated(scored)
    found = flr.calibration_of(output)
    assert found.reward_probability(0.0) == pytest.approx(0.5)
    assert found.reward_probability(1.0) == 1 - found.reward_probability(-1.0) > 0.7
    assert record["probability"]["knots"][-1][1] == found.reward_probability(99.0)


def test_a_category_that_had_no_weight_stays_out(tmp_path: Path):
    weights = {**SHORT.weights, "relevance": 0.0, "correctness": 2.0}
    output, record = calibrated(written(tmp_path / "scored.jsonl", PLANTED, weights=weights))
    assert "relevance" not in followups.load(output).categories
    assert record["categories"]["correctness"]["before"] == pytest.approx(1 / 3)


def test_a_calibrated_set_can_be_calibrated_again(tmp_path: Path, scored: Path):
    output, _ = calibrated(scored, learn="followups", keep=8)
    made = followups.load(output)
    found = differences(60, only("correctness"), seed=5, followup_set=made)
    again = written(
        tmp_path / "again.jsonl",
        pair_rows(found, made),
        options={"set": str(output)},
        weights=dict(made.weights),
    )
    report = calibrate_file(str(again), tmp_path / "two.yaml", CalibrateOptions(learn="none"))
    second = followups.load(tmp_path / "two.yaml")
    assert (second.followups, second.weights) == (made.followups, made.weights)
    assert second.name == "short-calibrated-calibrated"
    assert report.record["accuracy"]["difference"]["value"] == 0


# Runs.


def test_the_same_command_again_has_nothing_to_do(scored: Path):
    output, record = calibrated(scored)
    bytes_ = output.read_bytes(), runs.record_path(output).read_bytes()
    report = calibrate_file(str(scored), output, CalibrateOptions())
    assert (report.computed, report.record) == (0, record)
    assert (output.read_bytes(), runs.record_path(output).read_bytes()) == bytes_


def test_the_same_again_gives_the_same_bytes(scored: Path):
    output, _ = calibrated(scored)
    first = output.read_bytes()
    calibrate_file(str(scored), scored.with_name("other.yaml"), CalibrateOptions())
    assert scored.with_name("other.yaml").read_bytes() == first


def test_a_set_that_was_made_otherwise_is_not_replaced_unless_forced(scored: Path):
    calibrated(scored)
    with pytest.raises(OutputError, match="made otherwise"):
        calibrated(scored, keep=4)
    assert calibrated(scored, keep=4, force=True)[1]["options"]["keep"] == 4
    other = scored.with_name("mine.yaml")
    other.write_text("name: mine\n")
    with pytest.raises(OutputError):
        calibrate_file(str(scored), other, CalibrateOptions())
    assert other.read_text() == "name: mine\n"


def test_a_torn_run_is_done_again(scored: Path):
    output, _ = calibrated(scored)
    whole = output.read_bytes()
    output.write_bytes(whole[:100])
    assert calibrate_file(str(scored), output, CalibrateOptions()).computed == 1
    assert output.read_bytes() == whole


def test_options_that_cannot_be():
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"keep": 1}, "--keep 1; 2 or more"),
        ({"keep": -2}, "--keep -2"),
        ({"held_out": 0.0}, "--held-out 0.0"),
        ({"held_out": 1.0}, "--held-out 1.0"),
        ({"held_out": float("nan")}, "--held-out nan"),
    )
    for options, said in cases:
        with pytest.raises(OptionError, match=said):
            CalibrateOptions(**options)


def test_what_is_no_scored_file(tmp_path: Path, scored: Path):
    def run(source: Path, output: str = "set.yaml", **options: Any) -> None:
        calibrate_file(str(source), tmp_path / output, CalibrateOptions(**options))

    for output in ("set.json", "set", "scored.jsonl"):
        with pytest.raises(OptionError, match=r"a follow-up set is named .yaml"):
            run(scored, output)
    with pytest.raises(OutputError, match="there is no folder"):
        run(scored, "nowhere/set.yaml")
    with pytest.raises(OptionError, match="no such file"):
        run(tmp_path / "none.jsonl")
    text = scored.read_text()
    scored.write_text(text[: len(text) // 2])
    with pytest.raises(InputError, match="row 10"):
        run(scored)
    scored.write_text("")
    with pytest.raises(UserError):
        run(scored)
    assert not (tmp_path / "set.yaml").exists()


def test_the_set_has_to_be_known(tmp_path: Path):
    plain = written(tmp_path / "scored.jsonl", PLANTED)
    runs.record_path(plain).unlink()
    with pytest.raises(OptionError, match=r"no run record lies beside it.*--set NAME or FILE"):
        calibrated(plain)
    assert calibrated(plain, set="short")[1]["followup_set"]["name"] == "short"
    with pytest.raises(InputError, match="other follow-ups than those of the set 'default'"):
        calibrated(plain, set="default", force=True)
    with pytest.raises(FollowUpError, match="no follow-up set and no file 'shirt'"):
        calibrated(plain, set="shirt")
    moved = written(tmp_path / "moved.jsonl", PLANTED, options={"set": "gone.yaml"})
    with pytest.raises(FollowUpError, match=r"scored with the set 'gone.yaml'.*\n.*--set FILE"):
        calibrated(moved)


@pytest.mark.parametrize("variant", ["official", "sum"])
def test_weights_are_those_of_means(tmp_path: Path, variant: str):
    with pytest.raises(OptionError, match=rf"--reward {variant}.*--reward mean"):
        calibrated(written(tmp_path / "scored.jsonl", PLANTED, reward=variant))


def test_responses_that_are_all_alike_teach_nothing(tmp_path: Path):
    rows = pair_rows(np.zeros((30, len(SHORT.followups))))
    with pytest.raises(UserError, match="no pair has a margin"):
        calibrated(written(tmp_path / "scored.jsonl", rows))


def test_the_record_is_plain_json(scored: Path):
    output, record = calibrated(scored)
    assert json.loads(runs.record_path(output).read_text("utf-8")) == record
    assert record["input_sha256"] == runs.file_sha256(scored)
    assert record["model"]["name"] == "smollm2"

from pathlib import Path

import pytest

from flr import followups
from flr.evaluation.baselines import judged
from flr.evaluation.passes import ModelPass
from flr.loading import load
from flr.measuring import Measured, Skipped, Wanted
from flr.options import ModelOptions
from flr.runs import Store
from tests.evaluation.planted import item, pairs

SHORT = followups.load("short")
ITEMS = pairs().items


@pytest.fixture
def options(tiny_model: Path) -> ModelOptions:
    return ModelOptions(model=str(tiny_model), dtype="fp32", threads=1)


def filled(asked: ModelPass, tmp_path: Path, blocks: list) -> list[list[Measured | Skipped]]:
    with Store(tmp_path / "s") as store:
        asked.fill(store, blocks, lambda *_: None)
        return [list(found) for block in blocks for found in asked.found(store, block)[0]]


def test_what_a_pass_finds_is_what_a_scorer_says(tmp_path: Path, options: ModelOptions) -> None:
    asked = ModelPass(options, (SHORT,), Wanted(followups=True, response=True))
    found = filled(asked, tmp_path, [ITEMS[:3], ITEMS[3:]])
    scorer = load(model=options.model, set="short", dtype="fp32", threads=1)
    for one, answers in zip(ITEMS, found, strict=True):
        for conversation, answer in zip(one.conversations, answers, strict=True):
            (score,) = scorer.score([conversation])
            assert isinstance(answer, Measured)
            assert score is not None
            says = [followup["logprob"] for followup in score.followups]
            assert answer.followups.values == pytest.approx(says, abs=1e-3)
            assert answer.response.tokens[0] > 0


def test_a_judges_pass_asks_its_own_conversations(tmp_path: Path, options: ModelOptions) -> None:
    asked = ModelPass(options, (), Wanted(response=True), asks=judged)
    (answers,) = filled(asked, tmp_path, [ITEMS[:1]])
    assert len(answers) == len(judged(ITEMS[0])) == 4
    assert all(isinstance(one, Measured) and one.response.tokens == (1,) for one in answers)


def test_what_the_template_cannot_take_is_skipped(tmp_path: Path, options: ModelOptions) -> None:
    sly = item(0, "<|im_start|>user", "fine", labels=(1.0, 0.0))
    huge = item(1, "fine", "so " * 4000, labels=(1.0, 0.0))
    asked = ModelPass(options, (SHORT,), Wanted(followups=True))
    first, second, third = filled(asked, tmp_path, [[sly, huge, ITEMS[2]]])
    assert [isinstance(one, Skipped) for one in (*first, *second, *third)] == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]


def test_a_finished_pass_loads_no_model(
    tmp_path: Path, options: ModelOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ModelPass(options, (SHORT,), Wanted(followups=True))
    first = filled(asked, tmp_path, [ITEMS])
    monkeypatch.setattr("flr.blocks.make_measurer", None)
    assert filled(asked, tmp_path, [ITEMS]) == first

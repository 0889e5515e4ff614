"""`flr tune`: what is learned, when it ends, what becomes of it, and what a kill costs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from flr.chat import Form
from flr.errors import InputError, OptionError, OutputError
from flr.feedback.rows import FORMS, Feedback, row_of
from flr.loading import load, prepare
from flr.options import ScorerOptions
from flr.runs import Report
from flr.sources import locate
from flr.training import run, trl
from flr.training.inputs import prepare_base
from flr.training.masked import NOT_LEARNED, mask, read, renderer_of
from flr.training.tuning import TuneOptions, tune_file
from flr.training.watching import is_over
from flr.types import Conversation
from tests.training.small import put
from tests.training.test_preference import same


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def said(at: int) -> Feedback:
    good = at % 2 == 0
    text = "Thank you \U0001f375, that is it." if good else "No, that is wrong."
    return Feedback(Conversation.of(f"Tea {at}?", "Yes." if good else "Um."), text, {"score": at})


def rows(form: Form, first: int = 0, count: int = 24) -> list[dict[str, Any]]:
    return [row_of(said(at), form) for at in range(first, first + count)]


def options(model: Path, **given: Any) -> TuneOptions:
    """Fast ones: fp32, one thread, a learning rate at which something happens."""
    own = {"model": str(model), "dtype": "fp32", "threads": 1, "epochs": 1.0}
    own |= {"batch_size": 4, "learning_rate": 1e-3, "save_steps": 2}
    return TuneOptions(**{**own, **given})


def tuned(tmp: Path, model: Path, name: str = "m", form: Form = "user", /, **given: Any) -> Report:
    """Tuned on 24 rows; `held_out=True` holds five others out, "against" five that contradict."""
    if given.get("held_out") in (True, "against"):
        others = rows(form, 24, 5)
        if given["held_out"] == "against":
            texts = [said(at + 1).text for at in range(24, 29)]
            others = [
                row_of(replace(said(24 + at), text=text), form) for at, text in enumerate(texts)
            ]
        given["held_out"] = put(tmp / f"{form}.held.jsonl", others)
    source = put(tmp / f"{form}.jsonl", rows(form))
    return tune_file(source, tmp / name, options(model, **given))


def losses(model: Path, source: str) -> list[float]:
    """The oracle: of each row the mean of -log p of its feedback's tokens, by one full forward."""
    base = prepare_base(locate(str(model)), None, "--chat-template", trust_remote_code=False)
    lessons = read(source, None)
    taken = mask(source, lessons, renderer_of(lessons, base, 2048), ()).rows.taken
    lm = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    found: list[float] = []
    for row in taken:
        ids, labels = torch.tensor(row["input_ids"]), torch.tensor(row["labels"])
        with torch.inference_mode():
            logs = lm(ids[None]).logits[0].log_softmax(-1)
        at = (labels != NOT_LEARNED).nonzero()[:, 0]
        found.append(-logs[at - 1, ids[at]].mean().item())
    return found


@pytest.mark.parametrize("form", FORMS)
def test_feedback_gets_likelier_and_its_likelihood_is_ours(
    tmp_path: Path, tiny_model: Path, form: Form
):
    record = tuned(tmp_path, tiny_model, "m", form, held_out=True).record
    held_out = str(tmp_path / f"{form}.held.jsonl")
    figures = record["held_out_figures"]
    for model, when in ((tiny_model, "before"), (tmp_path / "m", "after")):
        expected = losses(model, held_out)
        assert figures[when]["loss"] == pytest.approx(sum(expected) / len(expected), abs=2e-4)
    assert figures["after"]["loss"] < figures["before"]["loss"] - 0.5
    assert record["curves"]["loss"][0][1] == pytest.approx(figures["before"]["loss"], abs=0.5), (
        "the first step, before anything was learned"
    )
    assert (record["rows"], record["rows_held_out"], record["steps"]) == (24, 5, 6)
    assert [step for step, _ in record["held_out_curve"]] == [2, 4, 6]
    assert record["form"] == form


def test_nothing_but_the_feedback_is_learned(tmp_path: Path, tiny_model: Path):
    """Other words before it give other weights, but the same words there are not learned."""
    tuned(tmp_path, tiny_model, max_steps=40, learning_rate=3e-3)
    plain = [
        {"prompt": f"Tea {at}?", "completion": "Yes." if at % 2 else "Um."} for at in range(24)
    ]
    source = put(tmp_path / "plain.jsonl", plain)
    before, after = (sum(losses(model, source)) for model in (tiny_model, tmp_path / "m"))
    feedback = str(tmp_path / "user.jsonl")
    gained = sum(losses(tiny_model, feedback)) - sum(losses(tmp_path / "m", feedback))
    assert gained > 24, "a nat a token"
    assert before - after < gained / 2


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_training_is_chosen_by_itself(tmp_path: Path, tiny_model: Path, form: Form):
    tuned(tmp_path, tiny_model, "m", form, max_steps=2)
    model, given = str(tmp_path / "m"), {"set": "short", "dtype": "fp32", "threads": 1}
    assert prepare(ScorerOptions(model=model)).renderer.form == form
    assert prepare(ScorerOptions(model=model, form="user")).renderer.form == "user"
    keys = [
        prepare(ScorerOptions(model=model, form=one)).fingerprint for one in (None, form, "user")
    ]
    assert keys[0] == keys[1]
    assert (keys[0] == keys[2]) is (form == "user")
    row = {"prompt": "Tea?", "response": "Yes."}
    by_itself, told = (
        load(model=model, **given, **one).score([row])[0] for one in ({}, {"form": form})
    )
    assert by_itself is not None
    assert by_itself == told


def test_an_opening_of_its_own_is_asked_with(tmp_path: Path, tiny_model: Path):
    opened = [row_of(said(at), "role-switched", "Quiz me.") for at in range(8)]
    tune_file(put(tmp_path / "r.jsonl", opened), tmp_path / "m", options(tiny_model, max_steps=1))
    assert prepare(ScorerOptions(model=str(tmp_path / "m"))).renderer.opening == "Quiz me."


def test_an_adapter_keeps_the_form(tmp_path: Path, tiny_model: Path):
    given: dict[str, Any] = {"lora": True, "keep_adapter": True, "max_steps": 2}
    record = tuned(tmp_path, tiny_model, "m", "role-switched", **given).record
    assert record["adapter"] == {"rank": 16, "merged": False}
    assert prepare(ScorerOptions(model=str(tmp_path / "m"))).renderer.form == "role-switched"


def test_plain_chat_has_no_form(tmp_path: Path, tiny_model: Path):
    plain = [{"prompt": "Tea?", "completion": f"Yes {at}."} for at in range(8)]
    source = put(tmp_path / "plain.jsonl", plain)
    record = tune_file(source, tmp_path / "m", options(tiny_model, max_steps=2)).record
    assert record["form"] is None
    assert prepare(ScorerOptions(model=str(tmp_path / "m"))).renderer.form == "user"
    assert "tuned on chat" in (tmp_path / "m" / "README.md").read_text()


GETS_WORSE: dict[str, Any] = {
    "held_out": "against",
    "epochs": 9.0,
    "save_steps": 1,
    "patience": 2,
    "learning_rate": 1e-2,
    "trl": {"lr_scheduler_type": "constant"},
}
"""First the words are learned, then when they are said, which is wrong of those held out."""


def test_it_ends_when_held_out_feedback_gets_no_likelier_and_keeps_the_best(
    tmp_path: Path, tiny_model: Path
):
    given = GETS_WORSE
    record = tuned(tmp_path, tiny_model, **given).record
    found = [loss for _, loss in record["held_out_curve"]]
    best = found.index(min(found))
    assert len(found) == record["steps"] == best + 1 + 2 < 54
    assert record["held_out_figures"]["after"]["loss"] == pytest.approx(min(found), abs=1e-5)
    expected = losses(tmp_path / "m", str(tmp_path / "user.held.jsonl"))
    assert min(found) == pytest.approx(sum(expected) / 5, abs=2e-4)


@pytest.mark.parametrize(
    ("losses", "patience", "over"),
    [
        ([], 1, False),
        ([3.0, 2.0], 1, False),
        ([2.0, 3.0], 1, True),
        ([2.0, 2.0], 1, True),
        ([2.0, 3.0], 2, False),
        ([2.0, 3.0, 2.5], 2, True),
        ([2.0, 3.0, 1.5], 2, False),
        ([2.0, 3.0, 4.0], None, False),
    ],
)
def test_patience_counts_evaluations_since_the_best(
    losses: list[float], patience: int | None, over: bool
):
    log = [entry for loss in losses for entry in ({"loss": 0.0}, {"eval_loss": loss})]
    assert is_over(log, patience) is over


@pytest.mark.parametrize(
    "given",
    [{}, {"lora": True}, {"held_out": True, "epochs": 2.0}, GETS_WORSE],
    ids=["all weights", "lora", "held out", "ends early"],
)
def test_a_stopped_run_goes_on_and_ends_with_the_same_weights(
    tmp_path: Path, tiny_model: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    """Also from another folder, though the checkpoints know the best of them by its path."""

    def stop(done: int, _total: int, _tokens: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    whole = tuned(Path(), tiny_model, "whole", **given)
    held_out = {"held_out": "user.held.jsonl"} if "held_out" in given else {}
    with pytest.raises(KeyboardInterrupt):
        tune_file("user.jsonl", Path("stopped"), options(tiny_model, **given | held_out), stop)
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = tuned(Path(".."), tiny_model, "stopped", resume=True, **given)
    monkeypatch.chdir(tmp_path)
    assert 0 < done.computed < whole.computed
    assert same(tmp_path / "whole", tmp_path / "stopped")
    for name in ("loss", "curves", "tokens", "held_out_figures", "held_out_curve", "steps"):
        assert done.record[name] == whole.record[name], name


def test_the_held_out_loss_does_not_depend_on_how_many_rows_are_held_at_once(
    tmp_path: Path, tiny_model: Path
):
    texts = ("No.", "That is not at all what I asked you for.") * 4
    long = [row_of(Feedback(Conversation.of("Tea?", "Yes."), text), "user") for text in texts]
    held_out = put(tmp_path / "long.jsonl", long)
    source = put(tmp_path / "r.jsonl", rows("user"))
    found: list[float] = []
    for micro in (1, 4):
        given = {"held_out": held_out, "max_steps": 1, "micro_batch": micro}
        report = tune_file(source, tmp_path / f"m{micro}", options(tiny_model, **given))
        found.append(report.record["held_out_figures"]["before"]["loss"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_run_stopped_after_it_has_ended_early_goes_no_further(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    given = GETS_WORSE
    whole = tuned(tmp_path, tiny_model, "whole", **given)
    with monkeypatch.context() as patch:
        patch.setattr(trl, "saved", None)  # an error that stands for a kill
        with pytest.raises(TypeError):
            tuned(tmp_path, tiny_model, "stopped", **given)
    with pytest.raises(OutputError, match="--resume"):
        tuned(tmp_path, tiny_model, "stopped", **given)
    done = tuned(tmp_path, tiny_model, "stopped", resume=True, **given)
    assert (done.computed, done.record["steps"]) == (1, whole.record["steps"])
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert done.record["held_out_figures"] == whole.record["held_out_figures"]
    assert tuned(tmp_path, tiny_model, "stopped", **given).computed == 0


def test_a_folder_that_another_verb_has_made_is_left_alone(tmp_path: Path, tiny_model: Path):
    tuned(tmp_path, tiny_model, max_steps=1)
    (tmp_path / "m" / "tune.json").rename(tmp_path / "m" / "align.json")
    with pytest.raises(OutputError, match="flr tune did not make"):
        tuned(tmp_path, tiny_model, force=True)


def test_what_was_cut_left_out_or_is_in_both_files_is_told(tmp_path: Path, tiny_model: Path):
    long = Conversation.of("Tea?", "very " * 300)
    source = put(tmp_path / "r.jsonl", [*rows("user"), row_of(Feedback(long, "Too long."), "user")])
    held_out = put(tmp_path / "h.jsonl", rows("user", 23, 2))
    given: dict[str, Any] = {"max_steps": 2, "max_length": 256, "held_out": held_out}
    with pytest.raises(InputError, match=r"row 25: .*--on-overflow skip"):
        tune_file(source, tmp_path / "m", options(tiny_model, **given))
    assert not (tmp_path / "m").exists()
    told: list[str] = []
    made = options(tiny_model, on_overflow="skip", **given)
    record = tune_file(source, tmp_path / "m", made, warn=told.append).record
    assert any("1 rows were left out (row 25" in words for words in told)
    assert any("1 prompts of the held-out rows are trained on" in words for words in told)
    assert record["rows"] == 24
    assert [number for number, _ in record["skipped"][source]] == [25]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"patience": 0}, "--patience 0"),
        ({"epochs": 0.0}, "--epochs 0"),
        ({"keep_adapter": True}, "--keep-adapter is for --lora"),
        ({"trl": {"eval_steps": "3"}}, "give --save-steps"),
        ({"trl": {"per_device_eval_batch_size": "8"}}, "each counts alike"),
        ({"trl": {"max_lenth": "3"}}, "no such setting.*max_length"),
        ({"trl": {"loss_type": "nil"}}, "TRL does not take these settings"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"dtype": "fp16"}, "fp16 is for GPUs"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    tmp_path: Path, tiny_model: Path, given: dict[str, Any], says: str
):
    with pytest.raises(OptionError, match=says):
        tuned(tmp_path, tiny_model, **given)
    assert not (tmp_path / "m").exists()


def test_a_held_out_file_of_another_form_is_refused(tmp_path: Path, tiny_model: Path):
    held_out = put(tmp_path / "h.jsonl", rows("role-switched"))
    with pytest.raises(InputError, match="role-switched, but row 1 has user"):
        tuned(tmp_path, tiny_model, held_out=held_out)


def test_without_trl_it_says_how_to_get_it(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "trl" else True)
    with pytest.raises(OptionError, match=r"flr tune.*\[train\]"):
        tuned(tmp_path, tiny_model)


def test_the_record_and_the_card_say_how_it_was_made(tmp_path: Path, tiny_model: Path):
    record = tuned(tmp_path, tiny_model, "m", "role-switched", held_out=True).record
    assert record == json.loads((tmp_path / "m" / "tune.json").read_text())
    card = (tmp_path / "m" / "README.md").read_text()
    for words in ("tuned on feedback", "`role-switched`", "loss, held-out rows, after", "flr tune"):
        assert words in card
    learned = sum(len(json.dumps(one["completion"])) > 0 for one in rows("role-switched"))
    assert record["tokens_learned"] > learned

"""What a run's key is made of: every option that may change a bit, and no other."""

from pathlib import Path
from typing import Any

import pytest

from flr import followups
from flr.loading import Parts, prepare, prepare_sets
from flr.measuring import Wanted
from flr.options import ModelOptions, ScorerOptions
from tests.tiny_model import save_tiny_model

PLAIN = "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"


def prepared(model: Path, **given: Any) -> Parts:
    options = {"model": str(model), "set": "short", "dtype": "fp32", "threads": 1}
    return prepare(ScorerOptions(**{**options, **given}))


@pytest.mark.parametrize(
    "given",
    [
        {"set": "default"},
        {"form": "role-switched"},
        {"strip_thinking": True},
        {"dtype": "bf16"},
        {"batch_tokens": 64},
        {"threads": 2},
        {"reward": "pmi"},
        {"reward": "official"},
        {"on_overflow": "skip"},
        {"on_special": "skip"},
        {"trust_remote_code": True},
    ],
    ids=str,
)
def test_what_may_change_a_bit_changes_the_fingerprint(
    tiny_model: Path, given: dict[str, Any]
) -> None:
    assert prepared(tiny_model).fingerprint == prepared(tiny_model).fingerprint
    assert prepared(tiny_model, **given).fingerprint != prepared(tiny_model).fingerprint


def test_so_do_the_template_and_the_models_bytes(tiny_model: Path, tmp_path: Path) -> None:
    template = tmp_path / "t.jinja"
    template.write_text(PLAIN, "utf-8")
    other = save_tiny_model(tmp_path / "other", initializer_range=0.2)
    found = prepared(tiny_model).fingerprint
    assert prepared(tiny_model, chat_template=template).fingerprint != found
    assert prepared(other).fingerprint != found


@pytest.mark.parametrize("given", [{"reward": "sum"}, {"weights": {"relevance": 2.0}}], ids=str)
def test_what_is_made_of_the_same_answers_does_not(tiny_model: Path, given: dict[str, Any]) -> None:
    assert prepared(tiny_model, **given).fingerprint == prepared(tiny_model).fingerprint


def test_several_sets_are_asked_about_one_after_the_other(tiny_model: Path) -> None:
    short, default = followups.load("short"), followups.load("default")
    options = ModelOptions(model=str(tiny_model), threads=1)
    parts = prepare_sets(options, (short, default), Wanted(followups=True), ())
    texts = [followup.text for one in (short, default) for followup in one.followups]
    assert list(parts.texts) == texts
    turned = prepare_sets(options, (default, short), Wanted(followups=True), ())
    assert turned.fingerprint != parts.fingerprint

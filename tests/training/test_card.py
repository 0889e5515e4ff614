"""The card of a trained model, whatever its parts are called."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from flr.training.card import of_preferences

RECORD: dict[str, Any] = {
    "method": "dpo",
    "loss_type": "sigmoid",
    "policy": {"name": "owner/name", "identity": "a" * 40, "hub_id": True},
    "adapter": None,
    "input": "pairs.jsonl",
    "input_sha256": "b" * 64,
    "rows": 24,
    "held_out": None,
    "held_out_sha256": None,
    "steps": 1200,
    "seconds": 12.345,
    "tokens": 999,
    "loss": {"first": 0.6931, "last": 0.5},
    "held_out_figures": {"after": {"loss": 0.61234}},
    "settings": {"learning_rate": 1e-6, "loss_type": ["sigmoid"], "bf16": True},
    "options": {"keep_adapter": False},
    "machine": {"versions": {"trl": "1.16.0", "flr": "0.1.0"}},
}


def front_matter(text: str) -> dict[str, Any]:
    _, head, _ = text.split("---\n", 2)
    return yaml.safe_load(head)


def rows(text: str) -> dict[str, str]:
    """Of all tables: value by name."""
    cells = [line.strip("| ").split(" | ", 1) for line in text.splitlines() if line[:2] == "| "]
    return {cell[0]: cell[1] for cell in cells if len(cell) == 2 and cell[1].startswith("`")}


def test_it_says_what_the_record_says():
    text = of_preferences(RECORD)
    assert front_matter(text)["base_model"] == "owner/name"
    assert front_matter(text)["library_name"] == "transformers"
    found = rows(text)
    assert found["learning_rate"] == "`1e-06`"
    assert found["bf16"] == "`true`"
    assert found["sha256 of the data"] == f"`{'b' * 64}`"
    assert found["loss, first and last tenth"] == "`[0.6931, 0.5]`"
    assert found["loss, held-out rows, after"] == "`0.6123`"
    assert "held-out data" not in found
    assert "1,200 steps" in text
    assert "`# no" not in text


def test_a_local_policy_is_no_base_of_the_hub():
    policy = {**RECORD["policy"], "name": "/home/me/model", "hub_id": False}
    assert "base_model" not in front_matter(of_preferences({**RECORD, "policy": policy}))


def test_an_adapter_is_loaded_by_peft():
    adapter = {"options": {"keep_adapter": True}, "adapter": {"rank": 16, "merged": False}}
    text = of_preferences({**RECORD, **adapter})
    assert front_matter(text)["library_name"] == "peft"
    assert "AutoPeftModelForCausalLM.from_pretrained" in text


@pytest.mark.parametrize("place", ["input", "name"])
@given(name=st.text(st.characters(codec="utf-8")))
def test_no_name_breaks_out_of_its_line(place: str, name: str):
    policy = {**RECORD["policy"], "name": name} if place == "name" else RECORD["policy"]
    record = {**RECORD, "policy": policy, "input": name if place == "input" else "pairs.jsonl"}
    text, plain = of_preferences(record), of_preferences(RECORD)
    lines, expected = text.splitlines(), plain.splitlines()
    if place == "input":
        assert len(lines) == len(expected)
    assert [one for one in lines if one.startswith("#")][1:] == [
        one for one in expected if one.startswith("#")
    ][1:]
    assert front_matter(text).get("tags") == ["flr", "trl", "dpo"]

"""What a loop is told: options that fit together, and a follow-up set in two halves."""

from typing import Any

import pytest

from flr import followups
from flr.errors import OptionError, UserError
from flr.loop_options import LoopOptions, halves


def test_halves_of_a_set():
    short = followups.load("short")
    assert halves("short", short, None).choosing == "short:understanding+relevance+correctness"
    for choosing in ("+".join(short.categories), ""):
        with pytest.raises(UserError, match=r"some have to choose|has no category"):
            halves("short", short, choosing)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rounds": 0}, "--rounds 0"),
        ({"held_out": 1.0}, "--held-out 1.0"),
        ({"label_quantile": 0.3}, "--label-quantile is for single responses"),
        ({"method": "kto", "label_quantile": 0.3, "min_margin": 0.1}, "--min-margin is for pairs"),
        ({"loss": "kto"}, "--loss kto"),
        ({"n": 1}, "--n 1: a pair needs two responses"),
        ({"method": "kto"}, "trl-kto holds labels.*--label-quantile 0.3"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], said: str):
    with pytest.raises(OptionError, match=said):
        LoopOptions(policy="policy", **given)

import math

import pytest

from flr.engines.base import LogitRequest, Request
from flr.engines.toy import ToyEngine


def test_the_formula_by_hand():
    engine = ToyEngine(vocabulary=4, sharpness=0.5)
    (answer,) = engine.loglikelihoods([Request((3, 2, 1), 1, 3)])
    # After (3): m = 3, so z(v) = -2 |v - 3|. After (3, 2): m = (3 + 4) mod 4 = 3 as well.
    total = math.log(sum(math.exp(-2 * abs(v - 3)) for v in range(4)))
    assert answer.per_token == pytest.approx([-2 - total, -4 - total])
    assert answer.total == pytest.approx(-6 - 2 * total)
    assert answer.tokens == 2
    # After (3, 2, 1): m = (3 + 4 + 3) mod 4 = 2.
    assert engine.mean_logits([LogitRequest((3, 2, 1), (0, 2, 3))]) == [pytest.approx(-2)]


def test_order_of_the_context_matters():
    engine = ToyEngine()
    first, second = engine.loglikelihoods([Request((1, 2, 5), 2, 3), Request((2, 1, 5), 2, 3)])
    assert first.total != second.total


def test_the_tally_counts_requests_and_tokens():
    engine = ToyEngine()
    engine.loglikelihoods([Request((1, 2, 3), 1, 3), Request((1, 2), 1, 1)])
    assert (engine.tally.tokens_run, engine.tally.tokens_asked) == (5, 5)
    assert engine.tally.paths == {"toy": 2}

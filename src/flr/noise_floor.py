"""How far rewards are off by the arithmetic alone: some of them measured a second time.

Floating point gives a response slightly other log-likelihoods in other company. Here some responses
are measured each alone, and their rewards held against those that they had among others.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from flr.blocks import finished, measure_blocks
from flr.filling import Progress, fill
from flr.loading import Parts
from flr.measuring import Measured
from flr.options import ScorerOptions
from flr.rows import Row
from flr.runs import Store
from flr.scoring import merged_weights, value
from flr.types import Conversation

ROWS = 8
"""Rows of which two responses, the best and the worst, are measured again."""


def _asked(rows: Sequence[Row]) -> list[tuple[Conversation, float]]:
    """Responses of a seeded sample of the rows, and the rewards that they have."""
    known = [row for row in rows if any(reward is not None for reward in row.columns["rewards"])]
    drawn = np.random.default_rng(0).permutation(len(known))[:ROWS]
    asked: list[tuple[Conversation, float]] = []
    for row in (known[at] for at in sorted(drawn.tolist())):
        pairs = zip(row.columns["rewards"], row.conversations, strict=True)
        ranked = sorted((pair for pair in pairs if pair[0] is not None), key=lambda pair: pair[0])
        asked += [(conversation, reward) for reward, conversation in (ranked[0], ranked[-1])]
    return asked


def noise_floor(
    store: Store,
    rows: Sequence[Row],
    options: ScorerOptions,
    parts: Parts,
    progress: Progress = lambda _done, _total, _tokens: None,
) -> tuple[float, int]:
    """The largest change of a reward where its response is measured alone.

    Args:
        store: keeps what is measured.
        rows: several responses each, with their `rewards`, made with these options.
        options: which model measures, with how many threads, and what a reward is.
        parts: of the same options.
        progress: told of responses done.

    Returns:
        The change, unit of the reward, and how many responses were measured now.
    """
    asked = _asked(rows)
    blocks = [[conversation] for conversation, _ in asked]
    work = partial(measure_blocks, options=options, parts=parts, workers=1)
    computed = fill(store, blocks, parts.fingerprint, work, progress)
    weights = merged_weights(parts.followup_set, options.weights)
    changes = [0.0]
    for block, (_, reward) in zip(blocks, asked, strict=True):
        (measured,) = finished(store, block, parts.fingerprint).responses
        if isinstance(measured, Measured):
            score = value(measured, parts.followup_set, options.reward, weights)
            changes.append(abs(score.reward - reward))
    return max(changes), computed

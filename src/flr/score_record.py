"""What is counted of a scored file, and the record that says how it was made."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from flr import followups
from flr.blocks import Finished
from flr.engines.base import Tally
from flr.loading import Parts
from flr.measuring import Measured, Skipped
from flr.options import ScorerOptions
from flr.rows import Row
from flr.scoring import Score, merged_weights
from flr.stats import pairwise_accuracy, summarize

SIDES = ("chosen", "rejected")
"""The responses of a pair, in order."""


def place(row: Row, number: int) -> str:
    """What a response of a row is called."""
    if row.form == "pair":
        return SIDES[number]
    return "response" if row.form == "single" else f"responses[{number}]"


@dataclass(slots=True)
class Totals:
    """What is counted while OUTPUT is written.

    Args:
        rows: number of rows.
        rewards: of the responses that were scored, in order.
        lengths: of the same responses, characters.
        margins: reward of chosen less that of rejected, of the pairs that were scored.
        cut: number and place of responses whose oldest messages were dropped, with how many.
        skipped: number and place of responses that were left out, with the reason.
        whole: responses whose rows had to be tokenised from end to end.
        paths: the engine's paths, with their reasons.
        tally: the engine's work.
        seconds: that measuring took, all blocks and runs together.
    """

    rows: int = 0
    rewards: list[float] = field(default_factory=list[float])
    lengths: list[int] = field(default_factory=list[int])
    margins: list[float] = field(default_factory=list[float])
    cut: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])
    skipped: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])
    whole: int = 0
    paths: set[str] = field(default_factory=set[str])
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0

    def add_block(self, block: Finished) -> None:
        """Counts a block's work."""
        self.paths.add(block.path)
        self.seconds += block.seconds
        self.tally.merge(block.tally)

    def add(
        self, row: Row, measured: Sequence[Measured | Skipped], scores: Sequence[Score | None]
    ) -> None:
        """Counts a row's responses."""
        self.rows += 1
        for number, (one, score) in enumerate(zip(measured, scores, strict=True)):
            where = place(row, number)
            if isinstance(one, Skipped):
                self.skipped.append((row.number, where, one.reason))
                continue
            assert score is not None, "what was measured has a score"
            self.rewards.append(score.reward)
            self.lengths.append(len(row.conversations[number].response))
            self.whole += not one.split
            if one.dropped:
                self.cut.append((row.number, where, one.dropped))
        if row.form == "pair" and scores[0] and scores[1]:
            self.margins.append(scores[0].reward - scores[1].reward)


def how(source: str, options: ScorerOptions, parts: Parts) -> dict[str, Any]:
    """The half of the record that says how OUTPUT was made."""
    return {
        "input": source,
        "reward": options.reward,
        "model": {"name": options.model, "identity": parts.source.identity},
        "followup_set": {
            "name": parts.followup_set.name,
            "sha256": followups.digest(parts.followup_set),
        },
        "weights": merged_weights(parts.followup_set, options.weights),
        "options": asdict(options),
        "made_with": dict(parts.fingerprint),
    }


def what(totals: Totals) -> dict[str, Any]:
    """The half of the record that says what came out."""
    rewards, lengths = np.array(totals.rewards, float), np.array(totals.lengths, float)
    return {
        "rows": totals.rows,
        "responses": len(totals.rewards) + len(totals.skipped),
        "skipped": totals.skipped,
        "cut": totals.cut,
        "tokenised_whole": totals.whole,
        "paths": sorted(totals.paths),
        "requests_by_path": totals.tally.paths,
        "tokens_run": totals.tally.tokens_run,
        "tokens_asked": totals.tally.tokens_asked,
        "seconds_measuring": round(totals.seconds, 3),
        "summary": asdict(summarize(rewards, lengths)),
        "pair_accuracy": pairwise_accuracy(np.array(totals.margins)) if totals.margins else None,
    }

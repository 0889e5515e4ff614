"""Which follow-ups moved the reward of one row: from rows to the two sides that `report` shows.

    rows -> scores, those in the file or made now -> two sides of one row

What a reward is made of is in a file that `flr score --per-followup` wrote; of any other file the
few responses that are needed are scored now, and nothing of that is kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flr import io, runs
from flr.errors import OptionError, UserError
from flr.loading import make_scorer, prepare
from flr.options import ScorerOptions
from flr.report.explain.movements import Explained, Side, mean_side
from flr.rewards import VARIANTS
from flr.rows import Row
from flr.score_record import SIDES
from flr.scored import Scores, are_scored, bad_row, followup_values, stored_scores
from flr.scoring import Score
from flr.types import Message

SAMPLE_ROWS = 16
"""Rows with one response that are scored now, at most, for the mean that one is held against."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """Rows, and the scores of those that may be explained.

    Args:
        source: as the user named it.
        rows: all of them.
        scores: of the rows that may be explained.
        variant: variant of the reward.
        weights: weight of each category; empty means equal ones.
        words: how the scores were made.
    """

    source: str
    rows: Sequence[Row]
    scores: Scores
    variant: str
    weights: Mapping[str, float]
    words: str


def _wanted(source: str, rows: Sequence[Row], number: int | None) -> list[Row]:
    """The rows to choose from, best first: those with several responses before the others."""
    if number is None:
        return sorted(rows, key=lambda row: len(row.conversations) == 1)
    found = [row for row in rows if row.number == number]
    if not found:
        raise OptionError(
            f"--row {number}: {source} has no such row; its {len(rows)} rows are numbered "
            f"{rows[0].number} to {rows[-1].number}"
        )
    return found


def _stored(source: str, rows: Sequence[Row]) -> _Scored:
    """A scored file, and how it was made by the record beside it; without one, by the default."""
    scores = stored_scores(source, rows)
    match runs.read_record(Path(source)):
        case {
            "reward": str(variant),
            "weights": {**weights},
            "model": {"name": str(model)},
            "followup_set": {"name": str(followup_set)},
        } if variant in [known.name for known in VARIANTS]:
            words = _words(model, followup_set, variant)
            return _Scored(source, rows, scores, variant, weights, words)
    words = "taken as reward mean with equal weights, since no run record lies beside it"
    return _Scored(source, rows, scores, "mean", {}, words)


def _words(model: str, followup_set: str, variant: str) -> str:
    return f"model {model}, follow-up set {followup_set}, reward {variant}"


def _sample(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The row; where it has one response also others, for the mean."""
    if len(row.conversations) > 1:
        return [row]
    others = [one for one in rows if len(one.conversations) == 1 and one is not row]
    return [row, *others[: SAMPLE_ROWS - 1]]


def _scored_now(
    source: str, rows: Sequence[Row], sample: Sequence[Row], options: ScorerOptions
) -> _Scored:
    """Scores a few rows here and now."""
    parts = prepare(options)
    scorer = make_scorer(options, parts)
    scores: dict[int, Sequence[Score | None]] = {}
    for row in sample:
        try:
            scores[row.number] = scorer.score(row.conversations)
        except UserError as error:
            raise bad_row(source, row, error) from error
    words = _words(options.model, parts.followup_set.name, options.reward) + ", scored now"
    return _Scored(source, rows, scores, options.reward, scorer.weights, words)


def _choose(scored: _Scored, wanted: Sequence[Row]) -> Row:
    """The first row to choose from that has all the rewards it takes: two, or its only one."""
    for row in wanted:
        found = [score for score in scored.scores.get(row.number, [None]) if score is not None]
        if len(found) >= min(2, len(row.conversations)):
            return row
    if len(wanted) > 1:
        raise UserError(f"{scored.source}: no row can be explained, each has null for a reward")
    raise OptionError(
        f"{scored.source}: row {wanted[0].number} has a response that was left out of scoring "
        "(its reward is null); give another row with --row N"
    )


def _side(scored: _Scored, row: Row, at: int, label: str, score: Score) -> Side:
    try:
        followups, values = followup_values(score, scored.variant)
    except UserError as error:
        raise bad_row(scored.source, row, error) from error
    response = row.conversations[at].response
    return Side(label, response, score.reward, score.by_category, followups, values)


def _two_of_row(scored: _Scored, row: Row) -> tuple[Side, Side]:
    """Chosen and rejected, or the best and the worst of several."""
    scores = scored.scores[row.number]
    sides = [
        _side(scored, row, at, SIDES[at] if row.form == "pair" else f"response {at + 1}", score)
        for at, score in enumerate(scores)
        if score is not None
    ]
    if row.form == "several":
        sides.sort(key=lambda side: -side.reward)
    return sides[0], sides[-1]


def _singles(scored: _Scored) -> Iterator[tuple[int, Side]]:
    """Number and side of every row with one response that has a reward."""
    for row in scored.rows:
        for score in scored.scores.get(row.number, ()):
            if len(row.conversations) == 1 and score is not None:
                yield row.number, _side(scored, row, 0, "response", score)


def _one_and_mean(scored: _Scored, row: Row) -> tuple[Side, Side]:
    """The row's response, and the mean over all rows with one response."""
    sides = dict(_singles(scored))
    if len(sides) < 2:
        raise UserError(
            f"{scored.source}: row {row.number} has one response, and no other row with one "
            "response has a reward, so there is nothing to hold it against"
        )
    return sides[row.number], mean_side(f"mean of {len(sides)} rows", sides.values())


def _find_scores(
    source: str, rows: Sequence[Row], wanted: Sequence[Row], options: ScorerOptions | None
) -> _Scored:
    """The scores that the file holds, or those of the first wanted row, made now."""
    if not are_scored(rows):
        return _scored_now(source, rows, _sample(wanted[0], rows), options or ScorerOptions())
    if options is not None:
        raise OptionError(f"{source} is scored already; leave the options of scoring out")
    return _stored(source, rows)


def _shared_prompt(row: Row) -> tuple[Message, ...]:
    """The prompt of all responses; empty where there is one response, or they have several."""
    first, *others = (conversation.prompt for conversation in row.conversations)
    return first if others and all(other == first for other in others) else ()


def explain_row(
    source: str, number: int | None = None, options: ScorerOptions | None = None
) -> Explained:
    """What explains the reward of one row.

    Args:
        source: a file that `flr score --per-followup` wrote, or rows that are not scored yet.
        number: the row, from 1; None takes the first with two responses, else the first.
        options: how to score rows that are not scored yet; None for rows that are, or the default.

    Raises:
        InputError: rows that cannot be read, or that were scored without `--per-followup`.
        OptionError: no such row, or one that was left out of scoring.
        UserError: nothing to hold the response against, or what the options name is not there.
    """
    rows = io.load(source)
    wanted = _wanted(source, rows, number)
    scored = _find_scores(source, rows, wanted, options)
    row = _choose(scored, wanted)
    if scored.variant == "pmi" and not _shared_prompt(row):
        raise UserError(
            f"{source}: row {row.number} has not two responses to one prompt, and pmi has another "
            "baseline for each prompt; to explain this row, score with --reward mean"
        )
    has_two = len(row.conversations) > 1
    first, second = _two_of_row(scored, row) if has_two else _one_and_mean(scored, row)
    prompt = _shared_prompt(row) if has_two else row.conversations[0].prompt
    words = f"{source}, row {row.number}: {scored.words}"
    return Explained(prompt, first, second, scored.variant, scored.weights, words)

"""Labelled pairs out of a scored file: what the follow-ups' values differ by, and of which prompt.

    chosen + rejected       one pair
    several responses       `ratings`, a list of a rating a response: all pairs of unequal ratings
    one response            `rating`: all pairs, of unequal ratings, of responses to one prompt

Prompts that begin with the same turn of the user count as one: such dialogues continue one another,
and what is learned from the one is known of the other. Every prompt counts once, however many pairs
it has: they share its weight. A response without a reward or without a rating is left out, and
counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from flr.datasets.raw import number_of
from flr.errors import FlrError, InputError, OptionError, Problem, UserError
from flr.messages import RowError, kind_of, opening_key, prompt_key
from flr.rows import Row
from flr.score_record import place
from flr.scored import are_scored, bad_row, followup_values, stored_scores
from flr.scoring import Score
from flr.types import FollowUpSet

COLUMNS = {"several": ("ratings", "scores", "labels"), "single": ("rating", "score", "label")}
"""Where ratings are looked for, by form of the row; the first that is there counts."""

FEWEST_PROMPTS = 20
"""Of fewer, half to learn from and half to measure on, nothing is learned and nothing measured."""

Values = Float[np.ndarray, " followup"]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Pairs of responses of which one is better.

    Args:
        differences: value of each follow-up after the better one less after the other, nats/token.
        prompt: of each pair, from 0, none left out.
        weights: of each pair; those of a prompt sum to 1.
        counts: what was found and left out.
    """

    differences: Float[np.ndarray, "pair followup"]
    prompt: Int[np.ndarray, " pair"]
    weights: Float[np.ndarray, " pair"]
    counts: Mapping[str, int]

    @property
    def prompts(self) -> int:
        """How many prompts have pairs."""
        return int(self.prompt.max()) + 1

    def where(self, kept: Bool[np.ndarray, " prompt"]) -> "Labelled":
        """The pairs of some prompts, these numbered anew."""
        own, number = kept[self.prompt], np.cumsum(kept) - 1
        weights, prompt = self.weights[own], number[self.prompt[own]]
        return Labelled(self.differences[own], prompt, weights, self.counts)

    def of(self, places: Int[np.ndarray, " kept"]) -> "Labelled":
        """The same of some follow-ups."""
        return replace(self, differences=self.differences[:, places])


def split(labelled: Labelled, held_out: float, seed: int) -> tuple[Labelled, Labelled]:
    """Pairs to learn from, and pairs of other prompts to measure on.

    Args:
        labelled: all of them.
        held_out: part of the prompts to measure on.
        seed: of the draw.

    Raises:
        OptionError: too few prompts are left on a side.
    """
    count = round(held_out * labelled.prompts)
    if min(count, labelled.prompts - count) < FEWEST_PROMPTS // 2:
        raise OptionError(
            f"--held-out {held_out} of {labelled.prompts} prompts leaves "
            f"{labelled.prompts - count} to learn from and {count} to measure on; at least "
            f"{FEWEST_PROMPTS // 2} of each were expected"
        )
    apart = np.random.default_rng(seed).permutation(labelled.prompts) < count
    return labelled.where(~apart), labelled.where(apart)


def _rating(value: Any, field: str) -> float | None:
    if value is None or value == "":  # an empty cell of a table
        return None
    number = float(value) if isinstance(value, bool) else number_of(value)
    if number is None:
        got = value if isinstance(value, float) else kind_of(value)
        raise RowError(field, f"expected a finite number or null, got {got}")
    return number


def _ratings(row: Row, rating: str | None) -> list[float | None]:
    """The rating of each response of a row."""
    names = (rating,) if rating else COLUMNS[row.form]
    name = next((name for name in names if name in row.columns), None)
    if name is None:
        raise RowError(
            "",
            f"no labels: {' or '.join(names)} was expected; name its column with --rating COLUMN",
        )
    value = row.columns[name]
    if row.form == "single":
        return [_rating(value, name)]
    if value is None:
        return [None] * len(row.conversations)
    if not isinstance(value, list) or len(value) != len(row.conversations):
        got = f"{len(value)} of them" if isinstance(value, list) else kind_of(value)
        raise RowError(name, f"expected a rating for each of the responses, got {got}")
    return [_rating(one, f"{name}[{at}]") for at, one in enumerate(value)]


def _all_ratings(
    source: str, rows: Sequence[Row], rating: str | None
) -> dict[int, list[float | None]]:
    """Ratings by number of the row; of a pair, which is better.

    Raises:
        InputError: rows without usable ratings, all of them named.
    """
    found: dict[int, list[float | None]] = {}
    problems: list[Problem] = []
    for row in rows:
        try:
            found[row.number] = [1.0, 0.0] if row.form == "pair" else _ratings(row, rating)
        except RowError as error:
            problems.append(Problem(row.number, error.field, error.message))
    if problems:
        raise InputError(source, problems)
    return found


def _values(score: Score, where: str, followup_set: FollowUpSet) -> Values:
    """The value of every follow-up after one response."""
    followups, values = followup_values(score)
    if followups != followup_set.followups:
        raise UserError(
            f"{where} was scored with other follow-ups than those of the set "
            f"{followup_set.name!r}; give the set that it was scored with: --set NAME or FILE"
        )
    return values


def _keys(row: Row, at: int) -> tuple[str, str, int]:
    """What prompts that count as one have in common, then what responses that are compared have."""
    # transcripts of hh-rlhf may part before their last turns: a pair is of its first prompt
    talk = row.conversations[0 if row.form == "pair" else at]
    return opening_key(talk.messages), prompt_key(talk), row.number if row.form == "pair" else 0


_Rated = tuple[float, Values]


def _by_comparison(
    source: str,
    rows: Sequence[Row],
    followup_set: FollowUpSet,
    rating: str | None,
    counts: Counter[str],
) -> dict[tuple[str, str, int], list[_Rated]]:
    """Responses that are compared with each other, by `_keys`."""
    scores, ratings = stored_scores(source, rows), _all_ratings(source, rows, rating)
    found = defaultdict[tuple[str, str, int], list[_Rated]](list)
    for row in rows:
        for at, (score, own) in enumerate(
            zip(scores[row.number], ratings[row.number], strict=True)
        ):
            counts["responses"] += 1
            counts["without a reward"] += score is None
            counts["without a rating"] += own is None
            if score is None or own is None:
                continue
            try:
                values = _values(score, place(row, at), followup_set)
            except FlrError as error:
                raise bad_row(source, row, error) from error
            found[_keys(row, at)].append((own, values))
    return found


def _pairs(rated: Sequence[_Rated], counts: Counter[str]) -> Iterator[Values]:
    """The better response's values less the other's, of all pairs that differ in rating."""
    for (one, values), (other, others) in combinations(rated, 2):
        if one == other:
            counts["pairs of equal ratings"] += 1
        else:
            yield values - others if one > other else others - values


def _check_enough(source: str, prompts: int) -> None:
    if not prompts:
        raise UserError(
            f"{source}: no prompt has two responses of which one is better; expected pairs "
            "(chosen, rejected), or prompts with several responses of unequal ratings"
        )
    if prompts < FEWEST_PROMPTS:
        raise UserError(
            f"{source}: {prompts} prompt{'s have' if prompts > 1 else ' has'} labelled pairs "
            "(those that begin with the same turn of the user count as one); at least "
            f"{FEWEST_PROMPTS} were expected, half to learn from and half to measure on"
        )


def read_labelled(
    source: str,
    rows: Sequence[Row],
    followup_set: FollowUpSet,
    rating: str | None = None,
    *,
    fewest: bool = True,
) -> Labelled:
    """The labelled pairs of a file that `flr score --per-followup` wrote.

    Args:
        source: the file, for errors.
        rows: of it.
        followup_set: that it was scored with.
        rating: column of the ratings; None looks for those of `COLUMNS`.
        fewest: refuse fewer prompts than can be learned from.

    Raises:
        InputError: rows that were not scored so, or have no usable labels.
        UserError: not scored at all, or too few prompts with pairs.
    """
    if not are_scored(rows):
        raise UserError(
            f"{source}: is not scored; give the output of flr score {source} --per-followup -o OUT"
        )
    counts = Counter[str]()
    of_prompt = defaultdict[str, list[Values]](list)
    found = _by_comparison(source, rows, followup_set, rating, counts)
    for (opening, *_), rated in found.items():
        of_prompt[opening] += _pairs(rated, counts)
    kept = [pairs for pairs in of_prompt.values() if pairs]
    counts |= {"prompts": len(kept), "pairs": sum(map(len, kept))}
    if fewest or not kept:
        _check_enough(source, len(kept))
    sizes = [len(pairs) for pairs in kept]
    return Labelled(
        np.stack([pair for pairs in kept for pair in pairs]),
        np.repeat(np.arange(len(kept)), sizes),
        np.repeat(1 / np.array(sizes), sizes),
        counts,
    )

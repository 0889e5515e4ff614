"""What is learned of a set from labelled pairs: an order, what is kept, weights of what is kept."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from flr.calibration.choosing import Tried, chosen, try_penalties
from flr.calibration.fitting import fit, parts, problem_of
from flr.calibration.labelled import Labelled
from flr.calibration.learned import with_category_factors, with_followup_factors
from flr.calibration.pruning import Steps, first, ordered, part_of, steps_within, usefulness
from flr.errors import OptionError, UserError, did_you_mean
from flr.types import FollowUpSet

LEARN = ("categories", "followups", "none")


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """What is learned from labels."""

    learn: Literal["categories", "followups", "none"] = "categories"
    """Weights of categories, which are few; of single follow-ups, which need more labels; or none:
    they stay as they are."""
    keep: int | None = None
    """Keep at most so many follow-ups, the most useful first [default: all that get a weight]."""
    held_out: float = 0.5
    """Part of the prompts that nothing is learned from, to measure on."""
    rating: str | None = None
    """Column of the ratings [default: ratings, scores or labels of several responses; rating, score
    or label of one]."""
    set: str | None = None
    """Follow-up set that ITEMS was scored with [default: the one that its run record names]."""
    seed: int = 0
    """Of the split, the folds, the random orders and the intervals."""
    force: bool = False
    """Replace a SET that was made otherwise."""

    def __post_init__(self) -> None:
        if self.learn not in LEARN:
            raise OptionError(
                f"--learn {self.learn}: one of {', '.join(LEARN)} was expected."
                f"{did_you_mean(self.learn, LEARN)}"
            )
        if self.keep is not None and self.keep < 2:
            raise OptionError(f"--keep {self.keep}; 2 or more was expected: one of each polarity")
        if not 0 < self.held_out < 1:
            raise OptionError(f"--held-out {self.held_out}; above 0 and below 1 was expected")


@final
@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """What was made of a set.

    Args:
        whole: the set as it was, without what had no weight.
        made: the set that is written.
        steps: the learned order of the whole set's follow-ups.
        tried: penalties by cross-validation; empty where no weights were learned.
        warnings: what the user should know.
    """

    whole: FollowUpSet
    made: FollowUpSet
    steps: Steps
    tried: list[Tried]
    warnings: list[str]


def of_weight(whole: FollowUpSet, labelled: Labelled) -> tuple[FollowUpSet, Labelled]:
    """A set and pairs without the categories of weight 0.

    Args:
        whole: the set.
        labelled: pairs with the differences of all its follow-ups.
    """
    own = [whole.weights[one.category] > 0 for one in whole.followups]
    places = np.flatnonzero(own)
    return part_of(whole, places), labelled.of(places)


def _weighed(
    start: FollowUpSet, labelled: Labelled, options: CalibrateOptions
) -> tuple[FollowUpSet, list[Tried], list[str]]:
    """The set with learned weights, the penalties tried for them, warnings."""
    single = options.learn == "followups"
    added = parts(labelled.differences, start)
    problem, scale = problem_of(added, labelled.weights, start, single=single)
    if not scale:
        raise UserError("no pair has a margin: better and worse responses have equal rewards")
    tried = try_penalties(problem, labelled.prompt, options.seed)
    ((_, theta),) = fit(problem, [chosen(tried)])
    warnings = []
    if not (theta > 0).any():
        warnings.append("the reward does not agree with these labels, so its weights stayed")
    with_factors = with_followup_factors if single else with_category_factors
    return with_factors(start, theta), tried, warnings


def learn(whole: FollowUpSet, labelled: Labelled, options: CalibrateOptions) -> Learned:
    """Learns what is kept of a set, and with which weights.

    Args:
        whole: the set, every category of a weight above 0.
        labelled: pairs to learn from.
        options: see `CalibrateOptions`.

    Raises:
        UserError: no pair has a margin.
        OptionError: `keep` leaves nothing.
    """
    useful = usefulness(parts(labelled.differences, whole), labelled.weights)
    steps = ordered(whole, useful)
    count = steps_within(steps, options.keep) if options.keep else len(steps)
    places = first(steps, count)
    start = part_of(whole, places)
    if options.learn == "none":
        return Learned(whole, start, steps, [], [])
    made, tried, warnings = _weighed(start, labelled.of(places), options)
    return Learned(whole, made, steps, tried, warnings)

"""Labels for unpaired alignment (KTO): which responses of a run are desirable, which are not.

Labels are by an absolute threshold, or by the best and the worst share of a run, and never by a
response's place: where rewards are equal, all of them get the label or none does. The weights that
balance the two classes and an order that mixes them are here too. Which responses can be labelled
at all is decided by `responses.left_out`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Float

from flr.errors import OptionError

BALANCE = 7 / 6
"""Weight of all desirable responses, for 1 of all undesirable ones, that `balancing` aims at."""

MOST = 4 / 3
"""Up to here classes count as balanced, from 1 on."""


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """What is desirable."""

    label_threshold: float | None = None
    """Rewards above are desirable, below undesirable [default: 0 where --reward is pmi and there is
    no --label-quantile]."""
    label_quantile: float | None = None
    """Share of the run that is desirable, the highest rewards, and as much undesirable; at most
    0.5."""

    def __post_init__(self) -> None:
        if self.label_threshold is not None and self.label_quantile is not None:
            raise OptionError("--label-threshold and --label-quantile: one of them was expected")
        if self.label_threshold is not None and not isfinite(self.label_threshold):
            raise OptionError(
                f"--label-threshold {self.label_threshold}; a finite number was expected"
            )
        if self.label_quantile is not None and not 0 < self.label_quantile <= 0.5:
            raise OptionError(
                f"--label-quantile {self.label_quantile}; above 0 and at most 0.5 was expected"
            )


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels of a run.

    Args:
        labels: one a response: True for desirable, False for undesirable, None for no label.
        ties: how many have none because of equality: with the threshold, or, by quantile, with so
            many others that together they exceed the share.
    """

    labels: tuple[bool | None, ...]
    ties: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the two classes in the loss, under the names that KTO trainers give them."""

    desirable_weight: float
    undesirable_weight: float


def _by_threshold(rewards: Float[np.ndarray, " response"], threshold: float) -> Labelled:
    labels = tuple(None if r == threshold else r > threshold for r in rewards.tolist())
    return Labelled(labels, labels.count(None))


def _by_quantile(rewards: Float[np.ndarray, " response"], share: float) -> Labelled:
    """Desirable: at most `share` of the run is as high or higher; undesirable: as low or lower."""
    most = int(share * len(rewards) + 1e-9)  # 0.29 * 100 is less than 29
    ordered = np.sort(rewards)
    lower, as_low = (np.searchsorted(ordered, rewards, side) for side in ("left", "right"))
    higher, as_high = len(rewards) - as_low, len(rewards) - lower
    top, bottom = as_high <= most, as_low <= most  # never both, since a share is 0.5 at most
    ties = ~top & (higher < most) | ~bottom & (lower < most)
    ends = zip(top.tolist(), bottom.tolist(), strict=True)
    labels = tuple(is_top if is_top or is_bottom else None for is_top, is_bottom in ends)
    return Labelled(labels, int(ties.sum()))


def labelled(rewards: Float[np.ndarray, " response"], options: LabelOptions) -> Labelled:
    """The label of each response of a run.

    Args:
        rewards: of all responses that can be labelled, finite, any unit. A threshold needs rewards
            that can be compared across prompts.
        options: what is desirable.

    Example:
        >>> rewards = np.array([0.4, -0.1, 0.0, 0.4])
        >>> labelled(rewards, LabelOptions()).labels
        (True, False, None, True)
        >>> labelled(rewards, LabelOptions(label_quantile=0.25))
        Labelled(labels=(None, False, None, None), ties=2)
    """
    assert np.isfinite(rewards).all(), "responses without a reward are left out before"
    if options.label_quantile is not None:
        return _by_quantile(rewards, options.label_quantile)
    return _by_threshold(rewards, options.label_threshold or 0.0)


def balancing(labels: Sequence[bool]) -> Weights | None:
    """Weights that balance the classes; the larger class keeps 1.

    Classes are balanced where desirable to undesirable, each by number and weight, is from 1:1 to
    4:3. If they are not, the smaller one gets the weight that makes it 7:6, the middle, to two
    decimals: what is printed is what holds.

    Returns:
        Both weights; None where a class is empty.

    Source:
        Ethayarajh et al., KTO: Model Alignment as Prospect Theoretic Optimization, 2024, eq. (8),
        as TRL's documentation of KTO has it.

    Example:
        >>> balancing([True] * 100 + [False] * 300)
        Weights(desirable_weight=3.5, undesirable_weight=1.0)
    """
    desirable = sum(labels)
    undesirable = len(labels) - desirable
    if not desirable or not undesirable:
        return None
    if 1 <= desirable / undesirable <= MOST:
        return Weights(1.0, 1.0)
    if desirable < undesirable:
        return Weights(round(BALANCE * undesirable / desirable, 2), 1.0)
    return Weights(1.0, round(desirable / undesirable / BALANCE, 2))


def interleaved(labels: Sequence[bool]) -> list[int]:
    """An order in which both labels are spread evenly.

    The i-th of n responses with one label goes to (i + 1/2) / n of the way, so the first m rows
    hold m times a label's share, give or take a half.

    Returns:
        Indices; those of one label stay in their order.

    Example:
        >>> interleaved([True, True, False, False, False, False])
        [2, 0, 3, 4, 1, 5]
    """
    counts = {label: sum(one is label for one in labels) for label in (True, False)}
    seen = {True: 0, False: 0}
    places: list[tuple[int, bool, int]] = []
    for index, label in enumerate(labels):
        place = (2 * seen[label] + 1) * counts[not label]  # over 2 * both counts: exact
        places.append((place, not label, index))
        seen[label] += 1
    return [index for *_, index in sorted(places)]

"""How a loop is run: the options of all its stages in one, and the follow-ups in two halves."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, final

from flr import followups
from flr.errors import OptionError
from flr.labelling import LabelOptions
from flr.mining import MineOptions, check_wanted
from flr.options import check_positive
from flr.pairing import PairingOptions
from flr.sample_file import SampleOptions
from flr.score_file import ScoreOptions
from flr.scoring import merged_weights
from flr.training.options import PreferenceOptions
from flr.training.preference import AlignOptions
from flr.types import FollowUpSet

ALIGNED: Mapping[str, Any] = {"held_out": None, "split": None, "resume": True}
"""How every round is trained, whatever the options of the loop say of its prompts."""

Options = TypeVar("Options")


@dataclass(frozen=True, kw_only=True)
class LoopOptions(PreferenceOptions, LabelOptions, PairingOptions, ScoreOptions, SampleOptions):
    """How a policy is improved round by round."""

    rounds: int = 2
    """How many times responses are sampled and the policy is trained on what is mined of them; the
    same command with more goes on."""
    choosing: str | None = None
    """Categories of the follow-up set that choose pairs, as relevance+correctness; the others judge
    [default: the first half]."""
    held_out: float = 0.1
    """Part of the prompts that is kept for evaluation, at least one; none of them is trained on."""
    evaluate_on: str | None = None
    """File or dataset id of other prompts for evaluation, in place of --held-out."""
    follow_policy: bool = False
    """Let the policy of the round before be the follow-up model that chooses pairs; --model goes on
    judging."""
    verifiable: bool = False
    """Evaluate on the verifiable prompts too."""

    def __post_init__(self) -> None:
        for kind in (ScoreOptions, PairingOptions, LabelOptions, PreferenceOptions):
            kind.__post_init__(self)
        check_positive("rounds", self.rounds)
        if not 0 < self.held_out < 1:
            raise OptionError(f"--held-out {self.held_out}; above 0 and below 1 was expected")
        check_wanted(options_of(MineOptions, self, format=self.format, held_out=0.0), "sample")
        options_of(AlignOptions, self, **ALIGNED)  # which checks how it is trained

    @property
    def format(self) -> str:
        """The form of what is mined."""
        return "trl" if self.method == "dpo" else "trl-kto"


def options_of(kind: type[Options], given: Any, **changes: Any) -> Options:
    """The options of one verb among those of the loop."""
    names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
    taken = {name: getattr(given, name) for name in names if hasattr(given, name)}
    return kind(**{**taken, **changes})


@final
@dataclass(frozen=True, slots=True)
class Halves:
    """A follow-up set in two, by name.

    Args:
        choosing: what pairs are chosen by.
        judging: what policies are judged by.
    """

    choosing: str
    judging: str


def halves(name: str, whole: FollowUpSet, choosing: str | None) -> Halves:
    """The categories that choose, and the others.

    Args:
        name: of the set, as it is given to `followups.load`, perhaps with some categories.
        whole: the set.
        choosing: categories with + between; None for the first half.

    Raises:
        FollowUpError: a category that the set has not.
        OptionError: nothing is left to judge by.

    Example:
        >>> halves("short", followups.load("short"), "following+relevance").judging
        'short:understanding+correctness+engagingness+informativeness'
        >>> some = "short:relevance+correctness"
        >>> halves(some, followups.load(some), None)
        Halves(choosing='short:relevance', judging='short:correctness')
    """
    known = whole.categories
    named = known[: len(known) // 2] if choosing is None else choosing.split("+")
    chosen = followups.part(whole, named).categories if named else ()
    others = [one for one in known if one not in chosen]
    if not chosen or not others:
        raise OptionError(
            f"follow-up set {whole.name!r} has {', '.join(known)}: some have to choose pairs and "
            "some to judge; give --choosing fewer of them, or another --set"
        )
    base, _ = followups.parted(name)
    return Halves(f"{base}:{'+'.join(chosen)}", f"{base}:{'+'.join(others)}")


def halves_of(options: LoopOptions) -> Halves:
    """The halves of a loop's follow-up set, of which one takes the weights.

    Raises:
        FollowUpError: a set or category that is not there.
        OptionError: nothing to judge by; weights of categories that judge, or of none.
    """
    whole = followups.load(options.set)
    found = halves(options.set, whole, options.choosing)
    choosing = followups.load(found.choosing)
    merged_weights(whole, options.weights)
    for name in options.weights:
        if name not in choosing.categories:
            raise OptionError(
                f"--weights.{name}: weights are of the categories that choose pairs, "
                f"{', '.join(choosing.categories)}; {name} judges, and judges by the set's own "
                "weight; leave it out, or name it in --choosing"
            )
    merged_weights(choosing, options.weights)
    return found

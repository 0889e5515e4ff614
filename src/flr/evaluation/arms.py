"""The rewards that a benchmark compares, by name, and the passes that they need.

    flr[:VARIANT][:SET]    follow-up likelihood; `flr` alone is variant `mean`, set `default`
    direct                 the response's own likelihood: `direct:mean` a token, `direct:sum` whole
    length                 characters of the response
    random                 a coin, by seed
    classifier:MODEL       a sequence-classification reward model
    dpo:MODEL:REF          log-likelihood of the response under MODEL less that under REF
    judge:MODEL            a chat model, asked which of two responses is better, in both orders

A set may be some categories of one (`flr:mean:default:relevance+correctness`). Rewards of one model
share its one pass: all `flr` rewards, `direct`, and `dpo` where it names the follow-up model. Where
there are several follow-up models, `flr` and `direct` are asked of each, and say of which
(`flr:mean:default@MODEL`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np
from jaxtyping import Float

from flr import followups
from flr.datasets.base import Item
from flr.errors import FollowUpError, OptionError, did_you_mean
from flr.evaluation.baselines import coin, judged, length, preferences
from flr.evaluation.passes import ClassifierPass, ModelPass, Pass
from flr.measuring import Measured, Wanted
from flr.options import ModelOptions, cluster_of
from flr.rewards import VARIANTS
from flr.scoring import WANTED, value
from flr.types import Conversation, FollowUpSet

KINDS = ("flr", "direct", "length", "random", "classifier", "dpo", "judge")
FORMS = "flr[:VARIANT][:SET], direct, length, random, classifier:MODEL, dpo:MODEL:REF, judge:MODEL"


@final
@dataclass(frozen=True, slots=True)
class Valued:
    """A reward of an item's responses.

    Args:
        values: one a response.
        categories: the same in each category of follow-ups; empty where the reward has none.
    """

    values: Float[np.ndarray, " response"]
    categories: Mapping[str, Float[np.ndarray, " response"]] = field(
        default_factory=dict[str, Float[np.ndarray, " response"]]
    )


Value = Callable[[Item, Sequence[Sequence[Measured]]], Valued]
"""A reward of an item's responses, from what each of its passes found out about the item."""


@final
@dataclass(frozen=True, slots=True)
class Arm:
    """One reward of a comparison.

    Args:
        name: its key in the results.
        passes: names of the passes that it is made of; none for a reward of the text alone.
        value: makes it.
        compares: whether it only compares responses, so that an item needs several, not too many.
        definition: what its name does not say: the hash of its follow-up set.
    """

    name: str
    passes: tuple[str, ...]
    value: Value
    compares: bool = False
    definition: str = ""


@final
@dataclass(frozen=True, slots=True)
class Arms:
    """All rewards of a comparison.

    Args:
        arms: in the order in which they were named.
        passes: by name, in the order in which they run.
    """

    arms: tuple[Arm, ...]
    passes: Mapping[str, Pass]

    @property
    def reference(self) -> str:
        """The reward that the others are held against: the first flr, else the first of all."""
        names = [arm.name for arm in self.arms]
        return next((name for name in names if name.startswith("flr:")), names[0])


@dataclass(slots=True)
class _Needs:
    """What is asked of one language model."""

    sets: list[FollowUpSet] = field(default_factory=list[FollowUpSet])
    wanted: Wanted = field(default_factory=Wanted)

    def place(self, followup_set: FollowUpSet) -> tuple[int, int]:
        """First and last index of a set's follow-ups among all texts, the set added if new."""
        if followup_set not in self.sets:
            if followup_set.name in [known.name for known in self.sets]:
                raise OptionError(
                    f"--reward: two follow-up sets are named {followup_set.name!r}; give one of "
                    "them another `name:`"
                )
            self.sets.append(followup_set)
        at = self.sets.index(followup_set)
        begin = sum(len(before.followups) for before in self.sets[:at])
        return begin, begin + len(followup_set.followups)


class _Building:
    """Collects arms, and what they need of which model."""

    def __init__(self, options: ModelOptions, seed: int, models: Sequence[str]) -> None:
        self.options, self.seed = options, seed
        self.models = list(dict.fromkeys(models)) or [options.model]
        self.arms: list[Arm] = []
        self.needs: dict[str, _Needs] = {}
        self.judges: list[str] = []
        self.classifiers: list[str] = []

    def add(self, text: str) -> None:
        """Adds the reward or rewards of one name."""
        kind, _, rest = text.partition(":")
        needs_more, takes_more = kind in ("classifier", "dpo", "judge"), kind == "flr"
        if kind not in KINDS or (needs_more and not rest) or (rest and not needs_more | takes_more):
            raise _no_reward(text)
        arms = getattr(self, f"_{kind}")(rest)
        self.arms.extend(arm for arm in arms if arm.name not in [a.name for a in self.arms])

    def _of_model(self, model: str) -> _Needs:
        return self.needs.setdefault(model, _Needs())

    def _by(self, name: str, model: str) -> str:
        """The name of a reward that a follow-up model makes."""
        return f"{name}@{model}" if len(self.models) > 1 else name

    def _flr(self, rest: str) -> list[Arm]:
        first, _, second = rest.partition(":")
        known = [variant.name for variant in VARIANTS]
        variant, name = (first, second) if first in known else ("mean", rest)
        followup_set = _set_of(name or "default", variant_too=first == variant)
        name, digest = f"flr:{variant}:{followup_set.name}", followups.digest(followup_set)
        arms: list[Arm] = []
        for model in self.models:
            needs = self._of_model(model)
            begin, end = needs.place(followup_set)
            needs.wanted |= WANTED[variant]
            made = _followup_value(followup_set, variant, begin, end)
            arms.append(Arm(self._by(name, model), (model,), made, definition=digest))
        return arms

    def _direct(self, _: str) -> list[Arm]:
        arms: list[Arm] = []
        for model in self.models:
            self._of_model(model).wanted |= Wanted(response=True)
            for name, made in (("direct:mean", _direct_mean), ("direct:sum", _direct_sum)):
                arms.append(Arm(self._by(name, model), (model,), made))
        return arms

    def _length(self, _: str) -> list[Arm]:
        return [Arm("length", (), _of_text(length))]

    def _random(self, _: str) -> list[Arm]:
        return [Arm("random", (), _of_text(coin(self.seed)))]

    def _classifier(self, model: str) -> list[Arm]:
        if cluster_of(self.options):
            raise OptionError(f"--ray is not for classifier:{model}; benchmark it in its own run")
        self.classifiers.append(model)
        return [Arm(f"classifier:{model}", (f"classifier:{model}",), _classified)]

    def _dpo(self, rest: str) -> list[Arm]:
        model, _, reference = rest.partition(":")
        if not model or not reference:
            raise _no_reward(f"dpo:{rest}")
        for one in (model, reference):
            self._of_model(one).wanted |= Wanted(response=True)
        return [Arm(f"dpo:{rest}", (model, reference), _implicit)]

    def _judge(self, model: str) -> list[Arm]:
        self.judges.append(model)
        return [Arm(f"judge:{model}", (f"judge:{model}",), _preferred, compares=True)]

    def passes(self, workers: int | None) -> dict[str, Pass]:
        """One pass a model and use."""
        made: dict[str, Pass] = {}
        for model, needs in self.needs.items():
            options = self._options(model)
            made[model] = ModelPass(options, needs.sets, needs.wanted, workers)
        for model in self.judges:
            wanted = Wanted(response=True)
            made[f"judge:{model}"] = ModelPass(self._options(model), (), wanted, workers, judged)
        for model in self.classifiers:
            made[f"classifier:{model}"] = ClassifierPass(self._options(model))
        return made

    def _options(self, model: str) -> ModelOptions:
        """How a model is loaded: what belongs to the follow-up model alone is not for others."""
        if model == self.options.model:
            return self.options
        return replace(
            self.options, model=model, revision=None, chat_template=None, tokenizer=None, vllm={}
        )


def _set_of(name: str, *, variant_too: bool) -> FollowUpSet:
    """The follow-up set of a reward; what stands before a colon may be a variant misspelt.

    Raises:
        FollowUpError: there is no such set.
        OptionError: nor such a variant, though one is spelt nearly so.
    """
    try:
        return followups.load(name)
    except FollowUpError as error:
        first, colon, _ = name.partition(":")
        near = did_you_mean(first, [variant.name for variant in VARIANTS])
        if variant_too or not colon or not near:
            raise
        raise OptionError(f"--reward: no reward 'flr:{name}': {error}{near}") from error


def _no_reward(text: str) -> OptionError:
    kind = text.partition(":")[0].lower()
    near = did_you_mean(kind, KINDS)
    if kind in KINDS:
        form = next(form for form in FORMS.split(", ") if form.startswith(kind))
        near = f" Write {form!r}."
    elif kind in [variant.name for variant in VARIANTS]:
        near = f" Did you mean 'flr:{kind}'?"
    return OptionError(f"--reward: no reward {text!r}; expected one of {FORMS}.{near}")


def _followup_value(followup_set: FollowUpSet, variant: str, begin: int, end: int) -> Value:
    """Follow-up likelihood by the follow-ups from `begin` to `end` of the pass's texts."""

    def made(_item: Item, found: Sequence[Sequence[Measured]]) -> Valued:
        (measured,) = found
        scores = [
            value(one.part(begin, end), followup_set, variant, followup_set.weights)
            for one in measured
        ]
        return Valued(
            np.array([score.reward for score in scores]),
            {
                category: np.array([score.by_category[category] for score in scores])
                for category in followup_set.categories
            },
        )

    return made


def _of_text(reward: Callable[[Conversation], float]) -> Value:
    return lambda item, _: Valued(np.array([reward(one) for one in item.conversations]))


def _sums(measured: Sequence[Measured]) -> Float[np.ndarray, " response"]:
    """Log-likelihood of each response, nats."""
    return np.array([one.response.values[0] for one in measured])


def _direct_sum(_item: Item, found: Sequence[Sequence[Measured]]) -> Valued:
    return Valued(_sums(found[0]))


def _direct_mean(_item: Item, found: Sequence[Sequence[Measured]]) -> Valued:
    """Nats a token; an empty response has the likelihood 1, whose logarithm is 0."""
    tokens = np.array([max(1, one.response.tokens[0]) for one in found[0]])
    return Valued(_sums(found[0]) / tokens)


def _implicit(_item: Item, found: Sequence[Sequence[Measured]]) -> Valued:
    """The implicit reward of a DPO policy over beta.

    Source: Rafailov et al., Direct Preference Optimization, arXiv:2305.18290, equation 5; what it
    leaves open, a term of the prompt alone, is the same for all responses to one prompt.
    """
    model, reference = found
    return Valued(_sums(model) - _sums(reference))


def _classified(_item: Item, found: Sequence[Sequence[Measured]]) -> Valued:
    return Valued(np.array([one.logits.values[0] for one in found[0]]))


def _preferred(item: Item, found: Sequence[Sequence[Measured]]) -> Valued:
    return Valued(preferences(item, found[0]))


def parse(
    text: str,
    options: ModelOptions,
    *,
    seed: int,
    workers: int | None = None,
    models: Sequence[str] = (),
) -> Arms:
    """The rewards of a comma-separated list of names, and the passes that they need.

    Args:
        text: names as in the module's docstring.
        options: how the follow-up model is loaded.
        seed: of the coin.
        workers: processes of a pass; None for one a GPU, or one on CPU.
        models: the follow-up models; empty for that of the options alone.

    Raises:
        OptionError: no such reward.
        UserError: a model or a follow-up set that cannot be found or used.
    """
    building = _Building(options, seed, models)
    for name in text.split(","):
        building.add(name.strip())
    return Arms(tuple(building.arms), building.passes(workers))

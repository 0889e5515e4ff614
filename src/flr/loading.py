"""From options to a model that measures: weights, tokenizer, follow-up sets, put together once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from flr import devices, followups, models, on_ray, sources, tuned
from flr.chat import Renderer
from flr.devices import THREADS
from flr.engines.classifier import Classifier
from flr.errors import FollowUpError, OptionError, SpecialTokenError
from flr.measuring import Measurer, Policy, Wanted, skippable
from flr.options import MachineOptions, ModelOptions, ScorerOptions, cluster_of
from flr.runs import key_of, versions
from flr.scoring import WANTED, Score, Scorer, merged_weights
from flr.sources import Source
from flr.starting import check_engine, longest, start, version_of
from flr.types import Conversation, FollowUpSet

_PROBE = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known before any weights are read, enough to check every row.

    Args:
        source: where the model lies.
        renderer: makes the token rows.
        followup_sets: what the user may say next.
        wanted: what is asked about each response.
        skippable: errors of a conversation that leave it out and do not stop the run.
        fingerprint: everything that changes the bits of what is measured.
    """

    source: Source
    renderer: Renderer
    followup_sets: tuple[FollowUpSet, ...]
    wanted: Wanted
    skippable: tuple[type[Exception], ...]
    fingerprint: Mapping[str, Any]

    @property
    def followup_set(self) -> FollowUpSet:
        """The set, where there is one."""
        (only,) = self.followup_sets
        return only

    @property
    def texts(self) -> tuple[str, ...]:
        """Every follow-up of every set, set after set."""
        return tuple(followup.text for one in self.followup_sets for followup in one.followups)


def prepare(options: ScorerOptions) -> Parts:
    """Finds the model, reads its tokenizer and the follow-up set; loads no weights.

    Raises:
        ModelError: no such model, or no chat template.
        FollowUpError: no such set.
        OptionError: weights that do not fit the set, a template file that cannot be read.
    """
    followup_set = followups.load(options.set)
    merged_weights(followup_set, options.weights)
    left_out = skippable(on_overflow=options.on_overflow, on_special=options.on_special)
    return prepare_sets(options, (followup_set,), WANTED[options.reward], left_out)


def prepare_sets(
    options: ModelOptions,
    followup_sets: Sequence[FollowUpSet],
    wanted: Wanted,
    left_out: tuple[type[Exception], ...],
) -> Parts:
    """The same for any follow-up sets, or none; `left_out` are the errors that skip a conversation.

    Raises:
        ModelError: no such model, or no chat template.
        FollowUpError: a follow-up holds a special token of the model.
        OptionError: a template file that cannot be read.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    template = read_template(options.chat_template)
    source = sources.locate_with_engine(
        options.model, revision=options.revision, tokenizer=options.tokenizer
    )
    check_engine(options, source, wanted)
    learned = tuned.of(source)
    renderer = Renderer(
        models.load_tokenizer(source, trust_remote_code=options.trust_remote_code),
        form=options.form or learned.form,
        opening=learned.opening,
        max_tokens=longest(options, source),
        chat_template=template,
        strip_thinking=options.strip_thinking,
    )
    for followup_set in followup_sets:
        _check_special(followup_set, renderer)
    made = Parts(source, renderer, tuple(followup_sets), wanted, left_out, {})
    return replace(made, fingerprint=_fingerprint(options, made))


TEMPLATE_OPTION = "--chat-template"
"""By which the template of a follow-up model is given."""


def read_template(path: Path | None, option: str = TEMPLATE_OPTION) -> str | None:
    """The text of a Jinja file, where one is given.

    Raises:
        OptionError: it cannot be read.
    """
    if path is None:
        return None
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{option} {path}: cannot be read ({error})") from error


def _check_special(followup_set: FollowUpSet, renderer: Renderer) -> None:
    """Raises where a follow-up holds a special token of this model."""
    for followup in followup_set.followups:
        try:
            renderer.template.check(followup.text, f"the follow-up {followup.text[:60]!r}")
        except SpecialTokenError as error:
            raise FollowUpError(f"follow-up set {followup_set.name!r}: {error}") from error


def of_machine(options: MachineOptions) -> dict[str, Any]:
    """What of the machine, and of how a model runs on it, changes the bits of results.

    With a Ray cluster, one of its machines is meant.
    """
    cluster = cluster_of(options)
    if cluster and not on_ray.is_inside():
        return on_ray.ask(cluster, of_machine, options)
    device = options.device or devices.pick_device()
    if device.startswith("cuda"):
        devices.check_device(device)
    return {
        "dtype": devices.pick_dtype(options.dtype, device),
        "quantization": options.quantization,
        "device": devices.describe_device(device),
        "device_map": options.device_map,
        "threads": options.threads or THREADS,
        "trust_remote_code": options.trust_remote_code,
        "versions": versions(),
    }


def _fingerprint(options: ModelOptions, parts: Parts) -> dict[str, Any]:
    template = parts.renderer.template
    return {
        "wanted": asdict(parts.wanted),
        "model": parts.source.identity,
        "engine": version_of(options, parts.source),
        "followups": key_of(list(parts.texts)),
        "form": parts.renderer.form,
        "opening": parts.renderer.opening if parts.renderer.form == "role-switched" else None,
        # With a probe rendered: a template may write the date into every conversation.
        "template": key_of([template.source, template.render([_PROBE])]),
        "strip_thinking": options.strip_thinking,
        "skippable": [error.__name__ for error in parts.skippable],
        "batch_tokens": options.batch_tokens,
        **of_machine(options),
    }


def make_measurer(options: ModelOptions, parts: Parts) -> Measurer:
    """Loads the weights and puts the measurer together; sets torch's number of threads.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    engine = start(options, parts.source)
    return Measurer(engine, parts.renderer, parts.texts, parts.wanted, parts.skippable)


def make_classifier(options: ModelOptions, parts: Parts) -> Classifier:
    """Loads a sequence-classification reward model; sets torch's number of threads.

    Raises:
        ModelError: the weights cannot be loaded, or are no such model.
        OptionError: an option that classifiers do not have.
    """
    if options.device_map or options.quantization:
        raise OptionError(
            "--device-map and --quantization are not for classifiers; leave them out, or benchmark "
            "the classifier in a run of its own"
        )
    torch.set_num_threads(options.threads or THREADS)
    model = models.load_classifier(
        parts.source,
        dtype=options.dtype,
        device=options.device,
        trust_remote_code=options.trust_remote_code,
    )
    return Classifier(model)


def make_scorer(options: ScorerOptions, parts: Parts, *, on_refused: Policy = "error") -> Scorer:
    """Loads the weights and puts the scorer together; sets torch's number of threads.

    Args:
        options: what it is made of.
        parts: of the same options.
        on_refused: for a conversation that the template refuses.

    Raises:
        ModelError: the weights cannot be loaded.
    """
    return Scorer(
        start(options, parts.source),
        parts.renderer,
        parts.followup_set,
        reward=options.reward,
        weights=options.weights,
        on_overflow=options.on_overflow,
        on_special=options.on_special,
        on_refused=on_refused,
    )


def load(**options: Any) -> Scorer:
    """A scorer that stays loaded.

    Args:
        options: the fields of `ScorerOptions`: `model`, `set`, `reward`, `dtype`, ...

    Raises:
        UserError: what the options name cannot be found or used.

    Example:
        >>> scorer = load(model="smollm2", set="short", dtype="fp32")
        >>> good, bad = scorer.score([
        ...     {"prompt": "Name a prime number.", "response": "7 is a prime number."},
        ...     {"prompt": "Name a prime number.", "response": "I'd rather not, ask someone else."},
        ... ])
        >>> good.reward > bad.reward
        True
    """
    known = [option.name for option in fields(ScorerOptions)]
    for name in options:
        if name not in known:
            raise OptionError(f"no option {name!r}; there are {', '.join(known)}")
    chosen = ScorerOptions(**options)
    return make_scorer(chosen, prepare(chosen))


def score(
    conversations: Iterable[Conversation | Mapping[str, Any]], **options: Any
) -> list[Score | None]:
    """Loads a model and scores conversations with it; see `load` and `Scorer.score`.

    Args:
        conversations: mappings such as `{"prompt": ..., "response": ...}` or `{"messages": [...]}`.
        options: the fields of `ScorerOptions`.

    Returns:
        One score a conversation, in order; None for one that was skipped.

    Example:
        >>> scores = score(
        ...     [{"prompt": "Say hi.", "response": "Hi!"}], model="smollm2", set="short"
        ... )
        >>> len(scores), len(scores[0].by_category), len(scores[0].followups)
        (1, 6, 24)
    """
    return load(**options).score(conversations)

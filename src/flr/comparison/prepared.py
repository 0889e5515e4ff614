"""What a comparison is made of, found and checked before any weights are read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import final

from flr import io, runs, verifiable
from flr.comparison.asking import Asking
from flr.comparison.divergence import DivergencePass
from flr.comparison.figures import Groups
from flr.comparison.options import VERIFIABLE, CompareOptions, as_model, sampling_of
from flr.comparison.rewards import Prompts
from flr.errors import OptionError
from flr.evaluation.arms import Arms, parse
from flr.prompts import PromptOfRow
from flr.types import Message
from flr.verifiable import VerifiablePrompt


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is known before any weights are read.

    Args:
        source: where the prompts are from.
        prompts: all of them.
        groups: of them.
        askings: each policy asked these prompts.
        verifying: each policy asked the verifiable ones; empty where they are not asked.
        checked: the verifiable prompts.
        arms: the rewards.
        moving: what measures the divergence of each policy that has one.
        notes: what the user should know.
        seed: of what is drawn of all this.
    """

    source: str
    prompts: Prompts
    groups: Groups
    askings: Mapping[str, Asking]
    verifying: Mapping[str, Asking]
    checked: Sequence[VerifiablePrompt]
    arms: Arms
    moving: Mapping[str, DivergencePass]
    notes: Sequence[str]
    seed: int

    @property
    def reference(self) -> str:
        """The policy that the others are held against."""
        return next(iter(self.askings))

    @property
    def rewards(self) -> list[str]:
        """The rewards that there can be: one policy alone cannot be compared with any."""
        lonely = len(self.askings) == 1
        return [arm.name for arm in self.arms.arms if not (arm.compares and lonely)]

    @property
    def run_key(self) -> str:
        """A hash over all that changes the results."""
        askings = (*self.askings.items(), *self.verifying.items())
        return runs.key_of(
            {
                "prompts": {n: [one.as_dict() for one in of] for n, of in self.prompts.items()},
                "columns": [dict(row.columns) for row in self.askings[self.reference].rows],
                "verifiable": [asdict(prompt) for prompt in self.checked],
                "policies": [[name, one.parts.fingerprint, one.skipped] for name, one in askings],
                "rewards": [[arm.name, arm.definition] for arm in self.arms.arms],
                "passes": {name: one.fingerprint for name, one in self.arms.passes.items()},
                "divergence": {name: one.fingerprint for name, one in self.moving.items()},
                "notes": self.notes,
                "versions": runs.versions(),
            }
        )


def _groups(prompts: Prompts) -> Groups:
    keys = {number: runs.key_of([one.as_dict() for one in of]) for number, of in prompts.items()}
    place = {key: at for at, key in enumerate(dict.fromkeys(keys.values()))}
    return Groups({number: place[key] for number, key in keys.items()}, len(place))


def _verifiable_rows(prompts: Sequence[VerifiablePrompt]) -> list[PromptOfRow]:
    return [
        PromptOfRow(
            number,
            {"id": one.id, "kind": one.kind, "prompt": one.prompt},
            (Message("user", one.prompt),),
        )
        for number, one in enumerate(prompts, 1)
    ]


def _moving(
    policies: Mapping[str, str], options: CompareOptions
) -> tuple[dict[str, DivergencePass], list[str]]:
    """What measures the divergence of each policy from the first; and why some have none."""
    found: dict[str, DivergencePass] = {}
    notes: list[str] = []
    first, *others = policies
    theirs = as_model(policies[first], options, options.policy_revision)
    for name in others if options.divergence else ():
        ours = as_model(policies[name], options, None)
        try:
            found[name] = DivergencePass(ours, theirs, options.workers)
        except OptionError as error:
            notes.append(f"{name} has no divergence: {error}")
    return found, notes


def _askings(
    rows: Sequence[PromptOfRow],
    source: str,
    output: Path,
    policies: Mapping[str, str],
    options: CompareOptions,
) -> tuple[dict[str, Asking], dict[str, Asking]]:
    """Each policy asked the prompts, and the verifiable ones where they are to be asked."""
    more = _verifiable_rows(verifiable.load()) if options.verifiable else []
    askings: dict[str, Asking] = {}
    verifying: dict[str, Asking] = {}
    for number, (name, policy) in enumerate(policies.items(), 1):
        of_policy = {"policy_revision": options.policy_revision if number == 1 else None}
        path = output / f"policy-{number}.responses.jsonl"
        askings[name] = Asking.of(rows, source, path, sampling_of(policy, options, **of_policy))
        if more:
            path = output / f"policy-{number}.verifiable.jsonl"
            how = sampling_of(policy, options, **of_policy, **VERIFIABLE)
            verifying[name] = Asking.of(more, "the verifiable prompts", path, how)
    return askings, verifying


def _lonely(arms: Arms, policies: Mapping[str, str]) -> Iterator[str]:
    for arm in arms.arms:
        if arm.compares and len(policies) == 1:
            yield f"{arm.name} is left out: it compares responses, and there is one policy"


def prepare(
    policies: Mapping[str, str], source: str, output: Path, options: CompareOptions
) -> Comparison:
    """Reads the prompts, finds policies and models, and checks that they go together.

    Args:
        policies: by display name; the first one is the reference.
        source: file, `-` for JSONL on standard input, or hub id.
        output: the folder of the results.
        options: see `CompareOptions`.

    Raises:
        InputError: prompts that cannot be read, or that a policy cannot take.
        UserError: what the options name cannot be found or used.
    """
    rows = io.load_prompts(source, split=options.split, limit=options.limit)
    askings, verifying = _askings(rows, source, output, policies, options)
    first = replace(options, model=options.models[0])
    arms = parse(
        f"{options.reward},length",
        first,
        seed=options.seed,
        workers=options.workers,
        models=options.models,
    )
    moving, notes = _moving(policies, options)
    prompts = {row.number: row.messages for row in rows}
    return Comparison(
        source=io.named(source),
        prompts=prompts,
        groups=_groups(prompts),
        askings=askings,
        verifying=verifying,
        checked=verifiable.load() if options.verifiable else (),
        arms=arms,
        moving=moving,
        notes=[*_lonely(arms, policies), *notes],
        seed=options.seed,
    )

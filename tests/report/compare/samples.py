"""Results of a comparison, made up: the later policies are longer and a little better."""

from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np

from flr.comparison import record
from flr.comparison.asking import Place, Said
from flr.comparison.figures import Groups, Policy, figures
from flr.comparison.rewards import Rewards
from flr.types import Message
from flr.verifiable import VerifiablePrompt
from tests.report.bench.samples import ADVICE, PASS
from tests.report.bench.samples import PROMPTS as ASKED

FLR = "flr:mean:default"
POLICIES = ("smollm2", "round-1", "round-2")
KINDS = ("number", "json", "word limit")
CATEGORIES = ("relevance", "correctness", "following")


def _said(generator: np.random.Generator, better: int, prompts: int) -> dict[Place, Said]:
    words = ADVICE.split()
    found: dict[Place, Said] = {}
    for number in range(1, prompts + 1):
        count = int(generator.integers(0, 40)) + 6 * better
        text = " ".join(words[(number + at) % len(words)] for at in range(count))
        found[number, 0] = Said(text, count + 3, finished=count < 40)
    return found


def _rewards(generator: np.random.Generator, said: dict[Place, Said], better: int) -> Rewards:
    known = {place: 0.1 * better + float(generator.normal(0, 0.3)) for place in said}
    parts = {
        name: {p: v + 0.01 * at for p, v in known.items()} for at, name in enumerate(CATEGORIES)
    }
    direct = {place: -2.0 + float(generator.normal(0, 0.2)) for place in said}
    length = {place: float(len(one.text)) for place, one in said.items()}
    floors = {FLR: 0.007, "direct:mean": 0.001, "length": 0.0}
    values = {FLR: known, "direct:mean": direct, "length": length}
    return Rewards(values, {FLR: parts}, floors=floors)


def _policy(better: int, prompts: int, checked: int) -> Policy:
    generator = np.random.default_rng(better)
    said = _said(generator, better, prompts)
    moved = {place: 0.02 * better + 0.001 * place[0] for place in said}
    passes = tuple((generator.random(checked) < 0.3 + 0.1 * better).tolist())
    return Policy(
        said=said,
        rewards=_rewards(generator, said, better),
        divergence=moved if better else None,
        passes=passes if checked else None,
        cut=tuple(at % 5 == 0 for at in range(checked)),
    )


@cache
def _made(policies: int, prompts: int, checked: int) -> dict[str, Any]:
    named = {name: _policy(at, prompts, checked) for at, name in enumerate(POLICIES[:policies])}
    messages = {
        number: (Message("user", ASKED[number % len(ASKED)]),) for number in range(1, prompts + 1)
    }
    groups = Groups({number: number - 1 for number in messages}, prompts)
    asked = [
        VerifiablePrompt(f"v{at}", KINDS[at % len(KINDS)], "?", {}, "", "") for at in range(checked)
    ]
    made = figures(named, groups, asked)
    return {
        "run": "0" * 64,
        "flr": "0.1.0",
        "command": "flr compare smollm2 round-1 --prompts prompts.jsonl -o compare",
        "finished": "2025-11-28T09:00:00+00:00",
        "options": {"limit": None, "seed": 0, "n": 1},
        "made_with": {
            "versions": {"torch": "2.13.0"},
            "passes": {"smollm2": PASS},
            "sampling": {name: {"policy": "0f" * 32, "seed": 0} for name in named},
            "divergence": {},
        },
        "notes": ["Something that the user should know."],
        "prompts": {"source": "prompts.jsonl", "count": prompts},
        "reference": POLICIES[0],
        "rewards": [FLR, "direct:mean", "length"],
        "noise_floor": named[POLICIES[0]].rewards.floors,
        "left_out": [[POLICIES[0], 3, None, "too long"], [POLICIES[0], 4, 0, "sly"]],
        "policies": {
            name: {
                "source": name,
                "identity": "0f" * 32,
                "responses": f"policy-{at}.responses.jsonl",
                **made["policies"][name],
            }
            for at, name in enumerate(named, 1)
        },
        "against": made["against"],
        "examples": record.examples(messages, named, 0),
    }


def sample(policies: int = 2, prompts: int = 40, checked: int = 30) -> dict[str, Any]:
    """Results; a copy that a test may change.

    Args:
        policies: how many, at most three.
        prompts: how many.
        checked: verifiable prompts.
    """
    return deepcopy(_made(policies, prompts, checked))


def _named(text: str, values: dict[str, Any]) -> dict[str, Any]:
    return {text + name: value for name, value in values.items()}


def _of_rewards(text: str, values: dict[str, Any]) -> dict[str, Any]:
    """The same with other names of rewards, but for length, which is ours."""
    return {name if name == "length" else text + name: value for name, value in values.items()}


def _figures(text: str, figures: dict[str, Any]) -> None:
    """Renames rewards, categories and kinds among the figures of a policy."""
    of_rewards = {"reward", "win_rate", "win_rate_similar_length", "difference", "inside_floor"}
    for key in figures.keys() & of_rewards:
        figures[key] = _of_rewards(text, figures[key])
    for key in figures.keys() & {"reward_by_category", "win_rate_by_category"}:
        figures[key] = _named(text, {name: _named(text, of) for name, of in figures[key].items()})
    if "verifiable" in figures:
        kinds = figures["verifiable"]["by_kind"]
        figures["verifiable"]["by_kind"] = _named(text, kinds)


def _example(text: str, one: dict[str, Any]) -> dict[str, Any]:
    rewards = {name: _named(text, of) for name, of in one["rewards"].items()}
    said = {name: own and text + own for name, own in one["responses"].items()}
    return {
        "number": one["number"],
        "prompt": [{"role": text, "content": text}] * 2,  # one alone may be its own heading
        "responses": _named(text, said),
        "finished": _named(text, one["finished"]),
        "rewards": _of_rewards(text, rewards),
    }


def with_text(text: str) -> dict[str, Any]:
    """A small comparison with `text` wherever a text of data, models or users can stand."""
    results = sample(3, 6, 6)
    for of in results["against"].values():
        _figures(text, of)
    for one in results["policies"].values():
        _figures(text, one["figures"])
        one |= {"source": text, "identity": text, "responses": text}
    done = PASS | {"made_with": {text: text}, "paths": [text]}
    return results | {
        "command": text,
        "notes": [text],
        "prompts": {"source": text, "count": 6},
        "reference": text + results["reference"],
        "rewards": list(_of_rewards(text, dict.fromkeys(results["rewards"]))),
        "noise_floor": _of_rewards(text, results["noise_floor"]),
        "left_out": [[text, 3, None, text], [text, 4, 0, text]],
        "policies": _named(text, results["policies"]),
        "against": _named(text, results["against"]),
        "examples": [_example(text, one) for one in results["examples"]],
        "made_with": {
            "versions": {text: text},
            "passes": {text: done},
            "sampling": {text: {text: text}},
            "divergence": {},
        },
    }

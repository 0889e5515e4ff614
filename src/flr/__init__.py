"""Follow-up likelihood as reward: any chat language model as a reward model, without labels.

    flr.score(conversations, model="smollm2")    scores, once
    flr.load(model="smollm2")                    a `Scorer` that stays loaded
    flr.benchmark("pairs.jsonl", {"mine": f})    how well reward functions agree with people
    flr.calibration_of("set.yaml")               what a margin means, by labels

The names below are imported when they are first used, so that `import flr` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flr.calibration.probability import calibration_of
    from flr.evaluation.functions import benchmark
    from flr.loading import load, score
    from flr.scoring import Score, Scorer
    from flr.types import Conversation, Message

_ROOMS = {
    "benchmark": "flr.evaluation.functions",
    "calibration_of": "flr.calibration.probability",
    "load": "flr.loading",
    "score": "flr.loading",
    "Score": "flr.scoring",
    "Scorer": "flr.scoring",
    "Conversation": "flr.types",
    "Message": "flr.types",
}

__all__ = [
    "Conversation",
    "Message",
    "Score",
    "Scorer",
    "benchmark",
    "calibration_of",
    "load",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'flr' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)

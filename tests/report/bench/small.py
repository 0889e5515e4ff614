"""The smallest results of one set that a table or a sentence is made of."""

from typing import Any


def figure(value: Any, low: Any = None, high: Any = None, count: int = 10) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "count": count}


def pairwise(rewards: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A pairwise set with the rewards given."""
    fields = {"kind": "pairwise", "source": "here", "files": {}, "items": 10, "groups": 20}
    fields |= {"responses": 20, "left_out": {}, "skipped": [], "not_computed": {}}
    fields |= {"chance": 0.5, "majority": None, "robustness": False}
    return {**fields, "rewards": rewards, **changes}


def spoilt(rewards: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A set of spoilt responses: by reward, how often the good one ranks above, by subset."""
    return pairwise(
        {
            name: {**accuracy(0.123, 0.1, 0.2), "subsets": subsets, "subset_mean": figure(0.123)}
            for name, subsets in rewards.items()
        },
        robustness=True,
    )


def accuracy(value: Any, low: Any, high: Any, difference: Any = None) -> dict[str, Any]:
    return {"accuracy": figure(value, low, high), "difference": difference}

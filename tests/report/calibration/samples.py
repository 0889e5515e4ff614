"""The record of a calibration, made up: two categories, one of them dropped."""

from typing import Any


def _figure(value: float | None, wide: float = 0.05) -> dict[str, Any]:
    ends = [None, None] if value is None else [value - wide, value + wide]
    return {"value": value, "interval": ends, "count": 40}


def _point(followups: int, accuracy: float) -> dict[str, Any]:
    told = {"random": 0.52, "lowest": 0.45, "highest": 0.6}
    return {"followups": followups, "accuracy": _figure(accuracy), **told}


def sample(text: str = "") -> dict[str, Any]:
    """A record; with a text in everything that a user may name."""
    sides = [("fit", 1), ("fit", -1), ("tone", 1), ("tone", -1)]
    followups = [
        {
            "text": f"{text}Said {at}.",
            "category": f"{text}{category}",
            "polarity": polarity,
            "before": 0.5,
            "after": 1.0 if category == "fit" else 0.0,
        }
        for at, (category, polarity) in enumerate(sides)
    ]
    return {
        "run": "0" * 64,
        "input": f"{text}scored.jsonl",
        "input_sha256": "0" * 64,
        "options": {"learn": "categories", "keep": None, "rating": text or None},
        "versions": {"flr": "0.1.0", "python": "3.11"},
        "followup_set": {"name": f"{text}mine", "sha256": "1" * 64},
        "calibrated_set": {"name": f"{text}mine-calibrated", "sha256": "2" * 64},
        "counts": {"prompts": 80, "pairs": 80, "learned from": 40, "held out": 40},
        "penalties": [
            {"penalty": "infinity", "loss": 0.69, "excess": 0.1, "error": 0.02},
            {"penalty": 0.1, "loss": 0.59, "excess": 0.0, "error": 0.0},
        ],
        "penalty": 0.1,
        "categories": {
            f"{text}fit": {"before": 0.5, "after": 1.0},
            f"{text}tone": {"before": 0.5, "after": 0.0},
        },
        "followups": followups,
        "dropped": {"categories": [f"{text}tone"], "followups": 2},
        "accuracy": {
            "before": _figure(0.55),
            "after": _figure(0.65),
            "difference": _figure(0.1),
        },
        "curve": [_point(2, 0.5), _point(4, 0.6), _point(12, 0.62), _point(120, 0.63)],
        "probability": {"knots": [[-0.2, 0.3], [-0.01, 0.5], [0.01, 0.5], [0.2, 0.7]]},
        "warnings": [f"{text}look"],
        "finished": "2025-11-28T10:00:00+00:00",
    }

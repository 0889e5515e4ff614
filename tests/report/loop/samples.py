"""Results of a loop, made up: two rounds, judged by a made-up comparison."""

from typing import Any

from tests.report.compare import samples as compare

STAGES = ("sample", "score", "mine", "align", "evaluate")


def _stage(number: int, stage: str, text: str) -> dict[str, Any]:
    found = {
        "sample": {"responses": 96},
        "mine": {"rows": 11},
        "align": {"steps": 6, "loss, first": 0.6931, "loss, last": 0.61},
    }
    return {
        "round": number,
        "stage": stage,
        "status": "finished",
        "seconds": 12.5,
        "finished": f"{text}2025-11-28T09:00:00+00:00",
        "found": found.get(stage, {}),
    }


def sample(text: str = "") -> dict[str, Any]:
    """Results; with a text before everything that a user may name."""
    evaluation = compare.with_text(text) if text else compare.sample(3)
    rounds = len(evaluation["policies"]) - 1
    stages = [(0, "evaluate"), *((k, s) for k in range(1, rounds + 1) for s in STAGES)]
    return {
        "run": "0" * 64,
        "flr": "0.1.0",
        "command": f"flr loop {text}prompts.jsonl -o loop",
        "finished": "2025-11-28T10:00:00+00:00",
        "halves": {"choosing": f"{text}default:relevance", "judging": f"{text}default:following"},
        "rounds": rounds,
        "stages": [_stage(number, stage, text) for number, stage in stages],
        "evaluation": evaluation,
        "options": {"policy": f"{text}smollm2", "limit": None, "trl": {"beta": text or "1"}},
    }

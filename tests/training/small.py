"""Small preference data, and a tiny policy trained on them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flr.runs import Report
from flr.training.preference import AlignOptions, align_file


def said(text: str, role: str = "assistant") -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


PAIRS: list[dict[str, Any]] = [
    {
        "prompt": said(f"Tea {at} \U0001f375?", "user"),
        "chosen": said("Yes, gladly."),
        "rejected": said(f"No {at}."),
        "reward_chosen": 0.5,
        "reward_rejected": -at / 3,
        "margin": 0.5 + at / 3,
        "reward_chosen_by_category": {"correctness": 0.5, "relevance": 0.25},
    }
    for at in range(24)
]
LABELLED: list[dict[str, Any]] = [
    {
        "prompt": row["prompt"],
        "completion": row["chosen" if at % 3 else "rejected"],
        "label": bool(at % 3),
        "reward": at / 7,
        "reward_by_category": {"correctness": at / 7},
    }
    for at, row in enumerate(PAIRS)
]
"""Sixteen desirable ones, eight undesirable ones."""


def put(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def options(policy: Path | str, **given: Any) -> AlignOptions:
    """Fast ones: fp32, one thread, a learning rate at which something happens."""
    own = {"policy": str(policy), "dtype": "fp32", "threads": 1}
    own |= {"batch_size": 4, "learning_rate": 1e-3, "save_steps": 2}
    return AlignOptions(**{**own, **given})


def aligned(tmp: Path, policy: Path, name: str = "policy", /, **given: Any) -> Report:
    """Trains on `PAIRS`, or by kto on `LABELLED`."""
    rows = LABELLED if given.get("method") == "kto" else PAIRS
    return align_file(put(tmp / "rows.jsonl", rows), tmp / name, options(policy, **given))

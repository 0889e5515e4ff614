"""Reads a mined file by OpenRLHF's own dataset, and compares what it tokenised with the file.

    python openrlhf.py FILE MODEL

As `train_rm` and `train_dpo` read it with `--data.prompt_key prompt --data.apply_chat_template`;
their trainers themselves need flash-attn and deepspeed, the dataset does not. MODEL is a folder
with a ChatML tokenizer. The last line is one JSON object.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.pop(0)  # this file has the name of the package

from openrlhf.datasets import RewardDataset
from openrlhf.datasets.utils import blending_datasets
from openrlhf.utils import get_tokenizer

FILE, MODEL = sys.argv[1:]
MAX_LENGTH = 4096
DATA = SimpleNamespace(
    prompt_key="prompt",
    chosen_key="chosen",
    rejected_key="rejected",
    apply_chat_template=True,
    tokenizer_chat_template=None,
)
STRATEGY = SimpleNamespace(
    args=SimpleNamespace(data=DATA, use_ms=False), print=print, is_rank_0=lambda: True
)


def rendered(messages: list[dict[str, Any]]) -> str:
    said = [f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in messages]
    return "".join(said).rstrip("\n")


def check(rows: list[dict[str, Any]], *, is_dpo: bool) -> None:
    """Both sides of every row as written; the margin, or where the response begins."""
    tokenizer = get_tokenizer(MODEL, None, "right" if is_dpo else "left", STRATEGY)
    loaded = blending_datasets(FILE, strategy=STRATEGY)
    data = RewardDataset(loaded, tokenizer, MAX_LENGTH, STRATEGY, is_dpo=is_dpo, num_processors=1)
    assert len(data) == len(rows), f"{len(data)} of {len(rows)} rows were kept"
    for at, row in enumerate(rows):
        chosen, _, rejected, _, extra = data[at]
        assert tokenizer.decode(chosen[0]) == rendered(row["prompt"] + row["chosen"])
        assert tokenizer.decode(rejected[0]) == rendered(row["prompt"] + row["rejected"])
        if not is_dpo:
            assert extra == row["margin"], f"margin {extra}, not {row['margin']}"
            continue
        learnt = tokenizer.decode(chosen[0][extra:]).removeprefix("<|im_start|>assistant\n")
        assert learnt == f"{row['chosen'][0]['content']}<|im_end|>", learnt


if __name__ == "__main__":
    written = [json.loads(line) for line in Path(FILE).read_text("utf-8").splitlines()]
    for kind in (False, True):
        check(written, is_dpo=kind)
    print(json.dumps({"pairs": len(written), "version": version("openrlhf")}))

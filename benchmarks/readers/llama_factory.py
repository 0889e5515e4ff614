"""Reads mined files by LLaMA-Factory's own loader, and compares what it tokenised with the files.

    python llama_factory.py FOLDER MODEL

FOLDER holds `dpo.jsonl`, `kto.jsonl` and their dataset_info.json; MODEL is a folder with a ChatML
tokenizer. The last line is one JSON object.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.extras.constants import IGNORE_INDEX
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer

FOLDER, MODEL = Path(sys.argv[1]), sys.argv[2]
ROLES = {"human": "user", "gpt": "assistant", "system": "system"}


def loaded(name: str, stage: str) -> tuple[Any, Any]:
    """What its train command does before it makes a model."""
    given = {
        "model_name_or_path": MODEL,
        "stage": stage,
        "do_train": True,
        "dataset": name,
        "dataset_dir": str(FOLDER),
        "template": "chatml",
        "output_dir": str(FOLDER / "unused"),
        "finetuning_type": "full",
        "overwrite_cache": True,
        "use_cpu": True,
        "report_to": "none",
    }
    model, data, training, _, _ = get_train_args(given)
    parts = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(parts["tokenizer"], data)
    own = "rm" if stage == "dpo" else stage  # as its run_dpo does
    found = get_dataset(template, model, data, training, own, **parts)
    return found["train_dataset"], parts["tokenizer"]


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").open(encoding="utf-8")]


def split(tokenizer: Any, ids: list[int], labels: list[int]) -> tuple[str, str]:
    """The masked and the learnt part, as text; the mask is one prefix."""
    start = next(at for at, label in enumerate(labels) if label != IGNORE_INDEX)
    assert labels[start:] == ids[start:], "what is learnt is what is read"
    assert set(labels[:start]) == {IGNORE_INDEX}, "the prompt is masked"
    return tokenizer.decode(ids[:start]), tokenizer.decode(ids[start:])


def rendered(turns: list[dict[str, str]]) -> str:
    said = [f"<|im_start|>{ROLES[turn['from']]}\n{turn['value']}<|im_end|>\n" for turn in turns]
    return "".join(said) + "<|im_start|>assistant\n"


def check_pairs() -> int:
    """Every pair is there, both sides as written."""
    data, tokenizer = loaded("dpo", "dpo")
    written = rows("dpo")
    assert len(data) == len(written), f"{len(data)} of {len(written)} rows were kept"
    for read, row in zip(data, written, strict=True):
        for side in ("chosen", "rejected"):
            both = split(tokenizer, read[f"{side}_input_ids"], read[f"{side}_labels"])
            expected = rendered(row["conversations"]), f"{row[side]['value']}<|im_end|>\n"
            assert both == expected, f"{both} was read, {expected} was written"
    return len(written)


def check_labels() -> int:
    """Every response is there, with its own label."""
    data, tokenizer = loaded("kto", "kto")
    written = rows("kto")
    assert len(data) == len(written), f"{len(data)} of {len(written)} rows were kept"
    assert [bool(tag) for tag in data["kto_tags"]] == [row["kto_tag"] for row in written]
    assert {row["kto_tag"] for row in written} == {True, False}, "both labels are there"
    for read, row in zip(data, written, strict=True):
        *prompt, response = row["conversations"]
        expected = rendered(prompt), f"{response['value']}<|im_end|>\n"
        both = split(tokenizer, read["input_ids"], read["labels"])
        assert both == expected, f"{both} was read, {expected} was written"
    return len(written)


if __name__ == "__main__":
    found = {"pairs": check_pairs(), "labelled": check_labels()}
    print(json.dumps({**found, "version": version("llamafactory")}))

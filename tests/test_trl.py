"""TRL's own trainers do a step on mined files, and read them as they were written."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_dataset
from transformers import AutoTokenizer

from flr.mining import MineOptions, mine_file

TRL: Any = import_module("trl")  # it names its parts lazily

SYSTEM = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Tea?"},
    {"role": "assistant", "content": "Green or black?"},
    {"role": "user", "content": "Green."},
]
ROWS = [
    {"prompt": "Capital of Australia?", "responses": ["Canberra.", "Sydney."], "rewards": [1, 0]},
    {"prompt": SYSTEM, "responses": ["Here it is.", "Then black."], "rewards": [0.25, -1]},
    {
        "prompt": " \U0001f375?\n",
        "responses": ["\U0001f44d\U0001f3fd ", "no"],
        "rewards": [0.5, -0.5],
    },
    {"prompt": "Name a prime.", "responses": ["7 is one.", "9"], "rewards": [0.5, -0.25]},
]


def rendered(messages: list[dict[str, str]]) -> str:
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)


def mined(tmp: Path, **given: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The file as TRL's users load it, and its rows."""
    source, output = tmp / "rewarded.jsonl", tmp / "mined.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    mine_file(str(source), output, MineOptions(**given))
    table = load_dataset("json", data_files=str(output), split="train", cache_dir=str(tmp / "hf"))
    return table, [json.loads(line) for line in output.read_text("utf-8").splitlines()]


def stepped(trainer: type, config: type, table: Any, model: Path, tmp: Path) -> tuple[Any, Any]:
    """A trainer after one step that changed its weights, and its first batch."""
    options = config(
        output_dir=str(tmp / "trained"),
        max_steps=1,
        per_device_train_batch_size=4,
        learning_rate=1.0,
        use_cpu=True,
        bf16=False,
        activation_checkpointing=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(model)
    made = trainer(model=str(model), args=options, train_dataset=table, processing_class=tokenizer)
    before = {name: value.clone() for name, value in made.model.named_parameters()}
    batch = next(iter(made.get_train_dataloader()))
    result = made.train()
    assert result.global_step == 1
    assert torch.isfinite(torch.tensor(result.training_loss))
    assert any(not torch.equal(before[name], one) for name, one in made.model.named_parameters())
    return made, batch


def parts(tokenizer: Any, ids: torch.Tensor, mask: torch.Tensor) -> tuple[str, str]:
    """The masked and the learnt text of one row of a batch."""
    whole = ids[: int(mask.nonzero().max()) + 1]
    learnt = mask[: len(whole)].bool()
    return tokenizer.decode(whole[~learnt]), tokenizer.decode(whole[learnt])


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_dpo_reads_both_sides_and_masks_the_prompt(tmp_path: Path, tiny_model: Path):
    table, rows = mined(tmp_path)
    assert len(rows) == len(ROWS)
    made, batch = stepped(TRL.DPOTrainer, TRL.DPOConfig, table, tiny_model, tmp_path)
    tokenizer = made.processing_class
    both = zip(batch["input_ids"], batch["completion_mask"], strict=True)
    assert {parts(tokenizer, ids, mask) for ids, mask in both} == {
        (rendered(row["prompt"]), rendered(row[side]))
        for row in rows
        for side in ("chosen", "rejected")
    }


def test_kto_reads_every_response_with_its_label(tmp_path: Path, tiny_model: Path):
    table, rows = mined(tmp_path, format="trl-kto", label_threshold=0.1)
    made, batch = stepped(TRL.KTOTrainer, TRL.KTOConfig, table, tiny_model, tmp_path)
    labels = [row["label"] for row in rows]
    assert made.train_dataset["label"][:] == labels
    assert batch["label"].tolist() == labels[:4]
    assert labels.count(True) == labels.count(False) == 4
    for at, row in enumerate(rows[:4]):
        read = parts(made.processing_class, batch["input_ids"][at], batch["completion_mask"][at])
        assert read == (rendered(row["prompt"]), rendered(row["completion"]))

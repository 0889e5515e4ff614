"""Training through TRL's own trainers on tiny models: what is learnt, kept, refused, resumed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from flr import io
from flr.errors import InputError, ModelError, OptionError, OutputError, UserError
from flr.training.preference import AlignOptions, align_file

PAIRS = [
    {
        "prompt": [{"role": "user", "content": f"What is {n}?"}],
        "chosen": [{"role": "assistant", "content": f"It is {n}."}],
        "rejected": [{"role": "assistant", "content": "I do not know \U0001f375"}],
        "reward_chosen": 0.5,
        "margin": 1.0,
    }
    for n in range(8)
]
LABELLED = [
    {"prompt": one["prompt"], "completion": one[side], "label": side == "chosen", "reward": 0.5}
    for one in PAIRS
    for side in ("chosen", "rejected")
]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch):
    """Matrices this small gain nothing by a second thread, and nothing may ask the hub."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def options(model: Path, **given: Any) -> AlignOptions:
    usual: dict[str, Any] = {
        "policy": str(model),
        "dtype": "fp32",
        "max_steps": 2,
        "batch_size": 4,
        "learning_rate": 1e-2,
    }
    return AlignOptions(**{**usual, **given})


def pairs_file(tmp: Path, rows: Any = PAIRS, name: str = "pairs.jsonl") -> str:
    path = tmp / name
    io.write(path, rows)
    return str(path)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()


def differ(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("lora", [False, True], ids=["all weights", "lora"])
@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_a_folder_that_transformers_loads_says_how_it_was_made(
    tmp_path: Path, tiny_model: Path, method: str, lora: bool
):
    rows = PAIRS if method == "dpo" else LABELLED
    source, output = pairs_file(tmp_path, rows), tmp_path / "deep" / "policy"
    steps: list[int] = []
    given = options(tiny_model, method=method, lora=lora)
    report = align_file(source, output, given, lambda done, total, _: steps.append(done))
    assert steps == [1, 2]
    assert (report.computed, report.record["steps"], report.record["rows"]) == (2, 2, len(rows))
    assert differ(weights(output), weights(tiny_model))
    assert AutoTokenizer.from_pretrained(output).chat_template
    assert not list(output.glob("*.bin"))
    assert not (output / "checkpoints").exists()
    card = (output / "README.md").read_text("utf-8")
    for told in (f"by {method.upper()}", "0.01", report.record["policy"]["identity"]):
        assert told in card
    record = json.loads((output / "align.json").read_text("utf-8"))
    assert record["settings"]["learning_rate"] == 1e-2
    assert record["settings"]["precompute_ref_log_probs"] is True
    assert len(record["curves"]["loss"]) == 2
    if method == "dpo":
        assert record["curves"]["loss"][0][1] == pytest.approx(0.6931, abs=1e-3)  # log 2


def test_the_same_again_does_nothing_and_another_run_is_refused(tmp_path: Path, tiny_model: Path):
    source, output = pairs_file(tmp_path), tmp_path / "policy"
    align_file(source, output, options(tiny_model))
    before = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    assert align_file(source, output, options(tiny_model)).computed == 0
    assert {path.name: path.stat().st_mtime_ns for path in output.iterdir()} == before
    with pytest.raises(OutputError, match="holds something else"):
        align_file(source, output, options(tiny_model, beta=0.2))
    assert align_file(source, output, options(tiny_model, beta=0.2, force=True)).computed == 2


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, tiny_model: Path):
    output = tmp_path / "policy"
    output.mkdir()
    (output / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something else"):
        align_file(pairs_file(tmp_path), output, options(tiny_model))
    align_file(pairs_file(tmp_path), output, options(tiny_model, force=True))
    align_file(pairs_file(tmp_path), output, options(tiny_model, force=True, beta=0.3))
    assert (output / "mine.txt").read_text() == "mine"
    with pytest.raises(OutputError, match="is a file"):
        align_file(pairs_file(tmp_path), output / "mine.txt", options(tiny_model))


class Stop(Exception):  # noqa: N818 - stands for a kill
    """Stands for a kill."""


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, tiny_model: Path):
    source = pairs_file(tmp_path)
    given = options(tiny_model, max_steps=4, save_steps=1, lora=True)
    align_file(source, tmp_path / "whole", given)

    def stop(done: int, *_: int) -> None:
        if done == 3:
            raise Stop

    output = tmp_path / "stopped"
    with pytest.raises(Stop):
        align_file(source, output, given, stop)
    kept = sorted(path.name for path in (output / "checkpoints").glob("checkpoint-*"))
    assert kept == ["checkpoint-1", "checkpoint-2"]
    half = output / "checkpoints" / "checkpoint-3"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    with pytest.raises(OutputError, match="give --resume"):
        align_file(source, output, given)
    again = options(tiny_model, max_steps=4, save_steps=1, lora=True, resume=True)
    steps: list[int] = []
    align_file(source, output, again, lambda done, *_: steps.append(done))
    assert steps == [3, 4]
    assert not differ(weights(output), weights(tmp_path / "whole"))
    assert not (output / "checkpoints").exists()


def test_an_adapter_alone(tmp_path: Path, tiny_model: Path):
    source, output = pairs_file(tmp_path), tmp_path / "policy"
    align_file(source, output, options(tiny_model, lora=True, keep_adapter=True))
    merged = tmp_path / "merged"
    align_file(source, merged, options(tiny_model, lora=True))
    assert (output / "adapter_model.safetensors").is_file()
    assert not (output / "model.safetensors").exists()
    from peft import AutoPeftModelForCausalLM

    loaded: Any = AutoPeftModelForCausalLM.from_pretrained(str(output), dtype=torch.float32)
    found = loaded.merge_and_unload().state_dict()
    for name, value in weights(merged).items():
        torch.testing.assert_close(found[name], value)
    with pytest.raises(OptionError, match="--keep-adapter is for --lora"):
        options(tiny_model, keep_adapter=True)


def test_held_out_rows_are_evaluated_before_and_after(tmp_path: Path, tiny_model: Path):
    held_out = pairs_file(tmp_path, PAIRS[6:], "held-out.jsonl")
    source = pairs_file(tmp_path, PAIRS[:6])
    report = align_file(source, tmp_path / "policy", options(tiny_model, held_out=held_out))
    figures = report.record["figures"]
    assert figures["held out, before: loss"] == pytest.approx(0.6931, abs=1e-3)
    assert figures["held out, after: loss"] < 0.69
    with pytest.raises(InputError, match="is a held-out prompt too"):
        align_file(pairs_file(tmp_path), tmp_path / "other", options(tiny_model, held_out=held_out))


def test_kto_balances_its_classes(tmp_path: Path, tiny_model: Path):
    rows = [row for at, row in enumerate(LABELLED) if row["label"] or at % 4 == 1]
    source = pairs_file(tmp_path, rows)
    report = align_file(source, tmp_path / "policy", options(tiny_model, method="kto"))
    assert report.record["settings"]["undesirable_weight"] == 1.71  # 8 / 4 / (7 / 6)
    given = options(tiny_model, method="kto", trl={"undesirable_weight": "3"})
    report = align_file(source, tmp_path / "other", given)
    assert report.record["settings"]["undesirable_weight"] == 3
    with pytest.raises((OptionError, InputError), match=r"same label|in every row"):
        align_file(pairs_file(tmp_path, LABELLED[::2]), tmp_path / "one", given)


def test_a_loss_that_is_no_number_ends_the_run_and_saves_nothing(tmp_path: Path, tiny_model: Path):
    output = tmp_path / "policy"
    with pytest.raises(ModelError, match="smaller --learning-rate"):
        align_file(pairs_file(tmp_path), output, options(tiny_model, learning_rate=1e30))
    assert not list(output.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("rows", "given", "said"),
    [
        ([], {}, "has no rows"),
        ([{"prompt": "a"}], {}, "there is no such column"),
        (LABELLED, {}, "no such column"),
        (PAIRS, {"method": "kto"}, "no such column"),
        ([*PAIRS, PAIRS[0]], {}, "repeats an earlier row"),
        (PAIRS, {"max_length": 8}, "fills the limit"),
        (PAIRS, {"trl": {"warmup_stepz": "1"}}, "Did you mean 'warmup_steps'"),
        (PAIRS, {"policy": "smolm2"}, "Did you mean 'smollm2'"),
        (PAIRS, {"batch_size": 6, "micro_batch": 4}, "is no multiple of"),
        (PAIRS, {"loss": "ipoo"}, "Did you mean 'ipo'"),
        (PAIRS, {"beta": float("nan")}, "above 0 was expected"),
        (PAIRS, {"dtype": "fp16"}, "fp16 is for GPUs"),
    ],
)
def test_what_cannot_be_trained_on_is_named(
    tmp_path: Path, tiny_model: Path, rows: Any, given: dict[str, Any], said: str
):
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(UserError, match=said):
        align_file(str(path), tmp_path / "policy", options(tiny_model, **given))
    assert not (tmp_path / "policy").exists()


def test_what_is_found_may_be_accepted(tmp_path: Path, tiny_model: Path):
    said: list[str] = []
    source = pairs_file(tmp_path, [*PAIRS, PAIRS[0]])
    given = options(tiny_model, check="warn")
    report = align_file(source, tmp_path / "policy", given, warn=said.append)
    assert report.record["findings"] == said
    assert any("repeats an earlier row" in one for one in said)

"""Training in one go: from preference data to a model folder that everything here takes."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from flr import io, models, runs, sources
from flr.errors import InputError, ModelError, OptionError, OutputError
from flr.loading import load
from flr.mining import MineOptions, mine_file
from flr.sample_file import SampleOptions, sample_file
from flr.training import run, trl
from flr.training.preference import align_file
from tests.templates import TEMPLATES
from tests.training.small import LABELLED, PAIRS, aligned, options, put, said

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def weights(folder: Path, name: str = "model.safetensors") -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_what_mine_writes_is_trained_on(tmp_path: Path, tiny_model: Path, method: Any, suffix: str):
    """Both files of a run, with all the columns that mining adds and one that a user had."""
    rewarded = [
        {
            "prompt": f"Tea {at}? \U0001f375",
            "responses": ["Yes, gladly.", "No.", f"Perhaps {at}."],
            "rewards": [0.5 + at, at - 0.5, 0.1 * at],
            "rewards_by_category": [{"correctness": one} for one in (0.5, -0.5, 0.0)],
            "note": {"id": at, "tags": ["a", "b"]},
        }
        for at in range(12)
    ]
    form: dict[str, Any] = {"min_margin": 0.0}
    if method == "kto":
        form = {"format": "trl-kto", "label_quantile": 0.4}
    source = tmp_path / f"mined{suffix}"
    mining = MineOptions(**form, held_out=0.2)
    mine_file(put(tmp_path / "in.jsonl", rewarded), source, mining)
    held_out = source.with_name(f"mined.held-out{suffix}")
    told: list[str] = []
    made = options(tiny_model, method=method, held_out=str(held_out))
    report = align_file(str(source), tmp_path / "policy", made, warn=told.append)
    record = report.record
    assert told == []
    assert record["rows"] == record["rows_trained_on"] == len(io.read(str(source)))
    assert record["rows_held_out"] == len(io.read(str(held_out))) > 0
    assert record["input_sha256"] == runs.file_sha256(source)
    assert report.computed == record["steps"] + 1 > 1
    assert record["held_out_figures"].keys() == {"before", "after"}
    assert not same(tmp_path / "policy", tiny_model)
    if method == "dpo":
        # At first the policy is the one that it is compared with: -log sigmoid(0).
        assert record["held_out_figures"]["before"]["loss"] == pytest.approx(0.6931, abs=1e-4)
        assert record["loss"]["last"] < record["loss"]["first"] == pytest.approx(0.6931, abs=1e-4)
        assert record["accuracy"]["last"] > 0.9


def test_the_result_is_a_model_for_transformers_and_for_us(tmp_path: Path, tiny_model: Path):
    aligned(tmp_path, tiny_model)
    output = tmp_path / "policy"
    model = AutoModelForCausalLM.from_pretrained(output)
    assert model.dtype == torch.float32
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_model).chat_template
    for name in ("config.json", "generation_config.json"):
        before, after = (json.loads((one / name).read_text()) for one in (tiny_model, output))
        assert before == after
    names = {path.name for path in output.iterdir()}
    assert not names & {"checkpoints", "run.sqlite", "training_args.bin"}
    sampling = SampleOptions(policy=str(output), dtype="fp32", threads=1, n=2, max_new_tokens=4)
    prompts = put(tmp_path / "prompts.jsonl", [{"prompt": "Tea?"}])
    sample_file(prompts, tmp_path / "sampled.jsonl", sampling)
    assert len(io.read(str(tmp_path / "sampled.jsonl"))[0]["responses"]) == 2
    scorer = load(model=str(output), set="short", dtype="fp32", threads=1)
    (score,) = scorer.score([{"prompt": "Tea?", "response": "Yes."}])
    assert score is not None
    aligned(tmp_path, output, "again")  # and a policy to train
    assert not same(output, tmp_path / "again")


def test_an_adapter_is_merged_or_kept(tmp_path: Path, tiny_model: Path):
    merged = aligned(tmp_path, tiny_model, "merged", lora=True).record
    kept = aligned(tmp_path, tiny_model, "kept", lora=True, keep_adapter=True).record
    assert merged["adapter"] == {"rank": 16, "merged": True}
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert kept["adapter"] == {"rank": 16, "merged": False}
    assert not (tmp_path / "kept" / "model.safetensors").exists()
    names = json.loads((tmp_path / "kept" / "adapter_config.json").read_text())
    assert names["base_model_name_or_path"] == str(tiny_model.resolve())
    one, other, base = (
        models.load(sources.locate(str(folder)), dtype="fp32", device="cpu")
        for folder in (tmp_path / "merged", tmp_path / "kept", tiny_model)
    )
    with torch.inference_mode():
        torch.testing.assert_close(one(IDS).logits, other(IDS).logits, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(one(IDS).logits, base(IDS).logits, atol=1e-2)


def test_an_adapter_is_trained_from_where_it_is(tmp_path: Path, tiny_model: Path):
    """Merged into its base, which then is the first policy, also where TRL keeps that in memory."""
    aligned(tmp_path, tiny_model, "adapter", lora=True, keep_adapter=True)
    for name, given in (
        ("lora", {"lora": True}),
        ("all", {}),
        ("beside", {"trl": {"precompute_ref_log_probs": "false"}}),
    ):
        record = aligned(tmp_path, tmp_path / "adapter", name, **given).record
        assert record["curves"]["loss"][0][1] == pytest.approx(0.6931, abs=1e-3)
    with pytest.raises(OptionError, match=r"--keep-adapter.*is an adapter"):
        aligned(tmp_path, tmp_path / "adapter", "no", lora=True, keep_adapter=True)


def test_the_adapter_of_a_gguf_file_is_not_kept_alone(tmp_path: Path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    with pytest.raises(OptionError, match=r"--keep-adapter.*is a GGUF file.*whole model is saved"):
        aligned(tmp_path, tmp_path / "m.gguf", lora=True, keep_adapter=True)


@pytest.mark.parametrize(
    "given",
    [{}, {"lora": True}, {"method": "kto"}, {"held_out": "held.jsonl", "epochs": 2.0}],
    ids=["dpo", "lora", "kto", "held out, two epochs"],
)
def test_a_stopped_run_goes_on_and_ends_with_the_same_weights(
    tmp_path: Path, tiny_model: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    put(Path("held.jsonl"), [{**row, "prompt": said("Milk?", "user")} for row in PAIRS[:3]])

    def stop(done: int, _total: int, _tokens: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    whole = aligned(tmp_path, tiny_model, "whole", **given)
    source = str(tmp_path / "rows.jsonl")
    with pytest.raises(KeyboardInterrupt):
        align_file(source, tmp_path / "stopped", options(tiny_model, **given), stop)
    # What a kill may leave of the next checkpoint.
    (tmp_path / "stopped" / "checkpoints" / "checkpoint-6").mkdir()
    (tmp_path / "stopped" / "checkpoints" / "checkpoint-6" / "model.safetensors").touch()
    with pytest.raises(OutputError, match="--resume"):
        aligned(tmp_path, tiny_model, "stopped", **given)
    done = aligned(tmp_path, tiny_model, "stopped", resume=True, **given)
    assert done.computed == whole.computed - 4  # from the checkpoint of the fourth step
    assert same(tmp_path / "whole", tmp_path / "stopped")
    for name in ("loss", "curves", "tokens", "held_out_figures", "steps"):
        assert done.record[name] == whole.record[name], name
    assert aligned(tmp_path, tiny_model, "stopped", resume=True, **given).computed == 0


def test_a_run_stopped_after_its_last_step_does_no_step_more(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    """The fourth of an epoch of six, in which transformers would go on."""
    held_out = put(tmp_path / "h.jsonl", [{**PAIRS[0], "prompt": said("Milk?", "user")}])
    given: dict[str, Any] = {"max_steps": 4, "trl": {"lr_scheduler_type": "constant"}}
    given |= {"held_out": held_out}
    whole = aligned(tmp_path, tiny_model, "whole", **given)
    with monkeypatch.context() as patch:
        patch.setattr(trl, "saved", None)  # an error that stands for a kill
        with pytest.raises(TypeError):
            aligned(tmp_path, tiny_model, "stopped", **given)
    assert (tmp_path / "stopped" / "checkpoints" / "checkpoint-4" / "whole.json").exists()
    done = aligned(tmp_path, tiny_model, "stopped", resume=True, **given)
    assert (whole.computed, done.computed) == (5, 1)
    assert same(tmp_path / "whole", tmp_path / "stopped")
    for name in ("loss", "curves", "tokens", "held_out_figures", "steps"):
        assert done.record[name] == whole.record[name], name


KILLED = """
import sys
from pathlib import Path
from tests.training.small import options
from flr.training.preference import align_file
source, output, policy = sys.argv[1:]
align_file(source, Path(output), options(policy, max_steps=100))
"""


def test_a_run_killed_while_it_writes_a_checkpoint_ends_with_the_same_weights(
    tmp_path: Path, tiny_model: Path
):
    """kill -9 as soon as the second checkpoint begins to be written."""
    aligned(tmp_path, tiny_model, "whole", max_steps=100)
    output, root = tmp_path / "killed", Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED, str(tmp_path / "rows.jsonl"), str(output)]
    process = subprocess.Popen([*command, str(tiny_model)], cwd=root)
    while process.poll() is None and len([*output.glob("checkpoints/checkpoint-*")]) < 2:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    done = aligned(tmp_path, tiny_model, "killed", max_steps=100, resume=True)
    assert 0 < done.computed < 100
    assert same(tmp_path / "whole", output)


def test_the_same_command_again_computes_nothing(tmp_path: Path, tiny_model: Path):
    first = aligned(tmp_path, tiny_model)
    told: list[tuple[int, int, int]] = []
    source, output = str(tmp_path / "rows.jsonl"), tmp_path / "policy"
    again = align_file(source, output, options(tiny_model), lambda *one: told.append(one))
    assert (again.computed, again.record, told) == (0, first.record, [(6, 6, 0)])
    with pytest.raises(OutputError, match=r"beta 0.1, now 0.2.*--force"):
        aligned(tmp_path, tiny_model, beta=0.2)
    assert aligned(tmp_path, tiny_model, beta=0.2, force=True).computed == 7
    assert aligned(tmp_path, tiny_model, beta=0.2, force=True).computed == 0


def test_other_rows_are_another_run(tmp_path: Path, tiny_model: Path):
    aligned(tmp_path, tiny_model)
    other = put(tmp_path / "other.jsonl", PAIRS[:-1])
    with pytest.raises(OutputError, match="made otherwise"):
        align_file(other, tmp_path / "policy", options(tiny_model))
    more = put(tmp_path / "more.jsonl", [{**row, "margin": 9.0} for row in PAIRS])
    assert align_file(more, tmp_path / "policy", options(tiny_model)).computed == 0


def test_held_out_rows_and_other_columns_change_no_weight(tmp_path: Path, tiny_model: Path):
    held_out = put(tmp_path / "h.jsonl", [{**PAIRS[0], "prompt": said("Milk?", "user")}])
    bare = [{name: row[name] for name in ("prompt", "chosen", "rejected")} for row in PAIRS]
    aligned(tmp_path, tiny_model, "one")
    align_file(
        put(tmp_path / "bare.jsonl", bare),
        tmp_path / "other",
        options(tiny_model, held_out=held_out),
    )
    assert same(tmp_path / "one", tmp_path / "other")


def test_somebody_elses_folder_is_left_alone(tmp_path: Path, tiny_model: Path):
    with pytest.raises(OutputError, match="did not make"):
        aligned(tmp_path, tiny_model, ".", force=True)


@pytest.mark.parametrize("lora", [False, True])
def test_a_training_that_goes_astray_is_an_error_and_leaves_nothing(
    tmp_path: Path, tiny_model: Path, lora: bool
):
    with pytest.raises(ModelError, match=r"gone astray at learning rate 1e\+20.*--learning-rate"):
        aligned(tmp_path, tiny_model, lora=lora, learning_rate=1e20)
    assert not (tmp_path / "policy").exists()


def test_weights_that_are_no_numbers_after_the_last_step_are_not_saved(
    tmp_path: Path, tiny_model: Path
):
    """The loss of the only step is that of the first policy: finite."""
    given: dict[str, Any] = {"max_steps": 1, "learning_rate": 1e39, "trl": {"max_grad_norm": "0"}}
    with pytest.raises(ModelError, match=r"a weight of .* is no finite number"):
        aligned(tmp_path, tiny_model, **given)
    assert not (tmp_path / "policy").exists()


def test_findings_are_told_and_stop_the_run_unless_they_are_accepted(
    tmp_path: Path, tiny_model: Path
):
    rows = [*PAIRS, PAIRS[0], {**PAIRS[1], "prompt": said("word " * 300, "user")}]
    source, told = put(tmp_path / "rows.jsonl", rows), list[str]()
    given = {"max_length": 200}
    with pytest.raises(InputError) as caught:
        align_file(source, tmp_path / "p", options(tiny_model, **given), warn=told.append)
    says = ["repeats an earlier row (1 row: 25)", "TRL drops the row (1 row: 26)"]
    assert all(one in str(caught.value) for one in [*says, "--check warn"])
    assert not any(one in words for words in told for one in says)  # they are said once
    assert not (tmp_path / "p").exists()
    accepted = options(tiny_model, check="warn", **given)
    report = align_file(source, tmp_path / "p", accepted, warn=told.append)
    assert all(any(one in words for words in told) for one in says)
    record = report.record
    assert (record["rows"], record["rows_trained_on"]) == (26, 25)
    assert len(record["findings"][source]) == 2
    assert record["settings"]["max_length"] == 200


def test_the_held_out_file_is_looked_at_too(tmp_path: Path, tiny_model: Path):
    held_out = put(tmp_path / "held.jsonl", [{**PAIRS[0], "chosen": PAIRS[0]["rejected"]}])
    with pytest.raises(InputError, match="is a held-out prompt too"):
        aligned(tmp_path, tiny_model, held_out=held_out)
    other = {**LABELLED[0], "prompt": said("Milk?", "user")}
    one_label = put(tmp_path / "held.jsonl", [other])
    record = aligned(tmp_path, tiny_model, method="kto", held_out=one_label).record
    assert record["held_out_figures"]["after"].keys() == {"loss"}  # no margin of one class
    with pytest.raises(InputError, match=r"held.jsonl.*chosen: missing"):
        aligned(tmp_path, tiny_model, "other", held_out=put(tmp_path / "held.jsonl", [other]))


def test_classes_are_balanced_by_the_weights_of_their_labels(tmp_path: Path, tiny_model: Path):
    made = aligned(tmp_path, tiny_model, method="kto").record
    assert (made["settings"]["desirable_weight"], made["settings"]["undesirable_weight"]) == (
        1.0,
        round(16 / 8 / (7 / 6), 2),
    )
    assert made["configuration"]["undesirable_weight"] == 1.71


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "has no rows"),
        ([[1, 2]], "an object with columns"),
        ([{"prompt": "a"}], "chosen: missing"),
        ([{**PAIRS[0], "chosen": None}], "chosen: null"),
        (LABELLED, "chosen: missing"),
        ([PAIRS[0], {"prompt": "a", "chosen": "b", "rejected": "c"}], "give all rows one form"),
        ([{**PAIRS[0], "chosen": said("")}], "chosen: is empty"),
        ([PAIRS[0], {**PAIRS[1], "tools": [{"name": "t"}]}], "row 2, tools: TRL renders it"),
        ([{**PAIRS[0], "chat_template_kwargs": {"a": 1}}], "row 1, chat_template_kwargs: TRL"),
        ([{**PAIRS[0], "chosen": said("\ud83d half")}], "half of a surrogate pair"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_named(
    tmp_path: Path, tiny_model: Path, rows: list[Any], says: str
):
    with pytest.raises(InputError, match=says):
        align_file(put(tmp_path / "rows.jsonl", rows), tmp_path / "p", options(tiny_model))
    assert not (tmp_path / "p").exists()


def test_a_file_for_the_other_method_is_named(tmp_path: Path, tiny_model: Path):
    source = put(tmp_path / "rows.jsonl", PAIRS)
    with pytest.raises(InputError, match="stands beside `rejected`"):
        align_file(source, tmp_path / "p", options(tiny_model, method="kto"))


def test_a_half_written_file_is_named_whatever_is_accepted(tmp_path: Path, tiny_model: Path):
    source = put(tmp_path / "rows.jsonl", PAIRS)
    text = Path(source).read_text("utf-8")
    Path(source).write_text(text[: len(text) - 20], "utf-8")
    for check in ("error", "warn"):
        with pytest.raises(InputError, match="row 24: is not whole and valid JSON"):
            align_file(source, tmp_path / "p", options(tiny_model, check=check))


def test_one_pair_is_trained_on(tmp_path: Path, tiny_model: Path):
    row = {**PAIRS[0], "chosen": said("a\x00b \U0001f44d\U0001f3fd"), "rejected": said("no " * 400)}
    report = align_file(put(tmp_path / "one.jsonl", [row]), tmp_path / "p", options(tiny_model))
    assert (report.computed, report.record["rows_trained_on"]) == (2, 1)
    assert not same(tmp_path / "p", tiny_model)


def test_whole_conversations_and_texts_are_read_as_trl_reads_them(tmp_path: Path, tiny_model: Path):
    whole = [
        {side: [*row["prompt"], *row[side]] for side in ("chosen", "rejected")} for row in PAIRS
    ]
    source = put(tmp_path / "whole.jsonl", whole)
    aligned(tmp_path, tiny_model, "explicit")
    align_file(source, tmp_path / "implicit", options(tiny_model))
    assert same(tmp_path / "explicit", tmp_path / "implicit")
    texts = [
        {name: row[name][0]["content"] for name in ("prompt", "chosen", "rejected")}
        for row in PAIRS
    ]
    told: list[str] = []
    source = put(tmp_path / "texts.jsonl", texts)
    align_file(source, tmp_path / "texts", options(tiny_model), warn=told.append)
    assert any("without the model's chat template" in one for one in told)


def test_a_template_of_ones_own_is_trained_with_and_saved(tmp_path: Path, tiny_model: Path):
    (tmp_path / "t.jinja").write_text(TEMPLATES["gemma"], "utf-8")
    aligned(tmp_path, tiny_model, policy_chat_template=tmp_path / "t.jinja")
    saved = AutoTokenizer.from_pretrained(tmp_path / "policy").chat_template
    assert saved == TEMPLATES["gemma"]
    assert "<turn>" in AutoTokenizer.from_pretrained(tmp_path / "policy").apply_chat_template(
        PAIRS[0]["prompt"], tokenize=False
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"trl": {"lerning_rate": "1"}}, "Did you mean 'learning_rate'"),
        ({"trl": {"warmup_steps": "many"}}, "TRL does not take"),
        ({"loss": "exo_pair"}, "Label smoothing must be greater than 0"),
        ({"trl": {"loss_type": "no such"}}, "TRL does not take .* Unknown loss type"),
        ({"trl": {"f_divergence_type": "nope"}}, "TRL does not take .* Unknown f_divergence_type"),
        ({"trl": {"lr_scheduler_type": "cosine_with_min_lr"}}, "TRL does not take .*min_lr"),
        ({"trl": {"lr_scheduler_kwargs": '{"nonsense": 1}'}}, "TRL does not take .*nonsense"),
        ({"trl": {"optim": "adamw_bnb_8bit"}}, "TRL does not take .*bitsandbytes"),
        ({"dtype": "fp16"}, "--dtype fp16 is for GPUs"),
        ({"device": "cuda"}, "--device cuda: cpu or one of the 0"),
        ({"method": "kto", "micro_batch": 1}, "compares rows with their neighbours"),
        ({"policy_revision": "main"}, "is no Hugging Face id"),
        ({"held_out": "-"}, "give a file in place of -"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    tmp_path: Path, tiny_model: Path, given: dict[str, Any], says: str
):
    with pytest.raises(OptionError, match=says):
        aligned(tmp_path, tiny_model, **given)
    assert not (tmp_path / "policy").exists()


def test_an_error_after_that_is_no_matter_of_settings(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trl, "_evaluated", lambda _: json.loads("no JSON"))
    with pytest.raises(json.JSONDecodeError):  # which is a ValueError
        aligned(tmp_path, tiny_model, held_out=put(tmp_path / "h.jsonl", PAIRS[:1]), check="warn")


def test_settings_reach_trl_and_losses_of_all_kinds_train(tmp_path: Path, tiny_model: Path):
    given: dict[str, Any] = {"loss": "ipo", "trl": {"lr_scheduler_type": "constant"}}
    record = aligned(tmp_path, tiny_model, **given).record
    assert record["loss_type"] == "ipo"
    assert record["loss"]["first"] == pytest.approx(25.0, abs=0.1)  # (0 - 1 / (2 * 0.1)) ** 2
    assert record["configuration"]["lr_scheduler_type"] == "constant"
    assert {rate for _, rate in record["curves"]["learning_rate"]} == {1e-3}
    both = {"trl": {"loss_type": '["sigmoid", "sft"]', "loss_weights": "[1.0, 0.5]"}}
    assert aligned(tmp_path, tiny_model, "both", **both).record["loss_type"] == "sigmoid+sft"


def test_bf16_is_computed_in_and_weights_stay_fp32(tmp_path: Path, tiny_model: Path):
    record = aligned(tmp_path, tiny_model, dtype="bf16").record
    assert record["settings"]["bf16"]
    assert {one.dtype for one in weights(tmp_path / "policy").values()} == {torch.float32}


def test_nothing_is_said_but_what_we_say(
    tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]
):
    held_out = put(tmp_path / "h.jsonl", [{**PAIRS[0], "prompt": said("Milk?", "user")}])
    aligned(tmp_path, tiny_model, lora=True, held_out=held_out)
    aligned(tmp_path, tiny_model, "kto", method="kto")
    assert capfd.readouterr() == ("", "")


def test_what_trl_warns_of_is_passed_on(tmp_path: Path, tiny_model: Path):
    """A template that renders the prompt alone otherwise than before its answer."""
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\nWell: {% endif %}"
    )
    (tmp_path / "t.jinja").write_text(template, "utf-8")
    told: list[str] = []
    source = put(tmp_path / "rows.jsonl", PAIRS)
    made = options(tiny_model, policy_chat_template=tmp_path / "t.jinja")
    align_file(source, tmp_path / "p", made, warn=told.append)
    assert any("TRL: The tokenized prompt is not a prefix" in one for one in told)


def test_the_card_says_how_the_policy_was_made(tmp_path: Path, tiny_model: Path):
    record = aligned(tmp_path, tiny_model).record
    text = (tmp_path / "policy" / "README.md").read_text("utf-8")
    source = tmp_path / "rows.jsonl"
    for said_of in (str(tiny_model), str(source), runs.file_sha256(source), "0.001", "1.16"):
        assert said_of in text
    for name in record["settings"]:
        assert f"| {name} |" in text


def test_a_library_that_is_missing_is_worded(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run, "find_spec", lambda name: None if name == "trl" else True)
    with pytest.raises(OptionError, match=r"flr align needs trl.*pip install '.\[train\]'"):
        aligned(tmp_path, tiny_model)


def test_a_broken_policy_is_worded(tmp_path: Path, tiny_model: Path):
    (tmp_path / "broken").mkdir()
    for path in tiny_model.iterdir():
        (tmp_path / "broken" / path.name).write_bytes(path.read_bytes())
    save_file({"lm_head.weight": torch.zeros(2, 2)}, tmp_path / "broken" / "model.safetensors")
    with pytest.raises(ModelError, match="broken: cannot be loaded"):
        aligned(tmp_path, tmp_path / "broken")
    assert not (tmp_path / "policy").exists()

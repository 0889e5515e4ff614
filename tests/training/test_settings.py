"""Options become TRL's settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import ModelError, OptionError
from flr.training import trl
from flr.training.job import Job
from flr.training.options import LOSSES, PreferenceOptions
from flr.training.settings import COMPARING, Machine, preferences_shared_out, settings
from tests.training.small import aligned

CPU, GPU = Machine(device="cpu", dtype="fp32"), Machine(device="cuda", dtype="bf16")


def made(machine: Machine = CPU, /, *, labels: Any = (), **given: Any) -> dict[str, Any]:
    options = PreferenceOptions(**given)
    return settings(options, machine, trl.setting_names(options.method), seed=3, labels=labels)


@pytest.mark.parametrize("method", LOSSES)
@pytest.mark.parametrize("machine", [CPU, GPU])
def test_trl_has_every_setting_that_it_is_given(method: Any, machine: Machine):
    given = made(machine, method=method, labels=[True, False, False])
    assert given.keys() <= set(trl.setting_names(method))
    assert given["seed"] == 3
    assert given["max_length"] == 2048
    assert given["precompute_ref_log_probs"]


def test_the_learning_rate_of_an_adapter_is_ten_times_that_of_all_weights():
    assert made()["learning_rate"] == 1e-6
    assert made(lora=True)["learning_rate"] == 1e-5
    assert made(lora=True, learning_rate=3e-4)["learning_rate"] == 3e-4


def test_a_cpu_gets_what_trl_needs_there_and_a_gpu_what_it_can():
    cpu, gpu = made(CPU), made(GPU)
    assert (cpu["use_cpu"], cpu["bf16"], cpu["dataloader_pin_memory"]) == (True, False, False)
    assert (gpu["use_cpu"], gpu["bf16"], gpu["dataloader_pin_memory"]) == (False, True, True)
    assert made(Machine(device="cpu", dtype="bf16"))["bf16"]
    names = trl.setting_names("dpo")
    large = settings(PreferenceOptions(), GPU, names, seed=0, weight_bytes=2**33)
    on_cpu = settings(PreferenceOptions(), CPU, names, seed=0, weight_bytes=2**33)
    for name in {"activation_checkpointing", "gradient_checkpointing"} & large.keys():
        assert (cpu[name], gpu[name], large[name], on_cpu[name]) == (False, False, True, False)


def test_an_adapter_that_is_shared_out_is_asked_beside_the_training():
    sharded = Machine(device="cuda", dtype="bf16", processes=2, sharded=True)
    name = "precompute_ref_log_probs"
    assert [made(sharded, lora=lora)[name] for lora in (False, True)] == [True, False]
    assert made(GPU, lora=True)[name]
    assert made(sharded, lora=True, trl={name: "true"})[name]


def test_what_accelerate_says_of_sharing_out_is_heard(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    jobs: list[Job] = []

    def train(job: Job, *_: Any) -> None:
        jobs.append(job)
        raise ModelError("enough")

    monkeypatch.setattr(trl, "train", train)
    with pytest.raises(ModelError, match="enough"):
        aligned(tmp_path, tiny_model, lora=True)
    assert not jobs[0].settings["precompute_ref_log_probs"]


def test_an_older_configuration_gets_the_older_name():
    known = set(trl.setting_names("dpo")) - {"activation_checkpointing"}
    assert "gradient_checkpointing" in settings(PreferenceOptions(), CPU, known, seed=0)


def test_the_limit_is_what_the_policy_takes():
    names = trl.setting_names("dpo")
    for longest, expected in ((512, 512), (None, 2048), (8192, 2048)):
        given = settings(PreferenceOptions(), CPU, names, seed=0, longest=longest)
        assert given["max_length"] == expected


def test_what_is_given_for_trl_goes_before_ours():
    given = made(trl={"beta": "0.3", "max_length": "null", "lr_scheduler_type": "cosine"})
    assert (given["beta"], given["max_length"], given["lr_scheduler_type"]) == (0.3, None, "cosine")


def test_classes_are_balanced_by_weights_unless_they_are_given():
    labels = [True] * 2 + [False] * 6
    assert made(method="kto", labels=labels)["desirable_weight"] == 3.5  # 7/6 * 6/2
    given = made(method="kto", labels=labels, trl={"undesirable_weight": "0.5"})
    assert (given.get("desirable_weight"), given["undesirable_weight"]) == (None, 0.5)
    assert "desirable_weight" not in made(method="kto", labels=[True, True])
    assert "desirable_weight" not in made(labels=labels)


@given(batch=st.integers(1, 64), micro=st.integers(1, 64), processes=st.sampled_from([1, 2, 4, 8]))
def test_a_batch_is_shared_out_whole(batch: int, micro: int, processes: int):
    options = PreferenceOptions(batch_size=batch, micro_batch=micro)
    machine = Machine(device="cuda", dtype="bf16", processes=processes)
    if batch % processes:
        with pytest.raises(OptionError, match=f"give a multiple of {processes}"):
            preferences_shared_out(options, machine)
        return
    held, times = preferences_shared_out(options, machine)
    assert held * times * processes == batch
    assert held <= micro


def test_kto_refuses_to_compare_a_row_with_itself():
    for batch, micro in ((7, 4), (4, 1)):
        options = PreferenceOptions(method="kto", batch_size=batch, micro_batch=micro)
        with pytest.raises(OptionError, match="compares rows with their neighbours"):
            preferences_shared_out(options, GPU)
    free = PreferenceOptions(method="kto", batch_size=7, loss="apo_zero_unpaired")
    assert preferences_shared_out(free, GPU) == (1, 7)


@pytest.mark.parametrize("machine", [CPU, GPU])
@pytest.mark.parametrize("loss", LOSSES["dpo"])
@pytest.mark.parametrize("how", ["flr", "trl", "among others"])
def test_no_loss_compares_a_row_with_itself(loss: str, how: str, machine: Machine):
    asked: dict[str, Any] = {
        "flr": {"loss": loss},
        "trl": {"trl": {"loss_type": loss}},
        "among others": {"trl": {"loss_type": f'["sigmoid", "{loss}"]'}},
    }[how]
    options = PreferenceOptions(**asked)
    if loss not in COMPARING:
        assert preferences_shared_out(options, machine)[0] == (1 if machine is CPU else 4)
        return
    assert preferences_shared_out(options, machine) == (4, 4)
    with pytest.raises(OptionError, match="compares rows with their neighbours"):
        preferences_shared_out(replace(options, batch_size=7), machine)


def test_pairs_are_trained_on_one_by_one_on_cpu_unless_told_otherwise():
    assert preferences_shared_out(PreferenceOptions(), CPU) == (1, 16)
    assert preferences_shared_out(PreferenceOptions(), GPU) == (4, 4)
    assert preferences_shared_out(PreferenceOptions(micro_batch=2), CPU) == (2, 8)
    assert preferences_shared_out(PreferenceOptions(method="kto"), CPU) == (4, 4)


def test_a_setting_that_trl_has_not_is_refused_with_the_nearest():
    with pytest.raises(OptionError, match="Did you mean 'warmup_steps'"):
        made(trl={"warmup_step": "3"})

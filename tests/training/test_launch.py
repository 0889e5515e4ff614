"""Several processes train together: one folder, one voice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from accelerate.commands.config.config_args import ClusterConfig
from safetensors.torch import load_file

from tests.training.small import PAIRS, aligned, put

DOCS = Path(__file__).parents[2] / "docs"

ON_CPU = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "MULTI_GPU",  # with use_cpu, gloo; accelerate has no word for it
    "use_cpu": True,
    "num_processes": 2,
    "num_machines": 1,
    "machine_rank": 0,
    "mixed_precision": "no",
}


def launched(tmp: Path, policy: Path, *more: str) -> tuple[str, dict[str, Any]]:
    """What two processes print, and the record."""
    output, config = tmp / "together", tmp / "cpu.yaml"
    config.write_text(yaml.safe_dump(ON_CPU))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config)]
    command += ["-m", "flr", "align", str(tmp / "rows.jsonl"), "-o", str(output)]
    command += ["--policy", str(policy), "--batch-size", "4", "--learning-rate", "1e-3"]
    command += ["--dtype", "fp32", "--threads", "1", "--device", "cpu", "--save-steps", "2", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stderr.split()), json.loads((output / "align.json").read_text("utf-8"))


def test_two_processes_make_one_model_as_one_does(tmp_path: Path, tiny_model: Path):
    put(tmp_path / "rows.jsonl", PAIRS)
    shown, record = launched(tmp_path, tiny_model)
    alone = aligned(tmp_path, tiny_model).record
    assert (record["steps"], record["machine"]["processes"]) == (6, 2)
    settings = record["settings"]
    held = settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"]
    assert held == 2, "of the batch of four"
    assert record["tokens"] == alone["tokens"]
    one, other = (
        load_file(tmp_path / name / "model.safetensors") for name in ("policy", "together")
    )
    for name, value in one.items():  # summed in another order
        torch.testing.assert_close(other[name], value, atol=2e-4, rtol=1e-3)
    assert shown.count("flr sample PROMPTS --policy") == 1
    assert {path.name for path in (tmp_path / "together").iterdir()} == {
        path.name for path in (tmp_path / "policy").iterdir()
    }


def test_the_configuration_of_the_docs_is_one(tmp_path: Path):
    path = DOCS / "align-fsdp.yaml"
    assert ClusterConfig.from_yaml_file(str(path)).distributed_type == "FSDP"
    given = yaml.safe_load(path.read_text("utf-8"))
    assert given["fsdp_config"]["fsdp_version"] == 2

"""What was trained as a folder that transformers loads: the whole model, or an adapter, checked."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open

from flr import models
from flr.files import write_text
from flr.sources import Source
from flr.training.job import Job, astray, load_base


def saved(job: Job, trainer: Any, own: Sequence[Any]) -> Path:
    """The folder with what was trained, whole; written by the main process.

    The configuration and the generation settings are the policy's `own`: training changes them, and
    without a cache of keys, say, the model would be slow ever after.
    """
    args, place = trainer.args, job.work / "model"
    if args.process_index == 0:
        shutil.rmtree(place, ignore_errors=True)
    args.distributed_state.wait_for_everyone()
    if trainer.is_fsdp_enabled:
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(str(place))
    if args.process_index != 0:
        return place
    (place / "training_args.bin").unlink(missing_ok=True)  # a pickle, of this machine
    _check_finite(job, place)
    if job.adapter and job.merged:
        return _merged(job, place)
    if job.adapter:
        _name_base(job.base, place / "adapter_config.json")
        return place
    for one in own:
        one.save_pretrained(place)
    return place


def _name_base(policy: Source, path: Path) -> None:
    """Says in an adapter's configuration which policy it is for, as it is named everywhere."""
    is_local = Path(policy.name).expanduser().exists()
    name = str(policy.folder.resolve()) if is_local else policy.name
    told = {**json.loads(path.read_text("utf-8")), "base_model_name_or_path": name}
    write_text(path, json.dumps(told, indent=2) + "\n")


def _check_finite(job: Job, place: Path) -> None:
    """Raises where a weight is no number: the last step may have done it."""
    for path in sorted(place.glob("*.safetensors")):
        with safe_open(path, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118 - it is no mapping
                if not weights.get_tensor(name).isfinite().all():
                    raise astray(job, f"a weight of {name}")


def _merged(job: Job, adapter: Path) -> Path:
    """The policy with the adapter as part of its weights, beside the adapter."""
    adapted = Source(job.base.name, adapter, None, job.run_key)
    model = models.merge_adapter(load_base(job), adapted)
    place = job.work / "merged"
    shutil.rmtree(place, ignore_errors=True)
    model.save_pretrained(place)
    job.tokenizer.save_pretrained(place)
    return place

"""What cannot be is refused before anything is read."""

from typing import Any

import pytest

from flr.errors import OptionError
from flr.training import trl
from flr.training.options import LOSSES
from flr.training.preference import AlignOptions


def test_every_loss_that_is_listed_is_trls():
    _, configuration = trl.TRAINERS["dpo"]
    help_of = {f.name: f.metadata["help"] for f in configuration.__dataclass_fields__.values()}
    assert all(f"`'{loss}'`" in help_of["loss_type"] for loss in LOSSES["dpo"])
    _, configuration = trl.TRAINERS["kto"]
    choices = configuration.__dataclass_fields__["loss_type"].metadata["choices"]
    assert tuple(choices) == LOSSES["kto"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"loss": "sigmoyd"}, "Did you mean 'sigmoid'"),
        ({"loss": "ipo", "method": "kto"}, "kto, apo_zero_unpaired was expected"),
        ({"loss": ""}, "--loss"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"beta": -1.0}, "--beta -1.0"),
        ({"epochs": float("inf")}, "--epochs inf"),
        ({"max_steps": 0}, "--max-steps 0"),
        ({"lora_rank": 0}, "--lora-rank 0"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"micro_batch": -1}, "--micro-batch -1"),
        ({"save_steps": 0}, "--save-steps 0"),
        ({"max_length": 1}, "--max-length 1"),
        ({"trl": {"output_dir": "/"}}, "--trl.output_dir: flr sets it"),
        ({"trl": {"save_strategy": "no"}}, "give --save-steps"),
        ({"device": "cuda:1"}, "CUDA_VISIBLE_DEVICES"),
        ({"device_map": "auto"}, "models that are not trained"),
        ({"quantization": "nf4"}, "models that are not trained"),
        ({"keep_adapter": True}, "--keep-adapter is for --lora"),
        ({"seed": -1}, "--seed -1"),
        ({"threads": 0}, "--threads 0"),
    ],
)
def test_options_that_cannot_be_are_refused(given: dict[str, Any], says: str):
    with pytest.raises(OptionError, match=says):
        AlignOptions(**given)

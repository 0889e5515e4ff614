import pytest
import torch

from flr import devices
from flr.errors import OptionError


def test_dtype_is_a_rule_and_not_a_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    for supported, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda s=supported: s)
        assert devices.pick_dtype("auto", "cpu") == expected
    for capability, expected in (((9, 0), "bf16"), ((7, 5), "fp16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert devices.pick_dtype("auto", "cuda:0") == expected
    assert devices.pick_dtype("fp16", "cpu") == "fp16"


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "mps", "cpu:x"])
def test_a_device_that_is_not_here_is_refused(device: str) -> None:
    with pytest.raises(OptionError, match="--device"):
        devices.check_device(device)
    devices.check_device("cpu")

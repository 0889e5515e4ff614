"""Which device a model runs on, and in which dtype: fixed rules of what the machine has."""

import platform
from typing import Literal

import torch

from flr.errors import OptionError

Dtype = Literal["auto", "bf16", "fp16", "fp32"]
THREADS = torch.get_num_threads()
"""CPU threads that torch takes by itself on this machine."""

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


def pick_device() -> str:
    """`cuda` where torch sees a GPU, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def gpus() -> int:
    """How many GPUs torch sees."""
    return torch.cuda.device_count()


def pick_dtype(asked: Dtype, device: str) -> str:
    """The dtype by a fixed rule of device and processor flags; no timing, so it never wavers.

    `auto` is bf16 where the processor multiplies it natively (CUDA compute capability 8.0 and up,
    CPU flags avx512_bf16 or amx_bf16), fp16 on older GPUs, fp32 on other CPUs.
    """
    if asked != "auto":
        return asked
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= 8 else "fp16"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if native else "fp32"


def describe_device(device: str) -> str:
    """The kind of processor, as far as it changes the bits of a result."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    flags = (("avx512_bf16", torch.cpu._is_avx512_bf16_supported()),)
    flags += (("amx", torch.cpu._is_amx_tile_supported()),)
    names = [platform.machine(), torch.backends.cpu.get_cpu_capability()]
    return " ".join(["cpu", *names, *(name for name, found in flags if found)])


def check_device(device: str) -> None:
    """Raises where torch has no such device here.

    Raises:
        OptionError: no device of this name, or not on this machine.
    """
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    here = found is not None and (
        found.type == "cpu"
        or (found.type == "cuda" and (found.index or 0) < torch.cuda.device_count())
    )
    if not here:
        raise OptionError(
            f"--device {device}: cpu or one of the {torch.cuda.device_count()} CUDA devices of "
            "this machine was expected (cuda, cuda:0, ...)"
        )

"""Linear layers by oneDNN: the numbers of torch's own, and the model as it was afterwards."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from flr.engines import linear
from flr.engines.linear import Linears
from tests.engines.tiny import build

needs_onednn = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this build of torch is without oneDNN"
)


def model(dtype: torch.dtype = torch.float32) -> Any:
    torch.manual_seed(0)
    layers = (nn.Linear(24, 40), nn.ReLU(), nn.Linear(40, 16, bias=False))
    return nn.Sequential(*layers).to(dtype).eval()


@needs_onednn
@pytest.mark.parametrize("most", [0, 2**30])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 129)])
@torch.inference_mode()
def test_products_are_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, most: int, dtype: torch.dtype, shape: tuple[int, int]
):
    monkeypatch.setattr(linear, "LAID_OUT_BYTES", most)
    made = model(dtype)
    states = torch.randn(*shape, 24, dtype=dtype)
    expected = made(states)
    native = dtype == torch.float32 or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    with Linears(made).taken_over():
        assert ("forward" in made[0].__dict__) == native
        found = made(states)
    if dtype == torch.bfloat16:
        assert torch.equal(found, expected), "the same kernel"
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@needs_onednn
@pytest.mark.parametrize("failing", [False, True])
def test_layers_are_as_they_were_afterwards(failing: bool):
    made = build("llama")
    layers = [part for part in made.modules() if type(part) is nn.Linear]
    linears = Linears(made)
    try:
        with linears.taken_over():
            assert all("forward" in layer.__dict__ for layer in layers)
            if failing:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert not any("forward" in layer.__dict__ for layer in layers)


@needs_onednn
def test_what_others_have_changed_is_left_alone():
    class Own(nn.Linear):
        pass

    made: Any = nn.Sequential(Own(4, 4), nn.Linear(4, 4), nn.Linear(4, 4, dtype=torch.float64))
    theirs = made[1].forward = lambda states: states
    with Linears(made).taken_over():
        assert "forward" not in made[0].__dict__
        assert made[1].forward is theirs
        assert "forward" not in made[2].__dict__
    assert made[1].forward is theirs


@needs_onednn
def test_weights_that_change_are_laid_out_anew():
    made = model()
    linears = Linears(made)
    states = torch.randn(5, 24)
    with torch.inference_mode(), linears.taken_over():
        before = made(states)
    with torch.no_grad():
        made[0].weight.mul_(3)
        made[2].weight = nn.Parameter(torch.randn(16, 40))
    with torch.inference_mode(), linears.taken_over():
        found = made(states)
    torch.testing.assert_close(found, made(states), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found, before)


@needs_onednn
def test_what_is_replaced_later_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    made = model()
    linears = Linears(made)
    monkeypatch.setattr(made[0], "forward", lambda states: states @ torch.ones(24, 40))
    theirs = made[0].forward
    with linears.taken_over():
        assert made[0].forward is theirs
    assert made[0].forward is theirs


@needs_onednn
@pytest.mark.parametrize("inference", [True, False])
def test_changes_behind_autograd_s_back_are_seen(inference: bool):
    """As PEFT merges an adapter, and in-place changes of a model that was built for inference."""
    with torch.inference_mode(inference):
        made = model()
    linears = Linears(made)
    states = torch.randn(5, 24)
    with torch.inference_mode():
        with linears.taken_over():
            made(states)
        made[0].weight.data += torch.randn(40, 24)
        with linears.taken_over():
            found = made(states)
        torch.testing.assert_close(found, made(states), atol=1e-5, rtol=1e-5)


def test_what_a_hook_computes_and_what_is_empty_is_left_alone():
    pruned = prune.l1_unstructured(nn.Linear(4, 4), "weight", amount=2)
    empty = nn.Linear(4, 4)
    empty.weight = nn.Parameter(torch.empty(0, 4))
    made = nn.Sequential(pruned, empty)
    with Linears(made).taken_over():
        assert not any("forward" in layer.__dict__ for layer in made)


def test_a_build_without_onednn_multiplies_as_it_did(monkeypatch: pytest.MonkeyPatch):
    def lacking(*_: object) -> None:
        raise AttributeError("no such operation")

    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(type(torch.ops.mkldnn), "__getattr__", lacking)
    made = model()
    states = torch.randn(5, 24)
    with Linears(made).taken_over():
        found = made(states)
    assert torch.equal(found, made(states))

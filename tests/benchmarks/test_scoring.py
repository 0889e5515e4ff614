"""The ways that `benchmarks/scoring.py` times say the same, and its peers get the same weights."""

from itertools import chain
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from benchmarks import scoring
from benchmarks.peers import gguf_file
from flr.engines.base import Request
from flr.engines.hf import HFEngine
from tests.engines.tiny import build

CONTEXTS = ((1, 2, 3, 4, 5, 6), (1, 2, 3, 9, 9))
CONTINUATIONS = ((7,), (7, 8), (11, 12, 13, 14), (20,))
ROWS = [
    Request((*before, *after), len(before), len(before) + len(after))
    for before in CONTEXTS
    for after in CONTINUATIONS
]


@pytest.mark.parametrize("cached", [1, 10, 1000])
def test_every_way_says_the_same(monkeypatch: pytest.MonkeyPatch, cached: int):
    monkeypatch.setattr(scoring, "CACHED_TOKENS", cached)
    model = build("llama")
    ways = {
        "published": scoring.published(model),
        "kv-reuse": scoring.kv_reuse(model),
        "flr": scoring.of_flr(HFEngine(model)),
        "flr-as-laid": scoring.of_flr(scoring.as_laid(model)),
    }
    found = {name: way(ROWS)[1] for name, way in ways.items()}
    for name in ("kv-reuse", "flr", "flr-as-laid"):
        np.testing.assert_allclose(found[name], found["published"], atol=1e-4)


def test_rows_of_one_context_go_together():
    assert [len(group) for group in scoring.by_context(ROWS)] == [4, 4]
    assert list(chain.from_iterable(scoring.by_context(ROWS))) == ROWS


def test_seconds_are_scaled_to_all_rows_and_compared():
    model = build("llama")
    own = scoring.published(model)

    def slow(rows):
        return float(len(rows)), [value + 0.5 for value in own(rows)[1]]

    ways = {"flr": lambda rows: (2.0, own(rows)[1]), "lm-eval": slow, "published": own}
    many = ROWS * 4
    found = scoring.measure(ways, many, turns=2)
    assert found["lm-eval"]["seconds"] == [32.0, 32.0]
    assert (found["lm-eval"]["rows_timed"], found["lm-eval"]["over_flr"]) == (8, 16.0)
    assert found["lm-eval"]["largest_difference"] == pytest.approx(0.5)
    assert found["flr"]["largest_difference"] == 0


def test_the_work_is_that_of_unique_tokens():
    model = build("llama")
    once, twice = scoring.work(model, ROWS), scoring.work(model, ROWS + ROWS)
    assert once == twice < scoring.work(model, ROWS[:4]) + scoring.work(model, ROWS[4:])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("tied", [True, False])
def test_a_gguf_file_holds_the_weights(tmp_path: Path, dtype: torch.dtype, tied: bool):
    model: Any = build("llama", tie_word_embeddings=tied)
    model.to(dtype)
    gguf_file.write(model, tmp_path / "model.gguf")
    reader = gguf.GGUFReader(tmp_path / "model.gguf")
    found = {one.name: one for one in reader.tensors}
    weights = model.state_dict()
    layers = model.config.num_hidden_layers
    assert len(found) == 2 + 9 * layers + (not tied)

    def numbers(name: str) -> torch.Tensor:
        one = found[name]
        raw = torch.from_numpy(np.array(one.data))
        return raw.view(torch.bfloat16) if one.tensor_type.name == "BF16" else raw

    for name, theirs in (
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight"),
        ("blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ):
        assert torch.equal(numbers(name).float(), weights[theirs].float())
    # Rows 0 and 1 of a head there are the first of its two halves here.
    query = weights["model.layers.0.self_attn.q_proj.weight"]
    width = model.config.head_dim
    assert torch.equal(numbers("blk.0.attn_q.weight")[1], query[width // 2])
    assert torch.equal(numbers("blk.0.attn_q.weight")[width + 2], query[width + 1])

"""The ways that `benchmarks/scoring.py` times say the same, and its peers get the same weights."""

import os
import sys
import time
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


@pytest.mark.parametrize("at_once", [1, 3, 1000])
def test_every_way_says_the_same(monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(scoring, "AT_ONCE", at_once)
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


@pytest.fixture
def ways() -> dict[str, scoring.Way]:
    own = scoring.published(build("llama"))

    def slow(rows):
        return float(len(rows)), [value + 0.5 for value in own(rows)[1]]

    return {"flr": lambda rows: (2.0, own(rows)[1]), "lm-eval": slow, "published": own}


def test_seconds_are_scaled_to_all_rows_and_compared(ways):
    rates = iter([3.0, 4.0])
    found, measured = scoring.measure(ways, ROWS * 4, 2, lambda: next(rates), 1.0)
    assert measured == [3.0, 4.0]
    assert found["lm-eval"]["seconds"] == [32.0, 32.0]
    assert (found["lm-eval"]["rows_timed"], found["lm-eval"]["over_flr"]) == (8, 16.0)
    assert found["lm-eval"]["largest_difference"] == pytest.approx(0.5)
    assert found["lm-eval"]["largest_difference_to_flr"] == pytest.approx(0.5)
    assert (found["flr"]["largest_difference"], found["flr"]["rows_timed"]) == (0, 32)


def test_a_way_that_says_something_else_is_an_error(ways):
    with pytest.raises(AssertionError, match=r"lm-eval differs by 0\.5"):
        scoring.measure(ways, ROWS, 1, lambda: 1.0, 0.4)


def test_every_turn_begins_with_another(ways):
    asked: list[str] = []

    def told(name: str) -> scoring.Way:
        return lambda rows: asked.append(name) or ways[name](rows)

    scoring.measure({name: told(name) for name in ways}, ROWS, 3, lambda: 1.0, 1.0)
    turns = [asked[at : at + 3] for at in range(len(asked) - 9, len(asked), 3)]
    assert [turn[0] for turn in turns] == list(ways)
    assert [sorted(turn) for turn in turns] == [sorted(ways)] * 3


STUB = """
import os, sys
sys.path.insert(0, {peers!r})
from worker import serve
serve(lambda rows: sys.exit(3) if len(rows) > 2 else [float(s) for _, s in rows], {{"stub": "1"}})
"""


def state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = tmp_path / "lm-eval" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    (tmp_path / "run_lm_eval.py").write_text(STUB.format(peers=str(scoring.PEERS)))
    monkeypatch.setattr(scoring, "PEERS", tmp_path)
    return tmp_path


def children() -> list[int]:
    tasks = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return [int(one) for one in tasks.split()]


def test_a_peer_is_stopped_between_jobs_and_gone_afterwards(environments: Path):
    before = children()
    with scoring.peer(environments, "lm-eval") as (way, versions):
        assert versions == {"stub": "1"}
        (process,) = set(children()) - set(before)
        for _ in range(2):
            assert way(ROWS[:2])[1] == [6.0, 6.0]
            deadline = time.monotonic() + 10
            while state(process) != "T":
                assert time.monotonic() < deadline
                time.sleep(0.01)
    assert process not in children()


def test_a_peer_that_ends_in_the_middle_is_an_error(environments: Path):
    with (
        pytest.raises(AssertionError, match="lm-eval ended"),
        scoring.peer(environments, "lm-eval") as (way, _),
    ):
        way(ROWS)


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

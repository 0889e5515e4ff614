import copy
from typing import Any

import numpy as np
import pytest
import torch

from flr.engines import attention, hf, prefix_tree
from flr.engines.base import LogitRequest, Request
from flr.engines.head import Head
from flr.engines.hf import HFEngine
from flr.errors import ModelError
from flr.models import load, load_tokenizer
from flr.sources import SMOLLM2, locate
from tests.engines import tiny

TOLERANCE = 1e-4
"""Largest difference to the plain full forward, nats a token."""

EVERYWHERE = "shared for every row"
IN_WINDOW = f"shared up to {tiny.WINDOW} tokens a row"
WHOLE = f"shared up to {tiny.CONTEXT} tokens a row"
SHORT = f"shared up to {tiny.LONG} tokens a row"

SHARING = {
    "llama": EVERYWHERE,
    "llama-dynamic": SHORT,
    "qwen2": EVERYWHERE,
    "qwen3": EVERYWHERE,
    "qwen3-moe": EVERYWHERE,
    "mistral": IN_WINDOW,
    "mixtral": EVERYWHERE,
    "gemma2": IN_WINDOW,
    "gemma2-wide": WHOLE,
    "gemma3": IN_WINDOW,
    "gemma3-wide": WHOLE,
    "phi3": EVERYWHERE,
    "phi3-longrope": SHORT,
    "gpt2": EVERYWHERE,
    "gpt2-scaled": EVERYWHERE,
    "gpt-neox": EVERYWHERE,
    "opt": EVERYWHERE,
    "olmo2": EVERYWHERE,
    "smollm3": EVERYWHERE,
    "granite": EVERYWHERE,
    "cohere": EVERYWHERE,
    "deepseek-v3": EVERYWHERE,
    "llama4": IN_WINDOW,
    "modernbert-decoder": IN_WINDOW,
    "gpt-oss": "plain for every row: its attention takes 's_aux'",
    "bloom": "plain for every row: its attention does not pass",
    "falcon-alibi": "plain for every row: its attention does not pass",
    "mamba": "plain for every row: it carries a recurrent state",
    "jamba": "plain for every row: it carries a recurrent state",
    "lfm2": "plain for every row: it has layers that are not plain attention (conv)",
}

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here"),
    ),
]


@pytest.fixture(autouse=True)
def _small_bushes(monkeypatch):
    """Trees of a test's size have trunks then, as large ones have."""
    monkeypatch.setattr(prefix_tree, "BUSH_TOKENS", 12)


def largest(engine: HFEngine, requests: list[Request], expected: list[list[float]]) -> float:
    return tiny.differences(engine.loglikelihoods(requests), expected).max()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", SHARING)
def test_every_architecture_equals_the_plain_full_forward(name, device):
    model = tiny.build(name)
    requests = tiny.forks()
    expected = tiny.oracle(model, requests)
    assert np.std([nats for tokens in expected for nats in tokens]) > 1, "a fault would not show"
    model = model.to(device)  # pyright: ignore
    engine = HFEngine(model, batch_tokens=40)
    assert str(engine.sharing).startswith(SHARING[name])
    rows = [request.tokens[:-1] for request in requests]
    sharable = sum(engine.sharing.takes(row) for row in rows)
    assert largest(engine, requests, expected) < TOLERANCE
    paths = {"shared": sharable, "plain": len(requests) - sharable}
    assert engine.tally.paths == {path: count for path, count in paths.items() if count}
    shared = [r for r in requests if engine.sharing.takes(r.tokens[:-1])]
    scored = {r.tokens[:at] for r in shared for at in range(r.start, r.stop)}
    alone = sum(r.stop - r.start for r in requests if r not in shared)
    assert engine.tally.positions == len(scored) + alone
    assert largest(HFEngine(model, batch_tokens=4096), requests, expected) < TOLERANCE
    plain = HFEngine(model, batch_tokens=200, share=False)
    assert largest(plain, requests, expected) < TOLERANCE
    assert plain.tally.paths == {"plain": len(requests)}
    assert plain.tally.positions == sum(r.stop - r.start for r in requests)
    # Frequencies that depend on the length have not stuck: short rows after long ones.
    assert largest(engine, requests[:10], expected[:10]) < TOLERANCE


def test_both_sides_of_a_changing_rope_are_reached():
    lengths = {len(request.tokens) for request in tiny.forks()}
    assert min(lengths) < tiny.WINDOW < tiny.LONG < max(lengths)


@pytest.mark.parametrize("name", ["llama-dynamic", "phi3-longrope"])
def test_frequencies_at_the_very_length_where_they_change(name):
    model = tiny.build(name)
    row = tuple(np.random.default_rng(5).integers(3, 64, tiny.LONG + 2).tolist())
    requests = [Request(row[:stop], stop - 4, stop) for stop in range(tiny.LONG - 1, len(row) + 1)]
    expected = tiny.oracle(model, requests)
    engine = HFEngine(model)
    for chosen in (range(4), range(3, -1, -1), (3, 1), (2, 0), (0,)):
        few = [requests[i] for i in chosen]
        assert largest(engine, few, [expected[i] for i in chosen]) < TOLERANCE


@pytest.mark.parametrize("budget", [1, 7, 64, 100_000])
def test_any_budget(budget):
    model = tiny.build("gemma2-wide")
    requests = tiny.forks()
    expected = tiny.oracle(model, requests)
    assert largest(HFEngine(model, batch_tokens=budget), requests, expected) < TOLERANCE


def test_each_shared_beginning_is_run_once():
    requests = tiny.forks()
    engine = HFEngine(tiny.build("llama"), batch_tokens=40)
    engine.loglikelihoods(requests)
    rows = [request.tokens[:-1] for request in requests]
    distinct = {row[: at + 1] for row in rows for at in range(len(row))}
    assert engine.tally.tokens_run == len(distinct)
    assert engine.tally.tokens_asked == sum(map(len, rows))


# --- lower precision


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _per_token(engine: HFEngine, requests: list[Request]) -> list[tuple[float, ...]]:
    return [answer.per_token for answer in engine.loglikelihoods(requests)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["llama", "qwen3", "gpt2", "gemma2-wide"])
def test_bf16_differs_from_plain_bf16_by_no_more_than_that_from_fp32(name, device):
    model = tiny.build(name)
    requests = tiny.forks()
    exact = tiny.oracle(model, requests)
    half = model.to(device, torch.bfloat16)  # pyright: ignore
    plain = HFEngine(half, share=False).loglikelihoods(requests)
    shared = HFEngine(half, batch_tokens=40).loglikelihoods(requests)
    own = _mean(tiny.differences(plain, exact))
    assert own > 1e-3
    assert _mean(tiny.differences(shared, [answer.per_token for answer in plain])) <= own


# --- the real model


@pytest.fixture(scope="module")
def smollm2():
    try:
        source = locate(SMOLLM2)
    except ModelError as absent:
        pytest.skip(str(absent))
    return load(source, dtype="fp32", device="cpu"), load_tokenizer(source)


def _real(tokenizer) -> list[Request]:
    talk = [
        ("Name the capital of France.", "Paris, on the Seine."),
        ("Write a haiku about rain.", "Soft rain on the roof, the cat listens in the dark."),
        ("How do I sort a list in Python?", "Turtles are green and live for a very long time."),
    ]
    followups = ["Thanks, just what I needed.", "That is not what I asked for.", "Thanks a lot!"]
    requests = []
    for prompt, response in talk:
        chat = [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": response},
            {"role": "user", "content": "@"},
        ]
        before = tokenizer.apply_chat_template(chat, tokenize=False).rpartition("@")[0]
        context = tuple(tokenizer(before, add_special_tokens=False).input_ids)
        for followup in followups:
            tokens = tuple(tokenizer(followup, add_special_tokens=False).input_ids)
            row = context + tokens
            requests.append(Request(row, len(context), len(row)))
    return requests


def test_smollm2_equals_the_plain_full_forward(smollm2):
    model, tokenizer = smollm2
    requests = _real(tokenizer)[::2]
    engine = HFEngine(model, batch_tokens=40)
    assert str(engine.sharing) == EVERYWHERE
    assert largest(engine, requests, tiny.oracle(model, requests)) < TOLERANCE


def test_smollm2_in_bf16_is_as_exact_shared_as_plain(smollm2):
    """Roundings of different order lie apart by more than each from fp32, in any two computations.

    So the measure of the difference is the one between two plain ones: sdpa and eager attention.
    """
    model, tokenizer = smollm2
    requests = _real(tokenizer)
    exact = _per_token(HFEngine(model, share=False), requests)
    half = copy.deepcopy(model).to(torch.bfloat16)
    shared = HFEngine(half).loglikelihoods(requests)
    plain = HFEngine(half, share=False).loglikelihoods(requests)
    half.set_attn_implementation("eager")
    eager = _per_token(HFEngine(half, share=False), requests)
    own = _mean(tiny.differences(plain, exact))
    floor = _mean(tiny.differences(plain, eager))
    apart = _mean(tiny.differences(shared, [answer.per_token for answer in plain]))
    print(f"nats a token: plain-fp32 {own:.3g}, sdpa-eager {floor:.3g}, shared-plain {apart:.3g}")
    assert _mean(tiny.differences(shared, exact)) < 1.5 * own
    assert apart < 1.5 * floor


# --- what goes wrong


def test_weights_that_are_not_numbers():
    model = tiny.build("llama")
    model.get_output_embeddings().weight.data[3] = float("nan")  # pyright: ignore
    for share in (True, False):
        with pytest.raises(ModelError, match=r"not finite numbers in torch\.float32"):
            HFEngine(model, share=share).loglikelihoods(tiny.forks())


@pytest.mark.parametrize("wrong", [tiny.VOCABULARY, 10**6, -1])
def test_a_token_outside_the_vocabulary(wrong):
    engine = HFEngine(tiny.build("llama"))
    for row in ((wrong, 5, 6), (5, 6, wrong)):
        with pytest.raises(ModelError, match=rf"{wrong}\b.* vocabulary has {tiny.VOCABULARY}: "):
            engine.loglikelihoods([Request((5, 6, 7), 1, 3), Request(row, 2, 3)])
    with pytest.raises(ModelError, match="vocabulary"):
        engine.mean_logits([LogitRequest((5, 6), (wrong,))])


def test_a_model_that_wants_more_than_its_config_says_goes_the_plain_way(monkeypatch):
    model = tiny.build("llama")
    requests = tiny.forks()
    expected = tiny.oracle(model, requests)
    engine = HFEngine(model)
    refused = attention.NotShareable("a layer says no")

    def refuse(*_):
        raise refused

    monkeypatch.setattr(attention, "_refuse", refuse)
    assert largest(engine, requests, expected) < TOLERANCE
    assert engine.tally.paths == {"plain: a layer says no": len(requests)}
    assert engine.sharing.longest is None  # the next call is not decided by this one


def test_the_probe_finds_an_attention_that_is_not_what_it_says(monkeypatch):
    right = attention.attend

    def wrong(q, k, v, scale, mask, causal, softcap):
        beyond = mask is None and not causal  # only what stands behind a fork
        return right(q, k, v, scale / 2 if beyond else scale, mask, causal, softcap)

    monkeypatch.setattr(attention, "attend", wrong)
    engine = HFEngine(tiny.build("llama"))
    assert str(engine.sharing).startswith("plain for every row: on a probe it differed")
    requests = tiny.forks()
    assert largest(engine, requests, tiny.oracle(engine.model, requests)) < TOLERANCE


def test_a_model_with_very_short_rows():
    model = tiny.build("gpt2", max_position_embeddings=10)
    requests = [Request(tuple(range(3, 13)), 4, 10), Request((3, 4, 9), 1, 3)]
    engine = HFEngine(model)
    assert engine.max_tokens == 10
    assert str(engine.sharing) == "plain for every row: its rows are too short to share anything"
    assert largest(engine, requests, tiny.oracle(model, requests)) < TOLERANCE


# --- the model is left as it was


def test_a_model_in_training_mode_is_scored_without_dropout():
    model = tiny.build("gpt2", attn_pdrop=0.5, resid_pdrop=0.5, embd_pdrop=0.5)
    requests = tiny.forks()
    expected = tiny.oracle(model, requests)
    assert largest(HFEngine(model.train()), requests, expected) < TOLERANCE


def _state(model) -> tuple:
    instance = ["forward" in vars(part) for part in model.modules()]
    hooks = [len(part._forward_hooks) for part in model.modules()]
    return model.config._attn_implementation, instance, hooks


@pytest.mark.parametrize("share", [True, False])
def test_the_model_is_left_as_it_was(share):
    model: Any = tiny.build("llama")
    before = _state(model)
    engine = HFEngine(model, share=share)
    engine.loglikelihoods(tiny.forks())
    assert _state(model) == before
    row = torch.tensor([[5, 6, 7]])
    assert torch.isfinite(model.generate(row, max_new_tokens=3, do_sample=False)).all()


@pytest.mark.parametrize("share", [True, False])
def test_the_model_is_left_as_it_was_after_an_exception(share, monkeypatch):
    model: Any = tiny.build("llama")
    before = _state(model)
    engine = HFEngine(model, share=share)
    for broken in (model.lm_head, model.model.layers[1].mlp):
        with monkeypatch.context() as patch:
            patch.setattr(broken, "forward", lambda *_: 1 // 0)
            with pytest.raises(ZeroDivisionError):
                engine.loglikelihoods(tiny.forks())
        assert _state(model) == before


def test_two_engines_of_one_model_do_not_disturb_each_other():
    model = tiny.build("qwen3")
    requests = tiny.forks()
    expected = tiny.oracle(model, requests)
    shared, plain = HFEngine(model), HFEngine(model, share=False)
    for engine in (shared, plain, shared):
        assert largest(engine, requests, expected) < TOLERANCE


def test_a_model_without_hidden_states_is_refused():
    model = tiny.build("llama")
    with pytest.raises(ModelError, match="LlamaModel: no part of it gives hidden states"):
        Head(model.model, 1000)


# --- memory


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("elements", [1, 640, 10**6])
def test_logits_and_tokens_are_bounded(share, elements, monkeypatch):
    monkeypatch.setitem(hf.HEAD_ELEMENTS, "cpu", elements)
    model = tiny.build("llama")
    engine = HFEngine(model, batch_tokens=40, share=share)
    rows, logits = [], []
    model.model.register_forward_pre_hook(
        lambda _, __, inputs: rows.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    model.lm_head.register_forward_hook(lambda _, __, out: logits.append(out.numel()))
    requests = tiny.forks()
    engine.loglikelihoods(requests)
    assert max(logits) <= max(elements, tiny.VOCABULARY)
    # A row of the plain way that is longer than the budget goes alone.
    longest = max(len(request.tokens) - 1 for request in requests)
    full = [(count, width) for count, width in rows if count * width > 40]
    assert all(count == 1 and width <= longest for count, width in full)
    assert not (share and full)


def test_only_predicting_positions_meet_the_vocabulary():
    model = tiny.build("llama")
    engine = HFEngine(model)
    met = []
    model.lm_head.register_forward_hook(lambda _, __, out: met.append(out.shape[1]))
    row = tuple(range(3, 60))
    engine.loglikelihoods([Request(row, 50, 57), Request((*row[:50], 9, 9), 50, 52)])
    # Seven of the first row; of the second one the first position is the same.
    assert sum(met) == 7 + 1

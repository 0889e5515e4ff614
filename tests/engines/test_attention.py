import numpy as np
import pytest
import torch

from flr.engines import attention
from flr.engines.attention import NotShareable, TreeRun, attend, tree_attention
from flr.engines.prefix_tree import plan


def layer(**attributes: object) -> torch.nn.Module:
    module = torch.nn.Module()
    vars(module).update(attributes)
    return module


def tensors(queries: int, keys: int, *, heads=4, groups=2, width=8, out=8, dtype=torch.float32):
    generator = torch.Generator().manual_seed(queries * 1000 + keys)
    shapes = (heads, queries, width), (groups, keys, width), (groups, keys, out)
    return [(2 * torch.randn(shape, generator=generator)).to(dtype) for shape in shapes]


def reference(q, k, v, scale, mask, causal, softcap):
    """Attention as it is written in books, one head at a time, float64."""
    q, k, v = q.double(), k.double(), v.double()
    outs, lses = [], []
    for head in range(len(q)):
        group = head * len(k) // len(q)
        scores = q[head] @ k[group].T * scale
        if softcap is not None:
            scores = softcap * torch.tanh(scores / softcap)
        if mask is not None:
            scores = scores + mask.double()
        if causal:
            later = torch.arange(k.shape[1])[None] > torch.arange(q.shape[1])[:, None]
            scores = scores.masked_fill(later, -torch.inf)
        outs.append(torch.softmax(scores, -1) @ v[group])
        lses.append(torch.logsumexp(scores, -1))
    return torch.stack(outs), torch.stack(lses)


def random_mask(queries: int, keys: int) -> torch.Tensor:
    allowed = torch.rand(queries, keys, generator=torch.Generator().manual_seed(1)) < 0.4
    allowed[:, 0] = True
    return torch.where(allowed, 0.0, -torch.inf)


@pytest.mark.parametrize("way", ["fused", "steps"])
@pytest.mark.parametrize("form", ["all", "causal", "masked"])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 70), (33, 33), (70, 70), (65, 200)])
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 1)])
def test_attend_is_attention(monkeypatch, way, form, queries, keys, heads):
    if form == "causal":
        keys = queries
    q, k, v = tensors(queries, keys, heads=heads[0], groups=heads[1])
    mask = random_mask(queries, keys) if form == "masked" else None
    if way == "steps":  # a wider value takes it; the surplus is cut again
        v = torch.cat([v, v], -1)
    out, lse = attend(q, k, v, 0.3, mask, form == "causal", None)
    expected = reference(q, k, v, 0.3, mask, form == "causal", None)
    torch.testing.assert_close(out.double(), expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lse.double(), expected[1], atol=1e-5, rtol=1e-5)
    assert lse.dtype == torch.float32


@pytest.mark.parametrize("elements", [1, 500, 10**6])
@pytest.mark.parametrize("causal", [False, True])
def test_soft_caps_and_chunks(monkeypatch, elements, causal):
    q, k, v = tensors(31, 31)
    mask = None if causal else random_mask(31, 31)
    largest = 0

    def spied(*arguments):
        nonlocal largest
        out, lse = unspied(*arguments)
        largest = max(largest, out.shape[0] * out.shape[1] * arguments[1].shape[1])
        return out, lse

    unspied = attention._attend_in_steps
    monkeypatch.setattr(attention, "_attend_in_steps", spied)
    monkeypatch.setattr(attention, "SCORE_ELEMENTS", elements)
    out, lse = attend(q, k, v, 0.5, mask, causal, 3.0)
    expected = reference(q, k, v, 0.5, mask, causal, 3.0)
    torch.testing.assert_close(out.double(), expected[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lse.double(), expected[1], atol=1e-5, rtol=1e-5)
    assert 0 < largest <= max(elements, 4 * 31)  # one query at least


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("masked", [False, True])
def test_half_precision_keeps_its_own_accuracy(dtype, masked):
    q, k, v = tensors(20, 50, dtype=dtype)
    mask = random_mask(20, 50) if masked else None
    out, lse = attend(q, k, v, 0.3, mask, False, None)
    expected = reference(q, k, v, 0.3, mask, False, None)
    assert lse.dtype == torch.float32
    torch.testing.assert_close(lse.double(), expected[1], atol=2e-2, rtol=1e-2)
    torch.testing.assert_close(out.double(), expected[0], atol=4e-2, rtol=2e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_sets_of_keys_merge_to_one(dtype):
    q, k, v = tensors(9, 40, dtype=dtype)
    parts = [
        attend(q, k[:, cut], v[:, cut], 0.3, None, False, None)
        for cut in (slice(13), slice(13, 40))
    ]
    (out, lse), other = parts
    out, lse = out.float(), lse.float()
    attention._merge(out, lse, *other)
    expected = attend(q, k, v, 0.3, None, False, None)
    torch.testing.assert_close(out, expected[0].float(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(lse, expected[1].float(), atol=1e-5, rtol=1e-5)


def test_merging_survives_scores_far_apart():
    out, lse = torch.ones(1, 1, 2), torch.tensor([[500.0]])
    attention._merge(out, lse, torch.full((1, 1, 2), 7.0), torch.tensor([[-500.0]]))
    assert out.tolist() == [[[1.0, 1.0]]]
    assert lse.tolist() == [[500.0]]


def tree(rows, budget: int) -> TreeRun:
    made = plan(rows, [slice(0, 0)] * len(rows), budget=budget)
    return TreeRun(made, made.steps[0])


def call(run: TreeRun, **others):
    """One layer's attention over the whole tree, step by step."""
    nodes = len(run.plan.tokens)
    q, k, v = (each[None] for each in tensors(nodes, nodes))
    outs = []
    token = attention._current.set(run)
    try:
        for step in run.plan.steps:
            run.enter(step)
            own = slice(step.start, step.stop)
            module = others.get("module", layer())
            rest = {"attention_mask": None} | {n: o for n, o in others.items() if n != "module"}
            outs.append(tree_attention(module, q[:, :, own], k[:, :, own], v[:, :, own], **rest)[0])
    finally:
        attention._current.reset(token)
    return torch.cat(outs, 1)[0], (q[0], k[0], v[0])


@pytest.mark.parametrize("budget", [1, 5, 16, 1000])
@pytest.mark.parametrize("bush", [1, 4, 128])
@pytest.mark.parametrize("softcap", [None, 4.0])
def test_a_tree_attends_as_its_ancestor_mask_says(monkeypatch, budget, bush, softcap):
    monkeypatch.setattr("flr.engines.prefix_tree.BUSH_TOKENS", bush)
    random = np.random.default_rng(3)
    rows = [tuple(random.integers(0, 2, random.integers(1, 9)).tolist()) for _ in range(14)]
    rows.append((1,) * 20)
    run = tree(rows, budget)
    seen = attention.ancestor_mask(run.plan.end, 0, len(run.plan.tokens))
    out, (q, k, v) = call(run, softcap=softcap, scaling=0.3)
    mask = torch.where(torch.from_numpy(seen), 0.0, -torch.inf)
    expected, _ = reference(q, k, v, 0.3, mask, False, softcap)
    torch.testing.assert_close(out.transpose(0, 1).double(), expected, atol=1e-5, rtol=1e-5)


def test_the_scale_is_the_head_widths_where_none_is_given():
    rows = [(1, 2, 3), (1, 2, 4)]
    plain, _ = call(tree(rows, 9))
    given, _ = call(tree(rows, 9), scaling=8**-0.5)
    assert torch.equal(plain, given)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"s_aux": torch.zeros(4)}, "takes 's_aux'"),
        ({"attention_mask": torch.zeros(1, 1, 2, 2)}, "mask of its own"),
        ({"is_causal": False}, "not causal"),
        ({"module": layer(is_causal=False)}, "not causal"),
        ({"sliding_window": 2}, "window of 2 tokens"),
    ],
)
def test_what_is_not_a_causal_softmax_is_refused_by_name(others, words):
    with pytest.raises(NotShareable, match=words):
        call(tree([(1, 2, 3)], 9), **others)


def test_what_changes_nothing_is_taken():
    call(
        tree([(1, 2, 3)], 9),
        sliding_window=3,
        dropout=0.0,
        is_causal=True,
        position_ids=torch.arange(3)[None],
        output_attentions=False,
    )

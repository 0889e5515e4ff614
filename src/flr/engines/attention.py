"""Attention over a prefix tree, plugged into transformers' own attention interface.

Transformers calls `tree_attention` in every layer with the queries, keys and values of one packed
step; the step's pieces (`flr.engines.prefix_tree`) say which ranges attend to which. Each piece is
an ordinary attention that also returns its log-sum-exp, and two disjoint parts of one softmax
merge exactly:

    share = exp(lse_2) / (exp(lse_1) + exp(lse_2)) = sigmoid(lse_2 - lse_1)
    out = (1 - share) * out_1 + share * out_2
    lse = log(exp(lse_1) + exp(lse_2))

so no mask over the whole step is ever built and no model code is copied. What is not plain causal
attention is refused here by name (`NotShareable`), never approximated.

Shapes: H query heads, G key/value heads (H is a multiple of G), N tokens of the step, P kept tokens
before it, D head width; one packed row, so no batch axis in the helpers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from flr.engines.prefix_tree import Bush, Plan, Step, Trunk, ancestor_mask

NAME = "flr_prefix_tree"
"""The name under which transformers knows this attention."""

SCORE_ELEMENTS = 2**24
"""Most attention scores held at once where no fused kernel is used (64 MiB in fp32)."""

_KNOWN_TENSORS = frozenset({"position_ids", "cache_position"})
"""Tensors that models hand on to their attention and that do not change it."""


class NotShareable(Exception):  # noqa: N818 - an answer about a model, not an error of the user's
    """This model's attention is more than a causal softmax; the message names what."""


@final
@dataclass(slots=True)
class TreeRun:
    """What the layers of one run share: the plan, the step under way, the kept keys and values.

    Args:
        plan: the whole plan.
        step: the step that is run now.
        kept: keys [G, P, D] and values [G, P, V] of the current prefix, by the number of the call.
        masks: those of the step's bushes, by device.
        calls: number of times that a layer's attention came here in this step. It stands for the
            layer, since every step calls in the same order and one module may serve two layers.
    """

    plan: Plan
    step: Step
    kept: dict[int, tuple[Float[Tensor, "G P D"], Float[Tensor, "G P V"]]] = field(
        default_factory=dict
    )
    masks: dict[tuple[Bush, torch.device], Float[Tensor, "q k"]] = field(default_factory=dict)
    calls: int = 0

    def enter(self, step: Step) -> None:
        """Goes on to the next step."""
        self.step, self.masks, self.calls = step, {}, 0

    @property
    def longest(self) -> int:
        """Longest row of the step, tokens."""
        return int(self.plan.depth[self.step.start : self.step.stop].max()) + 1

    def mask(self, bush: Bush, device: torch.device) -> Float[Tensor, "q k"]:
        """The additive mask of a bush, made once a step: 0 to ancestors, -inf elsewhere."""
        if (bush, device) not in self.masks:
            origin = self.step.start
            seen = ancestor_mask(self.plan.end, origin + bush.start, origin + bush.stop)
            additive = np.where(seen, np.float32(0), np.float32(-np.inf))
            self.masks[bush, device] = torch.from_numpy(additive).to(device)
        return self.masks[bush, device]


_current: ContextVar[TreeRun] = ContextVar("flr_tree_run")


@contextmanager
def attending(model: PreTrainedModel, plan: Plan) -> Iterator[TreeRun]:
    """Makes the model attend over a plan's tree, and leaves it as it was afterwards."""
    run = TreeRun(plan, plan.steps[0])
    token, before = _current.set(run), model.config._attn_implementation
    try:
        model.set_attn_implementation(NAME)
        yield run
    finally:
        model.set_attn_implementation(before or "eager")
        _current.reset(token)


def tree_attention(
    module: torch.nn.Module,
    query: Float[Tensor, "1 H N D"],
    key: Float[Tensor, "1 G N D"],
    value: Float[Tensor, "1 G N V"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Float[Tensor, "1 N H V"], None]:
    """The attention of one layer over the current step, in the form that transformers asks for.

    Raises:
        NotShareable: the layer wants something that is not a causal softmax.
    """
    run = _current.get()
    _refuse(module, run, attention_mask, is_causal, others)
    run.calls += 1
    q, k, v = query[0], key[0], value[0]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out, lse = _within(run, q, k, v, scale, softcap)
    _beyond(run, (out, lse), (q, k, v), scale, softcap)
    if run.step.keep:
        _keep(run, k, v)
    return out.to(query.dtype).transpose(0, 1)[None], None


def _refuse(
    module: torch.nn.Module,
    run: TreeRun,
    mask: Tensor | None,
    is_causal: bool | None,
    others: dict[str, Any],
) -> None:
    """Raises where the layer is not plain causal attention."""
    if mask is not None:
        raise NotShareable("the model builds an attention mask of its own")
    if is_causal is False or getattr(module, "is_causal", True) is False:
        raise NotShareable("its attention is not causal")
    window = others.get("sliding_window")
    if window is not None and window < run.longest:
        raise NotShareable(f"its attention slides over a window of {window} tokens")
    for name, value in others.items():
        if isinstance(value, Tensor) and name not in _KNOWN_TENSORS:
            raise NotShareable(f"its attention takes {name!r}")


def _within(
    run: TreeRun,
    q: Float[Tensor, "H N D"],
    k: Float[Tensor, "G N D"],
    v: Float[Tensor, "G N V"],
    scale: float,
    softcap: float | None,
) -> tuple[Float[Tensor, "H N V"], Float[Tensor, "H N"]]:
    """Every token's attention inside its own piece."""
    out = torch.empty(*q.shape[:2], v.shape[-1], dtype=torch.float32, device=q.device)
    lse = torch.empty(*q.shape[:2], dtype=torch.float32, device=q.device)
    for piece in run.step.pieces:
        own = slice(piece.start, piece.stop)
        mask = run.mask(piece, q.device) if isinstance(piece, Bush) else None
        causal = isinstance(piece, Trunk)
        part = attend(q[:, own], k[:, own], v[:, own], scale, mask, causal, softcap)
        out[:, own], lse[:, own] = part
    return out, lse


def _beyond(
    run: TreeRun,
    total: tuple[Float[Tensor, "H N V"], Float[Tensor, "H N"]],
    qkv: tuple[Float[Tensor, "H N D"], Float[Tensor, "G N D"], Float[Tensor, "G N V"]],
    scale: float,
    softcap: float | None,
) -> None:
    """Adds, in place, the attention to the trunks above a token's piece and to the kept prefix."""
    (out, lse), (q, k, v) = total, qkv
    if run.step.prefix:
        kept_k, kept_v = (kept[:, : run.step.prefix] for kept in run.kept[run.calls])
        _merge(out, lse, *attend(q, kept_k, kept_v, scale, None, False, softcap))
    for piece in run.step.pieces:
        if isinstance(piece, Trunk) and piece.end > piece.stop:
            own, below = slice(piece.start, piece.stop), slice(piece.stop, piece.end)
            part = attend(q[:, below], k[:, own], v[:, own], scale, None, False, softcap)
            _merge(out[:, below], lse[:, below], *part)


def _merge(
    out: Float[Tensor, "H q V"],
    lse: Float[Tensor, "H q"],
    other_out: Float[Tensor, "H q V"],
    other_lse: Float[Tensor, "H q"],
) -> None:
    """Merges attention over other keys into `out` and `lse`, in place (formula above)."""
    other_lse = other_lse.float()  # that of a model in fp64 is not
    share = torch.sigmoid(other_lse - lse)
    out.lerp_(other_out.float(), share[..., None])
    torch.logaddexp(lse, other_lse, out=lse)


def _keep(run: TreeRun, k: Float[Tensor, "G N D"], v: Float[Tensor, "G N V"]) -> None:
    """Keeps the step's keys and values behind the prefix that it stood on."""
    if run.step.prefix:
        old_k, old_v = (kept[:, : run.step.prefix] for kept in run.kept[run.calls])
        k, v = torch.cat([old_k, k], dim=1), torch.cat([old_v, v], dim=1)
    run.kept[run.calls] = (k, v)


def attend(
    q: Float[Tensor, "H q D"],
    k: Float[Tensor, "G k D"],
    v: Float[Tensor, "G k V"],
    scale: float,
    mask: Float[Tensor, "q k"] | None,
    causal: bool,
    softcap: float | None,
) -> tuple[Float[Tensor, "H q V"], Float[Tensor, "H q"]]:
    """Attention of queries to one set of keys, with the log-sum-exp of its scores.

    Args:
        q: queries.
        k: keys.
        v: values.
        scale: factor on the scores.
        mask: added to the scores, 0 or -inf; every query keeps at least one key.
        causal: query i attends to keys 0..i only; then there are as many keys as queries.
        softcap: c in c * tanh(score / c), None for none.

    Returns:
        The output, and the log-sum-exp in fp32 (nats).
    """
    if q.device.type == "cpu" and softcap is None and k.shape[-1] == v.shape[-1]:
        bias = mask if mask is None else mask[None, None]
        out, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            q[None], k[None], v[None], 0.0, causal, attn_mask=bias, scale=scale
        )
        return out[0], lse[0]
    chunk = max(1, SCORE_ELEMENTS // (q.shape[0] * k.shape[1]))
    parts: list[tuple[Tensor, Tensor]] = []
    for i in range(0, q.shape[1], chunk):
        part = q[:, i : i + chunk]
        bias = mask if mask is None else mask[i : i + chunk]
        if causal:
            bias = torch.full((part.shape[1], k.shape[1]), -torch.inf, device=q.device).triu_(i + 1)
        parts.append(_attend_in_steps(part, k, v, scale, bias, softcap))
    return torch.cat([out for out, _ in parts], 1), torch.cat([lse for _, lse in parts], 1)


def _attend_in_steps(
    q: Float[Tensor, "H q D"],
    k: Float[Tensor, "G k D"],
    v: Float[Tensor, "G k V"],
    scale: float,
    mask: Float[Tensor, "q k"] | None,
    softcap: float | None,
) -> tuple[Float[Tensor, "H q V"], Float[Tensor, "H q"]]:
    """The same in plain matrix products, fp32: any device, any head width, soft-capped scores."""
    shared = q.shape[0] // k.shape[0]
    k, v = k.float().repeat_interleave(shared, 0), v.float().repeat_interleave(shared, 0)
    scores = q.float() @ k.transpose(-1, -2) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores + mask
    lse = scores.logsumexp(-1)
    return (scores - lse[..., None]).exp_() @ v, lse


AttentionInterface.register(NAME, tree_attention)

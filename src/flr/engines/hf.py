"""The engine for Hugging Face causal language models: shared prefixes wherever they are exact.

Two paths answer the same requests:

    shared    one prefix tree over all rows, run in packed steps through transformers' attention
              interface (`prefix_tree` plans it, `attention` attends over it);
    plain     every row in full, right-padded batches, the model's own attention.

The plain path is right for every model. The shared one is taken for rows where it equals the plain
one (`sharing`); what a configuration does not tell, a small comparison at construction does. On
both, hidden states meet the vocabulary only where a scored token is predicted (`head`). On a CPU
the shared path leaves the linear layers' products to oneDNN (`linear`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from transformers import PreTrainedModel

from flr.engines.attention import NotShareable, attending
from flr.engines.base import Engine, LogitRequest, LogLikelihood, Request
from flr.engines.head import Head
from flr.engines.linear import Linears
from flr.engines.prefix_tree import plan
from flr.engines.sharing import (
    NO_INTERFACE,
    Sharing,
    changing_rope,
    longest_row,
    reset_rope,
    sharing,
)
from flr.errors import ModelError

BATCH_TOKENS = {"cpu": 4096, "cuda": 16384}
"""Tokens in one forward pass, by kind of device."""

HEAD_ELEMENTS = {"cpu": 2**23, "cuda": 2**27}
"""Most logits held at once, by kind of device (fp32: 32 MiB and 512 MiB)."""

PROBE_TOKENS, PROBE_FORK = 108, 12
"""Longest row of the probe and the length of its own part, tokens."""

PROBE_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.1}
"""Largest mean difference on the probe that rounding explains, nats a token."""


@dataclass(frozen=True, slots=True)
class _Reads:
    """What to read of the logits: at the positions wanted[i] of rows[i], the vocabulary ids ids[i].

    `ids[i]` holds one id for each wanted position, or any number of ids for a single one.
    """

    rows: list[tuple[int, ...]]
    wanted: list[slice]
    ids: list[tuple[int, ...]]

    def select(self, chosen: Sequence[int]) -> "_Reads":
        """The same for some of the rows."""
        return _Reads(
            [self.rows[i] for i in chosen],
            [self.wanted[i] for i in chosen],
            [self.ids[i] for i in chosen],
        )

    def places(self, chosen: Sequence[int]) -> Int[np.ndarray, " read"]:
        """Where the reads of some rows lie among all reads."""
        starts = np.cumsum([0, *map(len, self.ids)])
        return _concatenate([np.arange(starts[i], starts[i + 1]) for i in chosen])

    def flat(
        self, nodes: Sequence[Int[np.ndarray, " _"]]
    ) -> tuple[Int[np.ndarray, " read"], Int[np.ndarray, " read"]]:
        """Node and id of every single read, given the nodes of the wanted positions."""
        spread = [np.broadcast_to(n, len(ids)) for n, ids in zip(nodes, self.ids, strict=True)]
        return _concatenate(spread), _concatenate([np.asarray(ids) for ids in self.ids])


def _concatenate(parts: Sequence[Int[np.ndarray, " _"]]) -> Int[np.ndarray, " all"]:
    return np.concatenate([np.empty(0, np.int64), *parts])


@final
class HFEngine(Engine):
    """Scores with a `transformers` causal language model.

    Args:
        model: on its device or devices.
        batch_tokens: most tokens in one forward pass; None for `BATCH_TOKENS`. A row of the plain
            path that is longer goes alone.
        share: False takes the plain path for everything, as the measure of the shared one.
    """

    name = "hf"

    def __init__(
        self, model: PreTrainedModel, *, batch_tokens: int | None = None, share: bool = True
    ) -> None:
        super().__init__()
        self.model = model.eval()
        kind = "cuda" if model.device.type == "cuda" else "cpu"
        config = model.config.get_text_config()
        self.batch_tokens = batch_tokens or BATCH_TOKENS[kind]
        self.max_tokens = longest_row(config)
        self._head = Head(model, HEAD_ELEMENTS[kind])
        self._linears = Linears(model)
        self._changing_rope = changing_rope(config)
        self.sharing = Sharing(0, "sharing was switched off")
        if share:
            self.sharing = self._probed(sharing(model))

    def loglikelihoods(self, requests: Sequence[Request]) -> list[LogLikelihood]:
        """Answers every request, in order; see `Engine`."""
        self.check_lengths([request.tokens for request in requests])
        asked = [request for request in requests if request.stop > request.start]
        logits, lse = self._answer(
            _Reads(
                [self._needed(request) for request in asked],
                [slice(request.start - 1, request.stop - 1) for request in asked],
                [request.tokens[request.start : request.stop] for request in asked],
            )
        )
        scores = iter((logits.astype(np.float64) - lse).tolist())
        return [
            LogLikelihood(tuple(next(scores) for _ in range(request.start, request.stop)))
            for request in requests
        ]

    def mean_logits(self, requests: Sequence[LogitRequest]) -> list[float]:
        """The mean raw logit of each request's ids after its last token, in order."""
        self.check_lengths([request.tokens for request in requests])
        logits, _ = self._answer(
            _Reads(
                [request.tokens for request in requests],
                [slice(len(request.tokens) - 1, len(request.tokens)) for request in requests],
                [request.ids for request in requests],
            )
        )
        values = iter(logits.tolist())
        return [float(np.mean([next(values) for _ in request.ids])) for request in requests]

    def describe(self) -> str:
        """Which path requests take, and why."""
        return str(self.sharing)

    def _needed(self, request: Request) -> tuple[int, ...]:
        """The tokens to run: nothing is predicted from the last one, unless it sets frequencies."""
        changes = self._changing_rope is not None and len(request.tokens) > self._changing_rope
        return request.tokens if changes else request.tokens[: request.stop - 1]

    def _answer(self, reads: _Reads) -> Float[np.ndarray, "2 read"]:
        """Logit and log-sum-exp for every read, each row on the path that is right."""
        embeddings: Any = self.model.get_input_embeddings()
        self.check_vocabulary([*reads.rows, *reads.ids], embeddings.weight.shape[0])
        takes = [self.sharing.takes(row) for row in reads.rows]
        try:
            result = self._by_path(reads, takes)
        except NotShareable as refusal:
            # For this call only: what came before must not decide the path of what comes after.
            result = self._by_path(reads, [False] * len(takes), plain=f"plain: {refusal}")
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"out of memory with {self.batch_tokens} tokens in a forward pass; take a smaller "
                "--batch-tokens and give the same command again, finished blocks are kept"
            ) from error
        if not np.isfinite(result).all():
            raise ModelError(
                f"the model's log-likelihoods are not finite numbers in {self.model.dtype}; "
                "try another --dtype (bf16 or fp32)"
            )
        return result

    def _by_path(
        self, reads: _Reads, shared: Sequence[bool], plain: str = "plain"
    ) -> Float[np.ndarray, "2 read"]:
        """The answers to all reads, those of the rows marked `shared` by the shared path."""
        result = np.empty((2, sum(map(len, reads.ids))), np.float32)
        for name, way, on in (("shared", self._shared, True), (plain, self._plain, False)):
            chosen = [i for i, taken in enumerate(shared) if taken is on]
            if chosen:
                part = reads.select(chosen)
                result[:, reads.places(chosen)], run, positions = way(part)
                self.tally.add(name, len(chosen), run, sum(map(len, part.rows)), positions)
        return result

    @torch.inference_mode()
    def _shared(
        self, reads: _Reads, budget: int | None = None
    ) -> tuple[Float[np.ndarray, "2 read"], int, int]:
        """All rows through one prefix tree; also how many tokens were run and positions read."""
        made = plan(reads.rows, reads.wanted, budget=budget or self.batch_tokens)
        node, ids = reads.flat(made.nodes)
        result = np.empty((2, len(ids)), np.float32)
        self._reset_rope()
        with self._linears.taken_over(), attending(self.model, made) as run:
            for step in made.steps:
                run.enter(step)
                tokens = torch.from_numpy(made.tokens[step.start : step.stop])[None]
                depth = torch.from_numpy(made.depth[step.start : step.stop])[None]
                here = np.flatnonzero((node >= step.start) & (node < step.stop))
                result[:, here] = self._head.read(
                    tokens, node[here] - step.start, ids[here], position_ids=depth
                )
                if run.calls == 0:
                    raise NotShareable(NO_INTERFACE)
        return result, len(made.tokens), len(np.unique(node))

    @torch.inference_mode()
    def _plain(self, reads: _Reads) -> tuple[Float[np.ndarray, "2 read"], int, int]:
        """Every row in full, in padded batches; also how many tokens were run, padding included,
        and positions read."""
        result = np.empty((2, sum(map(len, reads.ids))), np.float32)
        tokens_run = positions = 0
        for batch in self._batches(reads.rows):
            part = reads.select(batch)
            width = len(part.rows[0])
            tokens = torch.zeros(len(batch), width, dtype=torch.long)
            mask = torch.zeros(len(batch), width, dtype=torch.long)
            for i, row in enumerate(part.rows):
                tokens[i, : len(row)], mask[i, : len(row)] = torch.tensor(row), 1
            nodes = [np.arange(width)[cut] + i * width for i, cut in enumerate(part.wanted)]
            self._reset_rope()
            here = reads.places(batch)
            result[:, here] = self._head.read(tokens, *part.flat(nodes), attention_mask=mask)
            tokens_run += tokens.numel()
            positions += sum(map(len, nodes))
        return result, tokens_run, positions

    def _batches(self, rows: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
        """Indices of rows by falling length, as many at a time as the budget holds when padded."""
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
        begin = 0
        while begin < len(order):
            width = len(rows[order[begin]])
            # Frequencies that depend on the length are those of the batch's longest row.
            alone = self._changing_rope is not None and width > self._changing_rope
            size = 1 if alone else max(1, self.batch_tokens // width)
            yield order[begin : begin + size]
            begin += size

    def _reset_rope(self) -> None:
        if self._changing_rope is not None:
            reset_rope(self.model)

    def _probed(self, allowed: Sharing) -> Sharing:
        """What the configuration allows, unless a small forked row says that it is wrong."""
        limits = (PROBE_TOKENS, allowed.longest, self.max_tokens)
        stem = min(limit for limit in limits if limit is not None) - PROBE_FORK
        if stem < 1:
            return Sharing(0, allowed.reason or "its rows are too short to share anything")
        reads = _probe(stem, self.model.config.get_text_config().vocab_size)
        try:
            # A budget that cuts the stem, so that kept keys have their part in the comparison.
            shared, *_ = self._shared(reads, budget=PROBE_TOKENS // 2)
        except NotShareable as refusal:
            return Sharing(0, str(refusal))
        plain, *_ = self._plain(reads)
        difference = float(np.abs((shared[0] - shared[1]) - (plain[0] - plain[1])).mean())
        if difference > PROBE_TOLERANCE.get(self.model.dtype, 0.3):
            return Sharing(0, f"on a probe it differed from plain by {difference:.2g} nats a token")
        return allowed


def _probe(stem: int, vocabulary: int) -> _Reads:
    """Five rows of random tokens that fork behind a common stem, read from the fork on."""
    ids = np.random.default_rng(0).integers(0, vocabulary, stem + 5 * PROBE_FORK).tolist()
    forks = [tuple(ids[at : at + PROBE_FORK]) for at in range(stem, len(ids), PROBE_FORK)]
    rows = [(*ids[:stem], *fork) for fork in forks]
    return _Reads(rows, [slice(stem - 1, len(row) - 1) for row in rows], forks)

"""The engine for GGUF files that llama.cpp runs, in any quantisation, through llama-cpp-python.

A context is decoded once, only where it differs from the one before it, and copied to a sequence
for each of its continuations; copies lie in one unified cache, where they take no memory. The
continuations of a context are decoded together, each token that predicts with its logits.

llama-cpp-python is an extra; it computes on whatever it was compiled for.
"""

import ctypes
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float

from flr.engines.base import Engine, LogitRequest, LogLikelihood, Request
from flr.errors import ModelError

BATCH_TOKENS = 2048
"""Most tokens that are decoded in one call."""

LOGITS = 2**26
"""Most logits held at once (fp32: 256 MiB)."""

SEQUENCES = 256
"""As many as llama.cpp allows: the context's own and one a continuation."""

ALL_F32 = "0"
"""`general.file_type` of a file whose weights are fp32; then keys and values are, too."""

Entry = tuple[int, int, int, bool]
"""A token to decode: id, position, sequence, and whether its logits are wanted."""


@cache
def _quiet_library() -> tuple[Any, Any]:
    """llama.cpp, and what it logs to: it calls that as long as the process lives."""
    library: Any = import_module("llama_cpp")
    nowhere = library.llama_log_callback(lambda *_: None)
    library.llama_log_set(nowhere, ctypes.c_void_p())
    library.llama_backend_init()
    return library, nowhere


@final
class LlamaCppEngine(Engine):
    """Scores with a GGUF file.

    Args:
        file: of the model.
        threads: of the CPU.

    Raises:
        ModelError: llama.cpp cannot load the file.
    """

    name = "llamacpp"

    def __init__(self, file: Path, *, threads: int) -> None:
        super().__init__()
        self._lib: Any = _quiet_library()[0]
        self._model = self._lib.llama_model_load_from_file(str(file).encode(), self._on_device())
        if not self._model:
            raise ModelError(f"llama.cpp cannot load {file}")
        weakref.finalize(self, self._lib.llama_model_free, self._model)
        self._threads = threads
        self.max_tokens = int(self._lib.llama_model_n_ctx_train(self._model))
        vocabulary = self._lib.llama_model_get_vocab(self._model)
        self._vocabulary = int(self._lib.llama_vocab_n_tokens(vocabulary))
        self._batch_tokens = max(1, min(BATCH_TOKENS, LOGITS // self._vocabulary))
        self._cells = 0
        self._held: tuple[int, ...] = ()
        self._context: Any = None
        self._batch: Any = None
        self._free: Callable[[], object] = lambda: None

    def loglikelihoods(self, requests: Sequence[Request]) -> list[LogLikelihood]:
        """Answers every request, in order; see `Engine`."""
        self.check_lengths([request.tokens for request in requests])
        self.check_vocabulary([request.tokens for request in requests], self._vocabulary)
        asked = [request for request in requests if request.stop > request.start]
        found: dict[tuple[int, tuple[int, ...]], list[float]] = {_key(one): [] for one in asked}
        unique = {_key(request): request for request in asked}.values()
        ran = 0
        for before, same in groupby(sorted(unique, key=_context), key=_context):
            for group in self._together(before, list(same)):
                with self._whole_or_empty():
                    ran += self._answer(before, group, found)
        self.tally.add(self.name, len(asked), ran, sum(one.stop - 1 for one in asked))
        return [LogLikelihood(tuple(found.get(_key(request), ()))) for request in requests]

    def mean_logits(self, requests: Sequence[LogitRequest]) -> list[float]:
        """The mean raw logit of each request's ids after its last token, in order."""
        self.check_lengths([request.tokens for request in requests])
        rows = [row for request in requests for row in (request.tokens, request.ids)]
        self.check_vocabulary(rows, self._vocabulary)
        means: dict[int, float] = {}
        ran = 0
        for at in sorted(range(len(requests)), key=lambda i: requests[i].tokens):
            *before, last = requests[at].tokens
            self._fit(len(requests[at].tokens))
            with self._whole_or_empty():
                ran += 1 + self._hold(tuple(before))
                logits = self._decode([(last, len(before), 0, True)])
                self._held = requests[at].tokens
            means[at] = float(logits[0, list(requests[at].ids)].double().mean())
        self.tally.add(self.name, len(requests), ran, sum(len(one.tokens) for one in requests))
        return [means[at] for at in range(len(requests))]

    def describe(self) -> str:
        """Which file type, in llama.cpp's own words."""
        words = ctypes.create_string_buffer(256)
        self._lib.llama_model_desc(self._model, words, len(words))
        return f"llama.cpp, contexts shared: {words.value.decode(errors='replace')}"

    def _together(
        self, before: tuple[int, ...], rows: Sequence[Request]
    ) -> Iterator[list[Request]]:
        """Rows of one context, as many at a time as there are sequences and tokens of a call."""
        group: list[Request] = []
        tokens = 0
        for row in rows:
            own = row.stop - 1 - len(before)
            if group and (len(group) == SEQUENCES - 1 or tokens + own > self._batch_tokens):
                yield group
                group, tokens = [], 0
            group.append(row)
            tokens += own
        yield group

    def _answer(
        self,
        before: tuple[int, ...],
        group: Sequence[Request],
        found: Mapping[tuple[int, tuple[int, ...]], list[float]],
    ) -> int:
        """Adds the log-likelihoods of one group to `found`; tells how many tokens were decoded."""
        asked = [
            (_key(request), sequence, position, *request.tokens[position : position + 2])
            for sequence, request in enumerate(group, start=1)
            for position in range(len(before), request.stop - 1)
        ]
        self._fit(len(before) + len(asked))
        ran = self._hold(before)
        memory = self._lib.llama_get_memory(self._context)
        for sequence in range(1, len(group) + 1):
            self._lib.llama_memory_seq_cp(memory, 0, sequence, -1, -1)
        for first in range(0, len(asked), self._batch_tokens):
            part = asked[first : first + self._batch_tokens]
            logits = self._decode([(token, at, seq, True) for _, seq, at, token, _ in part])
            targets = torch.tensor([target for *_, target in part])
            scores = logits.gather(1, targets[:, None])[:, 0] - logits.logsumexp(1)
            if not scores.isfinite().all():
                raise ModelError("llama.cpp's log-likelihoods are not finite numbers")
            for (key, *_), score in zip(part, scores.tolist(), strict=True):
                found[key].append(score)
        for sequence in range(1, len(group) + 1):
            self._lib.llama_memory_seq_rm(memory, sequence, -1, -1)
        return ran + len(asked)

    @contextmanager
    def _whole_or_empty(self) -> Iterator[None]:
        """Leaves the cache empty where what fills it does not end well."""
        try:
            yield
        except BaseException:
            self._lib.llama_memory_clear(self._lib.llama_get_memory(self._context), True)
            self._held = ()
            raise

    def _hold(self, tokens: tuple[int, ...]) -> int:
        """Makes sequence 0 hold these tokens and no more; tells how many were decoded."""
        memory = self._lib.llama_get_memory(self._context)
        pairs = zip(self._held, tokens, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        # A recurrent state cannot go back by some tokens; then all of it is computed again.
        if not self._lib.llama_memory_seq_rm(memory, 0, same, -1):
            self._lib.llama_memory_clear(memory, True)
            same = 0
        for first in range(same, len(tokens), self._batch_tokens):
            part = tokens[first : first + self._batch_tokens]
            self._decode([(token, at, 0, False) for at, token in enumerate(part, start=first)])
        self._held = tokens
        return len(tokens) - same

    def _decode(self, entries: Sequence[Entry]) -> Float[torch.Tensor, "wanted vocabulary"]:
        """Decodes tokens; gives the logits of those that want them, until the next call."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        failed = self._lib.llama_decode(self._context, batch)
        if failed:
            raise ModelError(f"llama.cpp cannot decode {len(entries)} tokens (code {failed})")
        count = sum(wanted for *_, wanted in entries)
        if not count:
            return torch.empty(0, self._vocabulary)
        found = self._lib.llama_get_logits(self._context)
        pointer = ctypes.cast(found, ctypes.POINTER(ctypes.c_float))
        return torch.from_numpy(np.ctypeslib.as_array(pointer, (count, self._vocabulary)))

    def _fit(self, tokens: int) -> None:
        """Makes room for so many tokens in the cache; a larger one begins empty."""
        if tokens <= self._cells:
            return
        self._cells = max(4096, 1 << (tokens - 1).bit_length())
        wanted = self._lib.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch = self._cells, self._batch_tokens
        wanted.n_seq_max, wanted.kv_unified, wanted.swa_full = SEQUENCES, True, True
        wanted.n_threads = wanted.n_threads_batch = self._threads
        if self._file_type() == ALL_F32:
            wanted.type_k = wanted.type_v = self._lib.GGML_TYPE_F32
            wanted.flash_attn_type = 0  # disabled: its kernel rounds to fp16 on the way
        self._free()
        self._context = self._lib.llama_init_from_model(self._model, wanted)
        if not self._context:
            raise ModelError(f"llama.cpp has no room for a cache of {self._cells} tokens")
        self._batch = self._lib.llama_batch_init(self._batch_tokens, 0, 1)
        self._free = weakref.finalize(self, _free, self._lib, self._context, self._batch)
        self._held = ()

    def _file_type(self) -> str:
        """`general.file_type` of the file; empty where it says none."""
        words = ctypes.create_string_buffer(32)
        key = b"general.file_type"
        self._lib.llama_model_meta_val_str(self._model, key, words, len(words))
        return words.value.decode()

    def _on_device(self) -> Any:
        """Parameters of a model: on the GPU, all of it, where llama.cpp was compiled for one."""
        parameters = self._lib.llama_model_default_params()
        parameters.n_gpu_layers = 999 if self._lib.llama_supports_gpu_offload() else 0
        return parameters


def _key(request: Request) -> tuple[int, tuple[int, ...]]:
    """What makes requests the same one: such are answered alike, to the last digit."""
    return request.start, request.tokens[: request.stop]


def _context(request: Request) -> tuple[int, ...]:
    """All before the token that predicts the first of the continuation."""
    return request.tokens[: request.start - 1]


def _free(library: Any, context: Any, batch: Any) -> None:
    library.llama_batch_free(batch)
    library.llama_free(context)

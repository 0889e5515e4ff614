"""llama.cpp as a peer: each context decoded once, and copied to a sequence for every follow-up.

    python run_llama_cpp.py FILE.gguf THREADS [f32]

All sequences lie in one unified cache, as its documentation advises where they share a beginning;
the follow-ups are decoded together, with the logits of the positions that predict their tokens.
"""

import ctypes
import itertools
import sys
from importlib.metadata import version

import llama_cpp
import numpy as np
import torch
from worker import Row, serve

CELLS, BATCH = 16384, 2048
"""Tokens that the cache holds, and that are decoded at a time.

Of these 512 go through the model together, llama.cpp's default; 1024 and 2048 were no faster.
"""


class Decoder:
    """A model with its cache.

    Args:
        path: of the GGUF file.
        threads: to decode with.
        f32: whether keys and values are kept in fp32.
    """

    def __init__(self, path: str, threads: int, *, f32: bool) -> None:
        llama_cpp.llama_backend_init()
        self.model = llama_cpp.llama_model_load_from_file(
            path.encode(), llama_cpp.llama_model_default_params()
        )
        wanted = llama_cpp.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch = CELLS, BATCH
        wanted.n_seq_max, wanted.kv_unified = 256, True
        wanted.n_threads = wanted.n_threads_batch = threads
        if f32:
            wanted.type_k = wanted.type_v = llama_cpp.GGML_TYPE_F32
        self.context = llama_cpp.llama_init_from_model(self.model, wanted)
        self.memory = llama_cpp.llama_get_memory(self.context)
        vocabulary = llama_cpp.llama_model_get_vocab(self.model)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(vocabulary)
        self.batch = llama_cpp.llama_batch_init(BATCH, 0, 1)

    def decode(self, tokens: list[tuple[int, int, int, bool]]) -> torch.Tensor:
        """Decodes tokens, each with its position, sequence and whether its logits are wanted.

        Returns:
            The logits, one row for each token that wants them.
        """
        batch = self.batch
        batch.n_tokens = len(tokens)
        for i, (token, position, sequence, wanted) in enumerate(tokens):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        failed = llama_cpp.llama_decode(self.context, batch)
        assert not failed, f"llama_decode returned {failed}"
        count = sum(wanted for *_, wanted in tokens)
        if not count:
            return torch.empty(0, self.vocabulary)
        found = ctypes.cast(
            llama_cpp.llama_get_logits(self.context), ctypes.POINTER(ctypes.c_float)
        )
        return torch.from_numpy(np.ctypeslib.as_array(found, (count, self.vocabulary)))

    def context_values(self, rows: list[Row]) -> list[float]:
        """The values of rows that have one context."""
        llama_cpp.llama_memory_clear(self.memory, False)
        tokens, start = rows[0]
        before = [(token, at, 0, False) for at, token in enumerate(tokens[: start - 1])]
        for first in range(0, len(before), BATCH):
            self.decode(before[first : first + BATCH])
        for sequence in range(1, len(rows)):
            llama_cpp.llama_memory_seq_cp(self.memory, 0, sequence, -1, -1)
        values = [0.0] * len(rows)
        asked = [
            (sequence, at, row[at], row[at + 1])
            for sequence, (row, _) in enumerate(rows)
            for at in range(start - 1, len(row) - 1)
        ]
        for first in range(0, len(asked), BATCH):
            part = asked[first : first + BATCH]
            logits = self.decode([(token, at, sequence, True) for sequence, at, token, _ in part])
            targets = torch.tensor([target for *_, target in part])
            scores = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
            for (sequence, *_), score in zip(part, scores.tolist(), strict=True):
                values[sequence] += score
        return values

    def values(self, rows: list[Row]) -> list[float]:
        """The values of all rows; those of one context stand side by side."""
        groups = itertools.groupby(rows, key=lambda row: row[0][: row[1]])
        return [value for _, group in groups for value in self.context_values(list(group))]


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    decoder = Decoder(sys.argv[1], int(sys.argv[2]), f32="f32" in sys.argv[3:])
    serve(decoder.values, {"llama-cpp-python": version("llama-cpp-python")})

"""lm-evaluation-harness's `hf` model as a peer: one `loglikelihood` request a follow-up.

    python run_lm_eval.py FOLDER DTYPE THREADS

Requests are given as tokens, to the method that its `loglikelihood` calls after tokenising.
"""

import sys
from importlib.metadata import version

import torch
from lm_eval.models.huggingface import HFLM
from worker import Row, serve

BATCH = 8
TOKENS = 16384
"""Of a batch at most: it holds two numbers for every token and entry of the vocabulary."""


def main(folder: str, dtype: str, threads: str) -> None:
    """Loads the model and answers."""
    torch.set_num_threads(int(threads))
    model = HFLM(pretrained=folder, dtype=dtype, device="cpu", batch_size=BATCH)

    def values(rows: list[Row]) -> list[float]:
        asked = [(("", str(i)), row[:start], row[start:]) for i, (row, start) in enumerate(rows)]
        longest = max(len(row) for row, _ in rows)
        model.batch_size_per_gpu = max(1, min(BATCH, TOKENS // longest))
        answers = model._loglikelihood_tokens(asked, disable_tqdm=True)
        return [value for value, _ in answers]

    serve(values, {name: version(name) for name in ("lm_eval", "transformers", "torch")})


if __name__ == "__main__":
    main(*sys.argv[1:])

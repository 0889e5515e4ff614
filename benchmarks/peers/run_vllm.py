"""vLLM's CPU build as a peer: `prompt_logprobs`, with its prefix cache read where that is right.

    python run_vllm.py FOLDER DTYPE THREADS

Left alone, vLLM does not read its cache for a request that asks for log-likelihoods of its prompt,
since it has none for cached tokens. Those of a context are not asked for, so it is told to read; a
row of which more than the context was in the cache is asked for once more, without it.
"""

import os
import sys
from importlib.metadata import version

from worker import Row, serve

FOLDER, DTYPE, THREADS = sys.argv[1:]
BLOCK = 32
"""Tokens of a block of the cache, the fewest that its CPU build takes; it holds whole blocks."""

# Left alone it takes nearly all memory there is, and keeps a core for its own bookkeeping.
os.environ["VLLM_CPU_KVCACHE_SPACE"] = "2"  # GiB
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(
    str(core) for core in sorted(os.sched_getaffinity(0))[: int(THREADS)]
)
os.environ["VLLM_USE_V2_MODEL_RUNNER"] = "0"  # the other one needs Triton

from vllm import LLM, RequestOutput, SamplingParams  # noqa: E402 - it reads these at once


def main() -> None:
    """Loads the model and answers."""
    model = LLM(
        model=FOLDER,
        dtype=DTYPE,
        skip_tokenizer_init=True,
        enable_prefix_caching=True,
        block_size=BLOCK,
        seed=0,
    )

    def asked(rows: list[Row], *, skip: bool) -> list[RequestOutput]:
        sampling = SamplingParams(
            max_tokens=1, prompt_logprobs=0, detokenize=False, skip_reading_prefix_cache=skip
        )
        prompts = [{"prompt_token_ids": row} for row, _ in rows]
        return model.generate(prompts, sampling, use_tqdm=False)

    def values(rows: list[Row]) -> list[float]:
        assert model.reset_prefix_cache(), "what was timed before is forgotten"
        answers = asked(rows, skip=False)
        again = [i for i, one in enumerate(answers) if one.num_cached_tokens >= rows[i][1]]
        if again:
            for i, one in zip(again, asked([rows[i] for i in again], skip=True), strict=True):
                answers[i] = one
        assert all(
            len(one.prompt_logprobs) == len(row)
            for (row, _), one in zip(rows, answers, strict=True)
        )
        return [
            sum(one.prompt_logprobs[at][row[at]].logprob for at in range(start, len(row)))
            for (row, start), one in zip(rows, answers, strict=True)
        ]

    serve(values, {"vllm-cpu": version("vllm-cpu")})


if __name__ == "__main__":
    main()

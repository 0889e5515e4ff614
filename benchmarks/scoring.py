"""Times three ways to score the same rows, side by side in one run.

    published   one full forward a follow-up, logits of every position, as the published code does;
                6 of the rows are timed and scaled to all of them
    batched     the same in right-padded batches of 8, logits of every position; 8 rows are timed
                and scaled
    flr         the engine of `flr score`, all rows

The rows are real text: contexts cut from the demo's conversations, follow-ups of the set `default`.
The three ways take turns; the figure of each is the median of its turns. Prints a table, and as its
last line one JSON object with the seconds, the ratios and the measured matrix rate.

    python benchmarks/scoring.py [--dtypes bf16 fp32] [--turns 2]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import torch

from flr import demo, devices, followups, models, sources
from flr.engines.base import Request
from flr.engines.hf import HFEngine
from flr.runs import versions

CASES = {"100": (100, 1), "400": (400, 1), "1000": (1000, 1), "400 x 8 responses": (400, 8)}
PROMPT_SHARE = 0.25
"""Part of a context that is the prompt, which the responses of a prompt share."""


def requests_of(tokenizer: Any, context: int, responses: int) -> list[Request]:
    """Every follow-up of the set `default` after each of some contexts of a given length."""
    text = "\n\n".join(
        f"{one['prompt']}\n{one['chosen']}\n{one['rejected']}" for one in demo.pairs()
    )
    stream: list[int] = tokenizer(text)["input_ids"]
    prompt = int(context * PROMPT_SHARE)
    turn = "<|im_end|>\n<|im_start|>user\n"
    rows: list[Request] = []
    for number in range(responses):
        begin = prompt + number * (context - prompt)
        before = tuple(stream[:prompt] + stream[begin : begin + context - prompt])
        assert len(before) == context, "the demo's text is long enough"
        for followup in followups.load("default").followups:
            head = tokenizer(turn)["input_ids"]
            full = tokenizer(turn + followup.text)["input_ids"]
            row = before[: context - len(head)] + tuple(full)
            rows.append(Request(row, context, len(row)))
    return rows


def published(model: torch.nn.Module, rows: Sequence[Request]) -> list[float]:
    """One full forward a row."""
    return [batched(model, [row])[0] for row in rows]


def batched(model: torch.nn.Module, rows: Sequence[Request]) -> list[float]:
    """One full forward for all rows, right-padded."""
    width = max(len(row.tokens) for row in rows)
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, row in enumerate(rows):
        tokens[i, : len(row.tokens)], mask[i, : len(row.tokens)] = torch.tensor(row.tokens), 1
    with torch.inference_mode():
        logits = model(input_ids=tokens, attention_mask=mask).logits
    result: list[float] = []
    for i, row in enumerate(rows):
        span = torch.arange(row.start, row.stop)
        scores = logits[i, span - 1].float().log_softmax(-1)
        result.append(scores[torch.arange(len(span)), tokens[i, span]].sum().item())
    return result


def timed(way: Callable[[], object]) -> float:
    """Seconds of one call."""
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


def measure(
    model: torch.nn.Module, engine: HFEngine, rows: Sequence[Request], turns: int
) -> dict[str, float]:
    """Median seconds of each way for all rows, and the largest difference of flr to published."""
    some, more = list(rows[:: len(rows) // 6])[:6], list(rows[:: len(rows) // 8])[:8]
    own = engine.loglikelihoods(rows)
    truth = dict(zip(map(id, some), published(model, some), strict=True))
    differences = [
        abs(answer.total - truth[id(row)]) / answer.tokens
        for row, answer in zip(rows, own, strict=True)
        if id(row) in truth
    ]
    seconds: dict[str, list[float]] = {"published": [], "batched": [], "flr": []}
    for _ in range(turns):
        seconds["flr"].append(timed(lambda: engine.loglikelihoods(rows)))
        seconds["published"].append(timed(lambda: published(model, some)) * len(rows) / len(some))
        seconds["batched"].append(timed(lambda: batched(model, more)) * len(rows) / len(more))
    return {
        **{name: statistics.median(values) for name, values in seconds.items()},
        "largest_difference": max(differences),
    }


def matrix_rate(dtype: torch.dtype) -> float:
    """GFLOP/s of a product of the model's own shape, measured now."""
    a, b = torch.randn(1024, 576, dtype=dtype), torch.randn(1536, 576, dtype=dtype)
    times = [timed(lambda: torch.nn.functional.linear(a, b)) for _ in range(60)]
    return 2 * 1024 * 576 * 1536 / statistics.median(times[10:]) / 1e9


def main() -> None:
    """Measures every case in every dtype and prints what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dtypes", nargs="+", default=["bf16", "fp32"], choices=list(devices.DTYPES)
    )
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    source = sources.locate("smollm2")
    tokenizer = models.load_tokenizer(source)
    result: dict[str, object] = {
        "date": date.today().isoformat(),
        "versions": versions(),
        "machine": devices.describe_device("cpu"),
        "threads": torch.get_num_threads(),
        "followups": "default",
        "published_rows_timed": 6,
        "batched_rows_timed": 8,
    }
    print("seconds for 120 follow-ups after each response; ratios to flr")
    for dtype in options.dtypes:
        model = models.load(source, dtype=dtype, device="cpu")
        engine = HFEngine(model)
        rate = matrix_rate(devices.DTYPES[dtype])
        print(f"\n{dtype}, {rate:.0f} GFLOP/s in a 1024 x 576 x 1536 product")
        cases: dict[str, object] = {}
        for name, (context, responses) in CASES.items():
            found = measure(
                model, engine, requests_of(tokenizer, context, responses), options.turns
            )
            ratios = {
                f"{way}_over_flr": found[way] / found["flr"] for way in ("published", "batched")
            }
            cases[name] = {**found, **ratios}
            print(
                f"  context {name:18} published {found['published']:8.2f} "
                f"({ratios['published_over_flr']:5.1f}x)   batched {found['batched']:8.2f} "
                f"({ratios['batched_over_flr']:5.1f}x)   flr {found['flr']:6.2f}   "
                f"largest difference {found['largest_difference']:.1e} nats/token",
                flush=True,
            )
        result[dtype] = {"gflops": rate, "cases": cases}
    print(json.dumps(result))


if __name__ == "__main__":
    main()

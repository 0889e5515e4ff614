"""Times flr and everything that could be taken in its place on the same rows, side by side.

    published   one full forward a follow-up, logits of every position, as the published code does;
                8 rows are timed and scaled to all of them
    kv-reuse    transformers: the context once, its cache repeated for 24 follow-ups at a time, by
                length, padded (24 was best of 12, 24, 40 and 120, tried by hand)
    lm-eval     lm-evaluation-harness's `hf` model, batches of 8, of 4 at 4,000 tokens for its
                memory; 8 rows are timed and scaled
    llama.cpp   the context once, copied to a sequence a follow-up, one unified cache; `4-bit` is
                smollm2's own packed file, on a line of its own
    vllm        vLLM's CPU build, `prompt_logprobs`, contexts from its prefix cache (blocks of 32)
    flr         the engine of `flr score`, all rows
    flr-as-laid the same, without weights laid out for oneDNN (`flr.engines.linear`)

The rows are real text: contexts cut from the demo's conversations, follow-ups of the set `default`.
One axis is varied at a time from a centre; `wide` is a Llama of hidden size 2048 with 4 layers and
random weights. All take turns, every turn begins with another; a ratio is of one turn, and the
figure told is the median of the turns. What each says is compared with the published way on the
rows that are timed of that, and with flr on all of its rows; more than rounding is an error. Prints
a table, and as its last line one JSON object with seconds, ratios and the measured matrix rate.

    benchmarks/peers/install.sh ENVIRONMENTS
    python -m benchmarks.scoring [--peers ENVIRONMENTS] [--dtypes bf16 fp32] [--cases centre ...]
"""

import argparse
import copy
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig, PreTrainedModel

from benchmarks.peers import gguf_file
from flr import demo, devices, followups, models, sources, speed
from flr.engines.base import Request
from flr.engines.hf import HFEngine
from flr.engines.linear import Linears
from flr.engines.prefix_tree import plan
from flr.runs import versions

PEERS = Path(__file__).parent / "peers"

PROMPT_SHARE = 0.25
"""Part of a context that is the prompt, which the responses of a prompt share."""

TIMED = {"published": 8, "lm-eval": 8}
"""Rows that are timed, where not all are; the same ones, so that all can be compared."""

AT_ONCE = 24
"""Follow-ups of one forward pass of kv-reuse."""

BOUND = {"bf16": 0.5, "fp32": 0.01}
"""Largest difference that rounding explains, 4-bit files' included, nats a token."""

WIDE = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 49152,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
}


@dataclass(frozen=True)
class Case:
    """What is scored: `responses` contexts of a prompt, each of `context` tokens."""

    model: str = "smollm2"
    context: int = 400
    followups: int = 120
    responses: int = 1


CASES = {
    "centre": Case(),
    "context 100": Case(context=100),
    "context 1000": Case(context=1000),
    "context 4000": Case(context=4010),  # no multiple of vLLM's blocks, which would undo its cache
    "24 follow-ups": Case(followups=24),
    "8 responses": Case(responses=8),
    "wide": Case(model="wide"),
}

Way = Callable[[Sequence[Request]], tuple[float, list[float]]]
"""Answers requests: the seconds that it took, and the log-likelihood of each, nats."""


def requests_of(tokenizer: Any, case: Case) -> list[Request]:
    """Every follow-up after each of some contexts."""
    text = "\n\n".join(
        f"{one['prompt']}\n{one['chosen']}\n{one['rejected']}" for one in demo.pairs()
    )
    stream: list[int] = tokenizer(text)["input_ids"]
    context, prompt = case.context, int(case.context * PROMPT_SHARE)
    turn = "<|im_end|>\n<|im_start|>user\n"
    head: list[int] = tokenizer(turn)["input_ids"]
    asked = followups.load("default").followups
    chosen = [asked[i * len(asked) // case.followups] for i in range(case.followups)]
    rows: list[Request] = []
    for number in range(case.responses):
        begin = prompt + number * (context - prompt)
        before = tuple(stream[:prompt] + stream[begin : begin + context - prompt])
        assert len(before) == context, "the demo's text is long enough"
        for followup in chosen:
            row = before[: context - len(head)] + tuple(
                tokenizer(turn + followup.text)["input_ids"]
            )
            rows.append(Request(row, context, len(row)))
    return rows


def timed(answer: Callable[[Sequence[Request]], list[float]]) -> Way:
    """The same, with its seconds."""

    def way(rows: Sequence[Request]) -> tuple[float, list[float]]:
        begun = time.perf_counter()
        values = answer(rows)
        return time.perf_counter() - begun, values

    return way


def picked(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Log-likelihood of each target under its row of logits."""
    scores = logits.float().log_softmax(-1)
    return scores.gather(-1, targets[..., None])[..., 0]


def published(model: PreTrainedModel) -> Way:
    """One full forward a row, logits of every position."""

    @torch.inference_mode()
    def answer(rows: Sequence[Request]) -> list[float]:
        values: list[float] = []
        for row in rows:
            tokens = torch.tensor(row.tokens)
            logits = model(input_ids=tokens[None]).logits[0]
            asked = slice(row.start - 1, row.stop - 1)
            values.append(picked(logits[asked], tokens[row.start : row.stop]).sum().item())
        return values

    return timed(answer)


def kv_reuse(model: PreTrainedModel) -> Way:
    """Each context once, its keys and values repeated for the follow-ups, which are padded."""

    def scores(group: Sequence[Request], cache: DynamicCache) -> list[float]:
        start = group[0].start
        width = max(row.stop for row in group) - start
        tokens = torch.zeros(len(group), width + 1, dtype=torch.long)
        mask = torch.zeros(len(group), start - 1 + width, dtype=torch.long)
        for i, row in enumerate(group):
            tokens[i, : row.stop - start + 1] = torch.tensor(row.tokens[start - 1 :])
            mask[i, : row.stop - 1] = 1
        cache.batch_repeat_interleave(len(group))
        logits = model(input_ids=tokens[:, :-1], attention_mask=mask, past_key_values=cache).logits
        return (picked(logits, tokens[:, 1:]) * mask[:, start - 1 :]).sum(-1).tolist()

    @torch.inference_mode()
    def answer(rows: Sequence[Request]) -> list[float]:
        values: list[float] = []
        for group in by_context(rows):
            before = torch.tensor(group[0].tokens[: group[0].start - 1])
            cache = model(input_ids=before[None], logits_to_keep=1).past_key_values
            order = sorted(range(len(group)), key=lambda at: len(group[at].tokens))
            found: dict[int, float] = {}
            for first in range(0, len(order), AT_ONCE):
                part = order[first : first + AT_ONCE]
                said = scores([group[at] for at in part], copy.deepcopy(cache))
                found |= dict(zip(part, said, strict=True))
            values += [found[at] for at in range(len(group))]
        return values

    return timed(answer)


def by_context(rows: Sequence[Request]) -> Iterator[list[Request]]:
    """Rows of one context, which stand side by side."""
    group: list[Request] = []
    for row in rows:
        if group and row.tokens[: row.start] != group[0].tokens[: group[0].start]:
            yield group
            group = []
        group.append(row)
    yield group


def of_flr(engine: HFEngine) -> Way:
    """The engine of `flr score`."""
    return timed(lambda rows: [answer.total for answer in engine.loglikelihoods(rows)])


def as_laid(model: PreTrainedModel) -> HFEngine:
    """An engine that leaves the linear layers to torch."""
    engine = HFEngine(model)
    engine._linears = Linears(torch.nn.Identity())
    return engine


@contextmanager
def peer(environments: Path, name: str, *arguments: str) -> Iterator[tuple[Way, dict[str, str]]]:
    """A program of `benchmarks/peers` in its environment, and the versions that it told.

    It and its children are stopped while others are timed: some wait for work in a busy loop.
    """
    program = {"llama-cpp": "run_llama_cpp.py", "lm-eval": "run_lm_eval.py", "vllm": "run_vllm.py"}
    command = [environments / name / "bin" / "python", PEERS / program[name], *arguments]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    process = subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=offline,
        text=True,
        process_group=0,
    )
    assert process.stdin
    assert process.stdout
    source, target = process.stdout, process.stdin

    def send(number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)

    def reply() -> dict[str, Any]:
        line = source.readline()
        assert line, f"{name} ended"
        send(signal.SIGSTOP)
        return json.loads(line)

    def way(rows: Sequence[Request]) -> tuple[float, list[float]]:
        job = {"rows": [[row.tokens[: row.stop], row.start] for row in rows]}
        send(signal.SIGCONT)
        print(json.dumps(job), file=target, flush=True)
        answer = reply()
        return answer["seconds"], answer["values"]

    try:
        yield way, reply()["versions"]
    finally:
        send(signal.SIGCONT)
        with suppress(BrokenPipeError):
            target.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)
        send(signal.SIGKILL)
        process.wait()
        source.close()


def spaced(rows: Sequence[Request], count: int | None) -> list[Request]:
    """Some of the rows, evenly spaced; all where none are counted."""
    if count is None or count >= len(rows):
        return list(rows)
    return [rows[i * len(rows) // count] for i in range(count)]


def measure(
    ways: Mapping[str, Way],
    rows: Sequence[Request],
    turns: int,
    rate: Callable[[], float],
    bound: float,
) -> tuple[dict[str, Any], list[float]]:
    """Seconds of each way for all rows, turn by turn, and how far it is from others.

    Args:
        ways: by name; `published` and `flr` among them.
        rows: to be answered.
        turns: at least one.
        rate: measures what the machine's matrix products reach.
        bound: largest difference that rounding explains, nats a token.

    Returns:
        What is found of each way, and the rates, one a turn.
    """
    first = rows[0]
    alike = [row for row in rows if row.tokens[: row.start] == first.tokens[: first.start]]
    for name, way in ways.items():  # allocators, what is compiled
        way(spaced(alike, TIMED.get(name)))
    shown = spaced(rows, TIMED["published"])
    truth = dict(zip(map(id, shown), ways["published"](shown)[1], strict=True))
    ours = dict(zip(map(id, rows), ways["flr"](rows)[1], strict=True))
    found: dict[str, Any] = {
        name: {"seconds": [], "largest_difference": 0.0, "largest_difference_to_flr": 0.0}
        for name in ways
    }
    rates: list[float] = []
    names = list(ways)
    for turn in range(turns):
        rates.append(rate())
        at = turn * len(names) // turns
        for name in (*names[at:], *names[:at]):
            some = spaced(rows, TIMED.get(name))
            seconds, values = ways[name](some)
            own = found[name]
            own["seconds"].append(seconds * len(rows) / len(some))
            for key, known in (("", truth), ("_to_flr", ours)):
                key = f"largest_difference{key}"
                own[key] = max(own[key], _difference(some, values, known))
                assert own[key] < bound, f"{name} differs by {own[key]} nats/token"
    for own in found.values():
        pairs = zip(own["seconds"], found["flr"]["seconds"], strict=True)
        own["over_flr"] = statistics.median(theirs / ours for theirs, ours in pairs)
        own["rows_timed"] = len(rows)
    for name in TIMED.keys() & found.keys():
        found[name]["rows_timed"] = min(TIMED[name], len(rows))
    return found, rates


def _difference(
    rows: Sequence[Request], values: Sequence[float], known: Mapping[int, float]
) -> float:
    """The largest of the rows that are known, nats a token."""
    return max(
        abs(value - known[id(row)]) / (row.stop - row.start)
        for row, value in zip(rows, values, strict=True)
        if id(row) in known
    )


def work(model: PreTrainedModel, rows: Sequence[Request]) -> float:
    """Floating-point operations of unique tokens and unique scored positions with the weights."""
    made = plan(
        [row.tokens[: row.stop - 1] for row in rows],
        [slice(row.start - 1, row.stop - 1) for row in rows],
        budget=1 << 40,
    )
    found = speed.flops(model, len(made.tokens), len(np.unique(np.concatenate(made.nodes))))
    assert found, "a dense model"
    return found


def load(name: str, dtype: devices.Dtype) -> PreTrainedModel:
    """smollm2, or the wide model with random weights."""
    if name == "smollm2":
        return models.load(sources.locate(name), dtype=dtype, device="cpu")
    torch.manual_seed(0)
    config = LlamaConfig(**WIDE)
    return AutoModelForCausalLM.from_config(config, dtype=devices.DTYPES[dtype]).eval()


def started(
    stack: ExitStack,
    environments: Path,
    name: str,
    model: PreTrainedModel,
    folder: Path,
    dtype: str,
) -> tuple[dict[str, Way], dict[str, str]]:
    """Every peer in an environment of its own, with the same weights."""
    threads = str(torch.get_num_threads())
    model.save_pretrained(folder)
    models.load_tokenizer(sources.locate("smollm2")).save_pretrained(folder)
    gguf_file.write(model, folder / "model.gguf")
    torch_dtype = str(model.dtype).removeprefix("torch.")
    f32 = ["f32"] if dtype == "fp32" else []
    asked = {
        "llama.cpp": ("llama-cpp", str(folder / "model.gguf"), threads, *f32),
        "lm-eval": ("lm-eval", str(folder), torch_dtype, threads),
        "vllm": ("vllm", str(folder), torch_dtype, threads),
    }
    if name == "smollm2" and dtype == "bf16":
        smollm2 = sources.locate("smollm2")
        packed = smollm2.folder / str(smollm2.gguf)
        asked["llama.cpp 4-bit"] = ("llama-cpp", str(packed), threads)
    ways: dict[str, Way] = {}
    told: dict[str, str] = {}
    for peer_name, (environment, *arguments) in asked.items():
        way, own = stack.enter_context(peer(environments, environment, *arguments))
        ways[peer_name] = way
        told |= own
    return ways, told


def main() -> None:
    """Measures every case in every dtype and prints what came out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=Path, help="folder that peers/install.sh has made")
    parser.add_argument("--dtypes", nargs="+", default=list(BOUND), choices=list(BOUND))
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--output", "-o", type=Path, help="writes the JSON object after every case")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that peers end, too
    tokenizer = models.load_tokenizer(sources.locate("smollm2"))
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "versions": versions(),
        "machine": devices.describe_device("cpu"),
        "threads": torch.get_num_threads(),
        "followups": "default",
    }
    for dtype in options.dtypes:
        for name in ("smollm2", "wide"):
            cases = {one: CASES[one] for one in options.cases if CASES[one].model == name}
            if not cases:
                continue
            model = load(name, dtype)
            with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
                ways = {
                    "flr": of_flr(HFEngine(model)),
                    "flr-as-laid": of_flr(as_laid(model)),
                    "published": published(model),
                    "kv-reuse": kv_reuse(model),
                }
                if options.peers:
                    theirs, told = started(stack, options.peers, name, model, Path(folder), dtype)
                    ways |= theirs
                    result["versions"] |= told
                for case_name, case in cases.items():
                    rows = requests_of(tokenizer, case)
                    rate = partial(speed.matrix_rate, model.dtype, model.device)
                    found, rates = measure(ways, rows, options.turns, rate, BOUND[dtype])
                    both = zip(found["flr"]["seconds"], rates, strict=True)
                    flops = work(model, rows)
                    share = statistics.median(flops / seconds / one for seconds, one in both)
                    gflops = statistics.median(rates) / 1e9
                    one = {"gflops": gflops, "share": share, "case": asdict(case), "ways": found}
                    result.setdefault(dtype, {})[case_name] = one
                    show(dtype, case_name, one)
                    if options.output:
                        options.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))


def show(dtype: str, name: str, told: Mapping[str, Any]) -> None:
    """Prints one case."""
    print(f"\n{name}, {dtype}: {told['gflops']:.0f} GFLOP/s in products, flr {told['share']:.0%}")
    for way, own in told["ways"].items():
        seconds = statistics.median(own["seconds"])
        print(
            f"  {way:16} {seconds:9.2f} s {own['over_flr']:7.2f}x   largest difference "
            f"{own['largest_difference']:.1e} nats/token",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())

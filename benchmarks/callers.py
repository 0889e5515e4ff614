"""Do verl's and OpenRLHF's own callers get the rewards of `flr.score`?

    verl       `get_custom_reward_fn` and `NaiveRewardManager.run_single`, all responses at once;
               `BatchRewardManager` with the batch form; `RewardLoopWorker.compute_score_batch`,
               which asks a running `flr serve` at /classify
    OpenRLHF   `SingleTurnAgentExecutor.execute`, all responses at once, with our reward function
               and with the address of a running `flr serve` (/get_reward); vLLM is played by a
               class that answers with given texts

Policy and follow-up model are tiny random ones of two families; prompts of one and of four
messages, three responses each, in mixed order, ended and padded as the trainers do. No training:
that needs GPUs.

    benchmarks/callers.sh FOLDER
    python benchmarks/callers.py FOLDER -o RESULT.json

Exit code 1 where a reward is more than 1e-5 from that of `flr.score`.
"""

import argparse
import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import torch
from transformers import AutoTokenizer

sys.path.insert(0, str(Path(__file__).parents[1]))

import flr
import flr.integrations.openrlhf
from flr import devices
from flr.runs import versions
from tests.integrations.small import LONG, TEA, save_policy
from tests.tiny_model import save_tiny_model

PAIRS = [(prompt, text) for text in ("Green.", "No", " \U0001f375\n") for prompt in (TEA, LONG)]
END, TOLERANCE = "<|im_end|>", 1e-5


def of_verl(tokenizer: Any, options: dict[str, Any]) -> dict[str, list[float]]:
    """The rewards that verl's managers report."""
    config = import_module("omegaconf").OmegaConf.create
    loaded = import_module("verl.trainer.ppo.reward").get_custom_reward_fn

    def function(name: str) -> tuple[Any, Any]:
        named = {
            "path": "pkg://flr.integrations.verl",
            "name": name,
            "reward_kwargs": {**options, "weights": {"correctness": 2}},
        }
        made = config({"reward": {"custom_reward_function": named}})
        return made, loaded(made)

    managers = import_module("verl.experimental.reward_loop.reward_manager.naive")
    made, single = function("compute_score")
    asyncio.set_event_loop(asyncio.new_event_loop())  # the manager asks for one when it is made
    manager, data = managers.NaiveRewardManager(made, tokenizer, single), verl_data(tokenizer)

    async def together() -> list[dict[str, Any]]:
        singles = [manager.run_single(data[at : at + 1]) for at in range(len(PAIRS))]
        return await asyncio.gather(*singles)

    one_by_one = [one["reward_score"] for one in manager.loop.run_until_complete(together())]
    batch = import_module("verl.workers.reward_manager.batch").BatchRewardManager(
        tokenizer, 0, function("compute_score_batch")[1]
    )
    tensor = batch(verl_data(tokenizer), return_dict=True)["reward_tensor"]
    return {"NaiveRewardManager": one_by_one, "BatchRewardManager": tensor.sum(-1).tolist()}


def verl_data(tokenizer: Any) -> Any:
    """A batch as verl's rollout leaves it."""
    prompts = [
        tokenizer.apply_chat_template(p, add_generation_prompt=True, return_dict=True)["input_ids"]
        for p, _ in PAIRS
    ]
    responses = [tokenizer(text + END, add_special_tokens=False)["input_ids"] for _, text in PAIRS]
    width, length = max(map(len, prompts)), max(map(len, responses))
    pad = tokenizer.pad_token_id
    left = [[pad] * (width - len(row)) + row for row in prompts]
    right = [row + [pad] * (length - len(row)) for row in responses]
    mask = [
        [0] * (width - len(p)) + [1] * (len(p) + len(r)) + [0] * (length - len(r))
        for p, r in zip(prompts, responses, strict=True)
    ]

    def column(values: list[Any]) -> Any:
        made = np.empty(len(values), dtype=object)
        made[:] = values
        return made

    return import_module("verl").DataProto.from_dict(
        tensors={
            "prompts": torch.tensor(left),
            "responses": torch.tensor(right),
            "attention_mask": torch.tensor(mask),
        },
        non_tensors={
            "data_source": column(["tea"] * len(PAIRS)),
            "reward_model": column([{"ground_truth": ""} for _ in PAIRS]),
            "extra_info": column([{"prompt": prompt} for prompt, _ in PAIRS]),
            "raw_prompt": column([prompt for prompt, _ in PAIRS]),
            "__num_turns__": np.full(len(PAIRS), 2),
        },
    )


@contextmanager
def served(policy: Path, options: dict[str, Any]) -> Iterator[str]:
    """A running `flr serve`, until the block ends: HOST:PORT."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "flr", "serve", "--port", port, "--policy", policy]
    command += [part for name, value in options.items() for part in (f"--{name}", value)]
    command += ["--weights.correctness", 2]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("FLR_")}
    process = subprocess.Popen(list(map(str, command)), env=plain)
    try:
        for _ in range(240):
            assert process.poll() is None, "flr serve ended"
            try:
                urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except URLError:
                time.sleep(0.25)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def of_verl_asking(tokenizer: Any, address: str) -> list[float]:
    """The rewards that verl's reward loop gets from a discriminative reward model's server."""
    worker_class = import_module("verl.experimental.reward_loop.reward_loop").RewardLoopWorker
    worker = worker_class.__new__(worker_class)  # what it is made of beside this needs files
    rm = {"enable": True, "model_path": "policy", "rollout": {"name": "vllm"}}
    custom = {"custom_reward_function": {"path": None}}
    worker.config = import_module("omegaconf").OmegaConf.create(
        {"reward": {"reward_model": rm, **custom}}
    )
    worker.input_tokenizer = worker.reward_model_tokenizer = tokenizer
    worker.reward_router_address = address
    found = asyncio.run(worker.compute_score_batch(verl_data(tokenizer)))
    return [one["reward_score"] for one in found]


class Vllm:
    """Answers with a given text."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids

    async def generate(self, *_: Any, **__: Any) -> Any:
        """One output, in the form of vLLM's."""
        output = SimpleNamespace(token_ids=self.ids, finish_reason="stop", logprobs=None)
        return SimpleNamespace(outputs=[output])


def of_openrlhf(tokenizer: Any, folder: Path, remote: str) -> list[float]:
    """The rewards that OpenRLHF's executor reports, of a file or a server."""
    for name in ("openrlhf", "openrlhf.utils"):  # which import deepspeed; the executor does not
        package = ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    agent = import_module("openrlhf.utils.agent")
    executor = agent.SingleTurnAgentExecutor(remote)
    parameters = SimpleNamespace(max_tokens=64, logprobs=None)

    async def together() -> list[dict[str, Any]]:
        calls = []
        for prompt, text in PAIRS:
            written = tokenizer.apply_chat_template(
                prompt, tokenize=False, add_generation_prompt=True
            )
            vllm = Vllm(tokenizer(text + END, add_special_tokens=False)["input_ids"])
            calls.append(executor.execute(written, "", parameters, 2048, tokenizer, vllm))
        return await asyncio.gather(*calls)

    rewards = [torch.tensor([one["reward"]]) for one in asyncio.run(together())]
    # As an experience holds them: a server's are lists of one, as those of OpenRLHF's own server.
    shape = (1, 1) if remote.startswith("http") else (1,)
    assert all(one.shape == shape for one in rewards), [one.shape for one in rewards]
    return [one.item() for one in rewards]


def main(arguments: Sequence[str]) -> int:
    """Asks all three, compares, writes, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    sys.path.append(str(given.folder.resolve()))
    with tempfile.TemporaryDirectory() as temporary:
        policy = save_policy(Path(temporary) / "policy")
        follower = str(save_tiny_model(Path(temporary) / "follower", template="llama3"))
        options = {"model": follower, "set": "short", "dtype": "fp32"}
        tokenizer = AutoTokenizer.from_pretrained(policy)
        variables = {**options, "policy": str(policy), "weights": "{correctness: 2}"}
        os.environ.update({f"FLR_{name.upper()}": value for name, value in variables.items()})
        rows = [{"prompt": prompt, "response": text} for prompt, text in PAIRS]
        scores = flr.score(rows, weights={"correctness": 2}, **options)
        folder, ours = given.folder.resolve(), str(flr.integrations.openrlhf.__file__)
        found = {
            **of_verl(tokenizer, options),
            "SingleTurnAgentExecutor": of_openrlhf(tokenizer, folder, ours),
        }
        with served(policy, options) as address:
            url = f"http://{address}/get_reward"
            found["SingleTurnAgentExecutor, /get_reward"] = of_openrlhf(tokenizer, folder, url)
            found["RewardLoopWorker, /classify"] = of_verl_asking(tokenizer, address)
    expected = np.array([one.reward for one in scores if one is not None])
    largest = {name: float(np.abs(expected - one).max()) for name, one in found.items()}
    result = {
        "date": date.today().isoformat(),
        "command": "python benchmarks/callers.py FOLDER -o RESULT.json",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": {**versions(), **{name: version(name) for name in ("verl", "openrlhf")}},
        "responses": len(PAIRS),
        "largest_difference_to_flr_score": largest,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))
    return 0 if max(largest.values()) < TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

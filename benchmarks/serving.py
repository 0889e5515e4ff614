"""`flr serve` under load, beside one process that calls the library with the same conversations.

    library     `Scorer.score` on a stream of conversations, 64 at a time: its rate
    load        64 clients on loopback, each asking again as soon as it is answered, by /score,
                /get_reward and /classify, one to four responses of a prompt a request: the rate,
                percentiles of a request's seconds, and how far each reward is from the one that
                the library gives for that very conversation
    stop        SIGTERM while all clients wait: whoever was accepted has to be answered
    malformed   schemathesis on the API's own description: no answer may be a 5xx, and the server's
                memory is told before and after

Prompts are those of the demo with a number in each. The library and the load take turns, so that
both see the machine as it is. The last line is one JSON object; exit code 1 where a reward is
another's or not one, an accepted request was lost, a malformed one broke something, or the rate is
below 0.85 of the library's.

    python -m benchmarks.serving [--seconds 600] -o RESULT.json
"""

import argparse
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import numpy as np

import flr
from flr import demo, devices, models, sources
from flr.runs import versions

CLIENTS = 64
TURNS = 3
"""In which the library and the load take turns."""
SET, DTYPE, THREADS = "short", "fp32", 2
NOISE = 1e-4
"""By how much company changes a reward in fp32 at most, nats a token."""
GOAL = 0.85
"""Of the library's rate."""
MALFORMED = 1000
"""Requests that are no such, at least."""

PAIRS = demo.pairs()
POOL = 512
"""Conversations that there are; they come one after the other, so none is there twice at a time."""


def conversation(number: int) -> dict[str, str]:
    """The same one for a number always; four have a prompt in common."""
    number %= POOL
    pair = PAIRS[number // 4 % len(PAIRS)]
    text = pair[("chosen", "rejected")[number % 2]]
    return {"prompt": f"{number // 4}: {pair['prompt']}", "response": f"{number % 4}. {text}"}


@dataclass
class Answers:
    """What clients were told.

    Args:
        rewards: by number of the conversation.
        seconds: of each request that was answered with rewards.
        statuses: of all requests.
        lost: requests that were sent and not answered at all.
        unread: answers with status 200 that could not be read as rewards.
        last: when the last one was answered.
    """

    rewards: dict[int, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    unread: int = 0
    last: float = 0.0


class Clients:
    """Asks until told to stop, `CLIENTS` at a time."""

    def __init__(self, url: str, tokenizer: Any, first: int) -> None:
        self.url, self.answers = url, Answers()
        self._tokenizer, self._next = tokenizer, first
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._ask_on, args=(n,)) for n in range(CLIENTS)]

    def start(self) -> None:
        """Lets all of them ask."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Nobody asks again."""
        self._over.set()

    def wait(self) -> None:
        """Until everyone has the answer that is due, or knows that none will come."""
        for thread in self._threads:
            thread.join()

    def _ask_on(self, seed: int) -> None:
        draw = random.Random(seed)
        with httpx.Client(timeout=300.0) as client:
            while not self._over.is_set():
                self._ask(client, draw)

    def _ask(self, client: httpx.Client, draw: random.Random) -> None:
        with self._lock:  # the responses of one prompt, so that they meet
            numbers = list(range(self._next, self._next + draw.randint(1, 4)))
            self._next += 4
        path = draw.choice(["/score", "/get_reward", "/classify"])
        body = self._body(path, [conversation(n) for n in numbers])
        begun = time.perf_counter()
        try:
            answer = client.post(self.url + path, json=body)
        except httpx.HTTPError:
            with self._lock:
                self.answers.lost += 1
            return
        rewards: list[float] | None = None
        if answer.status_code == 200:
            with suppress(KeyError, IndexError, TypeError, ValueError):
                rewards = _rewards(path, answer.json(), len(numbers))
        with self._lock:
            self.answers.statuses[str(answer.status_code)] += 1
            self.answers.unread += answer.status_code == 200 and rewards is None
            if rewards is not None:
                self.answers.last = time.perf_counter()
                self.answers.seconds.append(self.answers.last - begun)
                self.answers.rewards |= dict(zip(numbers, rewards, strict=True))

    def _body(self, path: str, asked: Sequence[dict[str, str]]) -> dict[str, Any]:
        if path == "/score":
            return {"conversations": list(asked)}
        roles = ("user", "assistant")
        chats = [
            [{"role": r, "content": t} for r, t in zip(roles, one.values(), strict=True)]
            for one in asked
        ]
        whole = [self._tokenizer.apply_chat_template(chat, tokenize=False) for chat in chats]
        if path == "/classify":
            return {"model": "any", "input": whole}
        prompts = [
            self._tokenizer.apply_chat_template(
                chat[:1], tokenize=False, add_generation_prompt=True
            )
            for chat in chats
        ]
        queries = [
            p + one["response"] + "<|im_end|>" for p, one in zip(prompts, asked, strict=True)
        ]
        return {"query": queries, "prompts": prompts, "labels": [""] * len(queries)}


def _rewards(path: str, told: Any, count: int) -> list[float]:
    """The rewards of an answer: so many numbers, or an error."""
    if path == "/score":
        found = [one["reward"] for one in told["scores"]]
    elif path == "/get_reward":
        found = told["rewards"]
    else:
        found = [one["probs"][-1] for one in told["data"]]
    if len(found) != count:
        raise ValueError(f"{count} rewards were expected")
    return [float(one) for one in found]


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server, until the block ends, and its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "flr", "serve", "--port", port, "--set", SET]
    command += ["--dtype", DTYPE, "--threads", THREADS]
    process = subprocess.Popen(list(map(str, command)))
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            assert process.poll() is None, "flr serve ended"
            try:
                httpx.get(f"{url}/health")
                break
            except httpx.HTTPError:
                time.sleep(0.25)
        yield process, url
    finally:
        process.kill()
        process.wait()


def memory(process: subprocess.Popen[bytes]) -> float:
    """What a process holds now, MiB."""
    told = Path(f"/proc/{process.pid}/status").read_text("utf-8")
    found = re.search(r"VmRSS:\s*(\d+)", told)
    assert found
    return int(found[1]) / 2**10


def library(scorer: flr.Scorer, first: int, seconds: float) -> float:
    """Responses a second of the library."""
    draw = random.Random(first)
    begun, done, number = time.perf_counter(), 0, first
    while time.perf_counter() - begun < seconds:
        numbers: list[int] = []
        while len(numbers) < CLIENTS:
            numbers += range(number, number + draw.randint(1, 4))
            number += 4
        done += len(scorer.score([conversation(n) for n in numbers]))
    return done / (time.perf_counter() - begun)


def malformed(url: str) -> tuple[int, str]:
    """How schemathesis ends with requests that are no such, and what it says last."""
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "--config-file", "own.toml", "run", f"{url}/openapi.json", "--no-color"]
    command += ["--mode", "negative", "--phases", "fuzzing", "--max-examples", "400", "--seed", "0"]
    command += ["--checks", "not_a_server_error,negative_data_rejection"]
    with tempfile.TemporaryDirectory() as folder:  # it keeps what it found there
        # By itself it takes a 413, which is for bodies that are too long, for an acceptance.
        refused = "[checks.negative_data_rejection]\nexpected-statuses = ['400', '413', '422']\n"
        Path(folder, "own.toml").write_text(refused, "utf-8")
        run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    return run.returncode, run.stdout[-2000:]


def requests_so_far(url: str) -> Counter[str]:
    """What the server has counted, by status."""
    told = httpx.get(f"{url}/metrics").text
    found: Counter[str] = Counter()
    for status, count in re.findall(r'flr_requests_total\{.*status="(\d+)"\} (\S+)', told):
        found[status] += int(float(count))
    return found


def loaded(scorer: flr.Scorer, seconds: float) -> tuple[dict[str, Any], dict[int, float]]:
    """What comes of the load, and of SIGTERM at its end; the reward of each conversation."""
    tokenizer = models.load_tokenizer(sources.locate("smollm2"))
    rates: dict[str, list[float]] = {"library": [], "server": []}
    all_told: list[Answers] = []
    answered = 0
    with serving() as (process, url):
        held = [memory(process)]
        for turn in range(TURNS):
            first = 1_000_000 * (turn + 1)
            rates["library"].append(library(scorer, first + 500_000, seconds / TURNS / 3))
            clients = Clients(url, tokenizer, first)
            all_told.append(clients.answers)
            begun = time.perf_counter()
            clients.start()
            time.sleep(seconds / TURNS)
            held.append(memory(process))
            clients.end()
            if turn == TURNS - 1:
                time.sleep(0.5)  # for those who were about to ask
                answered = sum(clients.answers.statuses.values())
                process.send_signal(signal.SIGTERM)
            clients.wait()
            rates["server"].append(len(clients.answers.rewards) / (clients.answers.last - begun))
            print(rates, file=sys.stderr, flush=True)
        after = sum(all_told[-1].statuses.values()) - answered
        stopped = {"answered_after_sigterm": after, "exit_code": process.wait(300)}
    waited = [one for told in all_told for one in told.seconds]
    percentiles = np.percentile(waited, [50, 95, 99]).tolist()
    told = {
        "responses_per_second": rates,
        "server_over_library": [s / p for s, p in zip(*reversed(rates.values()), strict=True)],
        "request_seconds": dict(zip(("p50", "p95", "p99"), percentiles, strict=True)),
        "requests": dict(sum((one.statuses for one in all_told), Counter())),
        "lost": sum(one.lost for one in all_told),
        "unread": sum(one.unread for one in all_told),
        "server_mib": held,
        "stop": stopped,
    }
    return told, {n: reward for one in all_told for n, reward in one.rewards.items()}


def broken() -> dict[str, Any]:
    """What comes of malformed requests."""
    with serving() as (process, url):
        httpx.post(f"{url}/score", json={"conversations": [conversation(0)] * 8})
        before = memory(process)
        code, said = malformed(url)
        print(said, file=sys.stderr)
        answers = requests_so_far(url)
        return {"exit_code": code, "answers": answers, "mib": [before, memory(process)]}


def main(arguments: Sequence[str]) -> int:
    """Runs all, writes, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="of the load in all")
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    scorer = flr.load(model="smollm2", set=SET, dtype=DTYPE, threads=THREADS)
    library(scorer, 0, 1.0)
    load, rewards = loaded(scorer, given.seconds)
    wrong = broken()
    exact = [one.reward for one in scorer.score([conversation(n) for n in range(POOL)]) if one]
    off = np.abs([reward - exact[n % POOL] for n, reward in rewards.items()])
    result = {
        "date": date.today().isoformat(),
        "command": "python -m benchmarks.serving -o RESULT.json",
        "machine": devices.describe_device("cpu"),
        "versions": versions(),
        "setting": {"set": SET, "dtype": DTYPE, "threads": THREADS, "clients": CLIENTS},
        "seconds": given.seconds,
        **load,
        "rewards": len(rewards),
        "sd_of_rewards": float(np.std(exact)),
        "largest_difference": float(off.max()),
        "malformed": wrong,
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result))
    stops = load["stop"]["exit_code"] in (0, -signal.SIGTERM)  # uvicorn dies of it in the end
    stops = stops and load["stop"]["answered_after_sigterm"] > 0
    kept = load["lost"] == load["unread"] == 0 and stops and set(load["requests"]) == {"200"}
    refused = sum(count for one, count in wrong["answers"].items() if one.startswith("4"))
    failed = any(one.startswith("5") for one in wrong["answers"])
    sound = wrong["exit_code"] == 0 and refused >= MALFORMED and not failed
    fast = np.median(load["server_over_library"]) >= GOAL
    return 0 if kept and sound and fast and off.max() < NOISE else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

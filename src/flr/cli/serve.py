"""`flr serve`: a reward server."""

import os
import socket
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flr.errors import OptionError, missing_extra
from flr.integrations.settings import TOKEN, RewardOptions
from flr.integrations.shared import Rewarder
from flr.options import check_positive
from flr.sources import engine_of


@dataclass(frozen=True, kw_only=True)
class ServeOptions(RewardOptions):
    """What is served, and to whom."""

    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for all."""
    port: int = 8000
    """Port to listen at."""
    max_waiting: int = 4096
    """Most responses that wait; beyond that clients are told to come again (429)."""
    max_seconds: float = 170.0
    """Longest that a request may take (504)."""
    max_body: int = 8_388_608
    """Most bytes of a request (413)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("max_waiting", self.max_waiting)
        check_positive("max_body", self.max_body)
        if self.max_seconds <= 0:
            raise OptionError(f"--max-seconds {self.max_seconds}; more than 0 was expected")
        if "error" in (self.on_overflow, self.on_special):
            # One client's text would be the error of all whose requests are scored with it.
            raise OptionError("--on-overflow, --on-special: a server skips; error is not for it")
        if not 0 < self.port < 65536:
            raise OptionError(f"--port {self.port}; 1 to 65535 was expected")


def serve(
    *,
    config: Path | None = None,
    options: Annotated[ServeOptions | None, Parameter(name="*")] = None,
) -> None:
    """Serve rewards over HTTP: /score, /get_reward (OpenRLHF), /classify (verl), /health, /metrics.

    http://HOST:PORT/docs shows what they take. Requests that wait are scored together. On SIGTERM
    what was accepted is answered first. With FLR_TOKEN in the environment, clients have to send
    Authorization: Bearer TOKEN, which those of OpenRLHF and verl do not. Texts of a chat template
    are read as --policy writes them, by default the follow-up model, where transformers runs it.

    Args:
        config: YAML file with options, such as `set: short`; the command line overrides it.
        options: what is served, and to whom.
    """
    del config  # read by the main door, before options are parsed
    options = options or ServeOptions()
    for library in ("fastapi", "uvicorn", "prometheus_client"):
        if find_spec(library) is None:
            raise missing_extra(library, "flr serve", "'.[serve]' in a clone of flr")
    import uvicorn  # an extra, as what the next line imports

    from flr.serving.application import application
    from flr.serving.bounds import Limits

    if engine_of(options.model) == "hf":
        options = replace(options, policy=options.policy or options.model)
    elif options.policy is None:
        raise OptionError("--policy: a model whose template /get_reward and /classify read")
    token = os.environ.get(TOKEN)
    if token == "":
        raise OptionError(f"{TOKEN} is empty; unset it to serve without a token")
    with _listening(options.host, options.port) as listening:
        app = application(
            Rewarder(options),
            model=options.model,
            followup_set=options.set,
            limits=Limits(options.max_waiting, options.max_seconds, options.max_body),
            token=token,
        )
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        server.run(sockets=[listening])


def _listening(host: str, port: int) -> socket.socket:
    """A socket at this place, before a model is loaded for it."""
    try:
        return socket.create_server((host, port), backlog=2048)
    except OSError as error:
        raise OptionError(f"--host {host} --port {port}: cannot listen there ({error})") from error

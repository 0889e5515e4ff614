"""The door: `flr VERB ...`. It parses, calls one function of the library, and maps errors to codes.

Verbs are imported when they are called, so that `flr --help` stays light. Exit codes: 0 done, 1 a
check says no, 2 the user's input, 3 a bug of ours, 130 stopped by Ctrl-C.
"""

import os
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import yaml
from cyclopts import App, CycloptsError
from cyclopts.config import Yaml
from cyclopts.exceptions import MissingArgumentError
from rich.console import Console

from flr.errors import FlrError, OptionError

app = App(
    name="flr",
    help="Follow-up likelihood as reward: any chat model as a reward model, without labels.",
    version_flags=["--version"],
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
app.command(
    "flr.cli.score:score", name="score", help="Score responses: rows in, rows with rewards out."
)
app.command("flr.cli.sample:sample", name="sample", help="Sample responses of a policy to prompts.")
app.command("flr.cli.merge:merge", name="merge", help="Put the shards of a run together.")
app.command(
    "flr.cli.mine:mine", name="mine", help="Mine preference pairs from a policy's responses."
)
app.command(
    "flr.cli.check:check", name="check", help="Check that a trainer will understand a file."
)
app.command(
    "flr.cli.align:align", name="align", help="Train a policy on preference data, by DPO or KTO."
)
app.command("flr.cli.feedback:app", name="feedback", help="Make training data of feedback.")
app.command("flr.cli.tune:tune", name="tune", help="Train a follow-up model on feedback.")
app.command(
    "flr.cli.calibrate:calibrate", name="calibrate", help="Learn weights of a follow-up set."
)
app.command("flr.cli.loop:app", name="loop", help="Sample, mine, align, evaluate, round by round.")
app.command(
    "flr.cli.bench:app", name="bench", help="Compare rewards with what people said of responses."
)
app.command("flr.cli.compare:compare", name="compare", help="Compare policies by their responses.")
app.command("flr.cli.serve:serve", name="serve", help="Serve rewards over HTTP.")
app.command("flr.cli.explain:explain", name="explain", help="Show which follow-ups moved a reward.")
app.command(
    "flr.cli.followups:app", name="followups", help="List, show, check or import follow-up sets."
)
app.command(
    "flr.cli.doctor:doctor", name="doctor", help="Check that a model is scored right, and how fast."
)
app.command("flr.cli.demo:demo", name="demo", help="The whole path on a small scale.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs the command line and returns its exit code; errors are worded on standard error."""
    try:
        app.config, rest = _config(arguments)
        _show_own_help(rest)
        app(rest, exit_on_error=False, print_error=False)
    except FlrError as error:
        return _say(error, error.exit_code)
    except MissingArgumentError as error:
        return _say(_missing(error), 2)
    except CycloptsError as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        return _say("stopped; the same command goes on from its last finished block", 130)
    except (BrokenPipeError, SystemExit):
        # Whoever read our output has gone (rich says it by SystemExit); at exit, too, nothing more
        # is to be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:
        traceback.print_exc()
        return _say(
            "this is a bug of flr, not of yours; please report it with the lines above and "
            "the command that you gave",
            3,
        )
    return 0


def _missing(error: MissingArgumentError) -> object:
    """What a verb needs and was not given; an option without its value is worded by cyclopts."""
    if error.keyword is not None or error.argument is None:
        return error
    verb = " ".join(["flr", *(error.command_chain or ())])
    return f"{verb} needs {' or '.join(error.argument.names)}; `{verb} --help` says what it is"


def _show_own_help(arguments: Sequence[str]) -> None:
    """Lets a verb's own --help say all that its docstring does, not its line in `flr --help`."""
    verb = next(iter(arguments), "")
    asks = not {"--help", "-h"}.isdisjoint(arguments)
    if asks and not verb.startswith("-") and verb in app and app[verb].default_command:
        app[verb].help = None


def _config(arguments: Sequence[str]) -> tuple[tuple[Yaml, ...], list[str]]:
    """Takes `--config FILE` out of the arguments; what they say themselves overrides the file."""
    rest = [part for one in arguments for part in _split(one)]
    if "--config" not in rest:
        return (), rest
    at = rest.index("--config")
    if at + 1 == len(rest):
        raise OptionError("--config needs a YAML file with options, such as `set: short`")
    path = rest[at + 1]
    _check_config(path)
    found = Yaml(path, must_exist=True, use_commands_as_keys=False)
    return (found,), rest[:at] + rest[at + 2 :]


KEYED = ("weights", "vllm", "trl")
"""Options that have names below them."""


def _check_config(path: str) -> None:
    """Raises where a file is no flat mapping of options to their values."""
    try:
        options = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise OptionError(f"--config {path}: cannot be read as YAML ({error})") from error
    if not isinstance(options, dict):
        raise OptionError(f"--config {path}: options such as `set: short` were expected")
    for name, value in options.items():
        if not isinstance(name, str) or (isinstance(value, dict) and name not in KEYED):
            raise OptionError(
                f"--config {path}: {name!r} is no option; options stand at the top, as `set: short`"
            )
        if isinstance(value, list):
            raise OptionError(
                f"--config {path}: {name} is a list; write one value, with commas between several, "
                "as `reward: flr,length`"
            )


def _split(argument: str) -> list[str]:
    """`--config=FILE` as two words; `-n`, which is a field of a dataclass, in its long form."""
    if short := re.fullmatch(r"-n(?:=?(\d+))?", argument):
        return ["--n", *filter(None, short.groups())]
    return argument.split("=", 1) if argument.startswith("--config=") else [argument]


def _say(message: object, code: int) -> int:
    text = str(message).encode(errors="backslashreplace").decode()
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"flr: {text}", markup=False)
    return code

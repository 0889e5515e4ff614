"""The options of a reward inside another trainer: from Python, the environment, a YAML file.

Some trainers take a function and pass nothing to it, so it is configured around it: every field of
`RewardOptions` by an environment variable of its name in capitals (`FLR_MODEL`, `FLR_SET`), or by
the YAML file that `FLR_CONFIG` names, under its own name. A variable overrides the file. What is
misspelt or of the wrong kind is an error that names it: a training run on a default that nobody
chose would not be noticed.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import yaml

from flr.errors import OptionError, did_you_mean
from flr.measuring import Policy
from flr.options import ScorerOptions, choices_of, kinds_of

PREFIX = "FLR_"
CONFIG = "FLR_CONFIG"
"""Variable that names a YAML file with options."""
TOKEN = "FLR_TOKEN"  # noqa: S105 - the name of a variable
"""Variable with the token that clients of `flr serve` have to send; no option of a reward."""


@dataclass(frozen=True, kw_only=True)
class RewardOptions(ScorerOptions):
    """What a reward inside another trainer is made of; a training run stops for no response."""

    policy: str | None = None
    """The model that is trained, for its tokenizer: reads prompts back that come as text of its
    chat template. A Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2."""
    strip_thinking: bool = True
    """Remove the think blocks of the assistant before scoring."""
    on_overflow: Policy = "skip"
    """For a last prompt and response that are longer than the model: stop, or leave it out."""
    on_special: Policy = "skip"
    """For text that holds the follow-up model's special tokens: stop, or leave it out."""


_KINDS = {
    name: get_type_hints(RewardOptions)[name] for name in (f.name for f in fields(RewardOptions))
}


def of_python(given: Mapping[str, Any]) -> RewardOptions:
    """The options that a call in Python gives.

    Raises:
        OptionError: an unknown name, or a value of the wrong kind.

    Example:
        >>> of_python({"set": "short"}).strip_thinking
        True
        >>> of_python({"sett": "short"})
        Traceback (most recent call last):
        flr.errors.OptionError: sett: no such option; there are model, ... Did you mean 'set'?
    """
    return RewardOptions(**_checked(given, str))


def of_environment(**given: Any) -> RewardOptions:
    """The options of this process's environment, overridden by those of a call.

    The environment is read once: a run keeps what it began with.

    Raises:
        OptionError: an unknown name, a value of the wrong kind, a file that cannot be read.
    """
    return replace(_of_process(), **_checked(given, str))


@cache
def _of_process() -> RewardOptions:
    return read(os.environ)


def read(environment: Mapping[str, str]) -> RewardOptions:
    """The options that environment variables give, and the file that one of them names.

    Args:
        environment: variables by name; those that do not begin with `FLR_` are not ours, and one
            that is empty counts as absent.

    Raises:
        OptionError: an unknown name, a value of the wrong kind, a file that cannot be read.

    Example:
        >>> read({"FLR_SET": "short", "FLR_THREADS": "2", "HOME": "/"}).threads
        2
    """
    ours = {name: text for name, text in environment.items() if name.startswith(PREFIX) and text}
    path, _ = ours.pop(CONFIG, None), ours.pop(TOKEN, None)
    of_file = _of_file(path) if path else {}
    variables = {name.removeprefix(PREFIX).lower(): text for name, text in ours.items()}
    parsed = {name: _parsed(text, _KINDS.get(name)) for name, text in variables.items()}
    return RewardOptions(
        **{
            **_checked(of_file, lambda name: f"{CONFIG} {path}: {name}"),
            **_checked(parsed, lambda name: f"{PREFIX}{name.upper()}"),
        }
    )


def _of_file(path: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(Path(path).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise OptionError(f"{CONFIG} {path}: cannot be read as YAML ({error})") from error
    if not isinstance(found, dict):
        raise OptionError(f"{CONFIG} {path}: options such as `set: short` were expected")
    return {str(name).replace("-", "_"): value for name, value in found.items()}


def _parsed(text: str, kind: Any) -> Any:
    """What a variable's text means: itself where a text will do, else as YAML reads it."""
    if kind is None or _fits(text, kind):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _checked(given: Mapping[str, Any], place: Callable[[str], str]) -> dict[str, Any]:
    """The values in the types that they are to have; `place` says where a name was given."""
    for name, value in given.items():
        if name not in _KINDS:
            raise OptionError(
                f"{place(name)}: no such option; there are {', '.join(_KINDS)}."
                f"{did_you_mean(name, list(_KINDS))}"
            )
        if not _fits(value, _KINDS[name]):
            raise OptionError(f"{place(name)}: {value!r}; {_expected(value, _KINDS[name])}")
    return {name: _as_typed(value, _KINDS[name]) for name, value in given.items()}


def _fits(value: Any, kind: Any) -> bool:
    if choices := choices_of(kind):
        return value in choices
    return any(_is(value, one) for one in kinds_of(kind))


def _is(value: Any, kind: Any) -> bool:
    if get_origin(kind) is dict:
        kinds = (float,) if kind == dict[str, float] else (str, float, bool)
        return isinstance(value, Mapping) and all(
            isinstance(name, str) and any(_is(one, k) for k in kinds) for name, one in value.items()
        )
    if kind in (int, float):
        numbers = int if kind is int else (int, float)
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, str | Path if kind is Path else kind)


def _as_typed(value: Any, kind: Any) -> Any:
    """The same value in the very type: a path of a text, plain numbers or texts of a mapping."""
    if kind == dict[str, float]:
        return {name: float(number) for name, number in value.items()}
    if kind == dict[str, str]:
        return {
            name: one if isinstance(one, str) else json.dumps(one) for name, one in value.items()
        }
    return Path(value) if Path in kinds_of(kind) and isinstance(value, str) else value


def _expected(value: Any, kind: Any) -> str:
    words = [one for one in choices_of(kind) if one is not None]
    if words:
        return f"one of {', '.join(words)} was expected.{did_you_mean(str(value), words)}"
    named = {
        bool: "true or false was expected",
        int: "a whole number was expected",
        Path: "the path of a file was expected",
        str: "a text was expected",
    }
    known = [named[one] for one in kinds_of(kind) if one in named]
    if kind == dict[str, str]:
        return "names with a value each were expected"
    return known[0] if known else "categories with a number each were expected"

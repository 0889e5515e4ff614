"""The prompt by which a chat model puts a critique into a user's words: data, in a YAML file.

A file has `prompt`, a text with the fields {prompt}, {response} and {feedback}, and may have
`name`, `language`, `licence` and `source`. A field is replaced literally and once, so that braces
in what stands in it are only braces.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flr.errors import InputError, Problem, did_you_mean
from flr.messages import kind_of

DEFAULT = Path(__file__).parents[1] / "data" / "rewriting" / "default.yaml"
"""The template that comes with flr, written by us."""

FIELDS = ("prompt", "response", "feedback")
KEYS = ("name", "language", "licence", "source", "prompt")

_FIELD = re.compile(r"\{(\w+)\}")


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot be read as YAML: {reason}"
        raise InputError(str(path), [Problem(None, "", message)]) from error


def _problems(content: Mapping[Any, Any]) -> list[Problem]:
    """What is wrong with a template."""
    found: list[Problem] = []
    for key in content.keys() - set(KEYS):
        near = did_you_mean(str(key), KEYS)
        found.append(Problem(None, str(key), f"is no key of a template.{near}"))
    text = content.get("prompt")
    if not isinstance(text, str):
        return [*found, Problem(None, "prompt", f"expected a text, got {kind_of(text)}")]
    for name in dict.fromkeys(_FIELD.findall(text)):
        if name not in FIELDS:
            known = ", ".join(f"{{{one}}}" for one in FIELDS)
            message = f"{{{name}}} is none of its fields {known}.{did_you_mean(name, FIELDS)}"
            found.append(Problem(None, "prompt", message))
    if "{feedback}" not in text:
        found.append(Problem(None, "prompt", "has no {feedback}, which is what is rewritten"))
    return found


def read(path: Path | None = None) -> str:
    """The text of a template, its fields open.

    Args:
        path: a YAML file; None for the one that comes with flr.

    Raises:
        InputError: it cannot be read, or is no template.
    """
    path = path or DEFAULT
    content = _content(path)
    if not isinstance(content, Mapping):
        message = f"expected the key `prompt`, got {kind_of(content)}"
        raise InputError(str(path), [Problem(None, "", message)])
    if problems := _problems(content):
        raise InputError(str(path), problems)
    return content["prompt"].strip()


def filled(template: str, prompt: str, response: str, feedback: str) -> str:
    """A template with its fields filled in one pass.

    Example:
        >>> filled("Q: {prompt} A: {response} F: {feedback}", "{feedback}?", "{}", "No.")
        'Q: {feedback}? A: {} F: No.'
    """
    texts = {"prompt": prompt, "response": response, "feedback": feedback}
    return _FIELD.sub(lambda match: texts[match[1]], template)

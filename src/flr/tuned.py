"""In which form a model has learned to follow up: what `flr tune` left in its folder."""

import json
from dataclasses import dataclass
from typing import final

from flr.chat import DEFAULT_OPENING, Form
from flr.errors import ModelError
from flr.sources import Source

RECORD = "tune.json"


@final
@dataclass(frozen=True, slots=True)
class Tuned:
    """The form of a follow-up model.

    Args:
        form: in which it is asked, where nothing else is said.
        opening: the first user turn in the role-switched form.
    """

    form: Form = "user"
    opening: str = DEFAULT_OPENING


def of(source: Source) -> Tuned:
    """The form of a model: that of its tuning, or `user`.

    Raises:
        ModelError: there is a record of a tuning, and it cannot be read.
    """
    path = source.folder / RECORD
    if source.gguf or not path.is_file():
        return Tuned()
    try:
        told = json.loads(path.read_text("utf-8"))
        match told:
            case {"form": None}:
                return Tuned()
            case {"form": "user" | "role-switched" as form, "opening": str() | None as opening}:
                return Tuned(form, opening or DEFAULT_OPENING)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error})") from error
    raise ModelError(
        f"{path}: does not say in which form the model was tuned; the record that flr tune writes "
        "was expected"
    )

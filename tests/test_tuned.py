"""The form in which a model was tuned is the one in which it is asked."""

from pathlib import Path
from typing import Any

import pytest

from flr import tuned
from flr.chat import DEFAULT_OPENING
from flr.errors import ModelError
from flr.sources import Source
from flr.tuned import Tuned


def of(folder: Path, gguf: str | None = None) -> Tuned:
    return tuned.of(Source("m", folder, gguf, "identity"))


def test_a_model_that_was_not_tuned_is_asked_as_the_user(tmp_path: Path):
    assert of(tmp_path) == Tuned("user", DEFAULT_OPENING)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ('{"form": "user", "opening": null}', Tuned("user")),
        ('{"form": "role-switched", "opening": "Ask me."}', Tuned("role-switched", "Ask me.")),
        ('{"form": null, "opening": null}', Tuned()),
    ],
)
def test_the_record_says_the_form(tmp_path: Path, record: str, expected: Tuned):
    (tmp_path / "tune.json").write_text(record)
    assert of(tmp_path) == expected
    assert of(tmp_path, "m.gguf") == Tuned(), "a GGUF file beside it is another model"


@pytest.mark.parametrize(
    "record", ["", "{", "[]", "null", "{}", '{"form": "both", "opening": null}', '{"form": "user"}']
)
def test_a_record_that_says_nothing_is_an_error(tmp_path: Path, record: Any):
    (tmp_path / "tune.json").write_text(record)
    with pytest.raises(ModelError, match=r"tune.json: .*(cannot be read|does not say)"):
        of(tmp_path)

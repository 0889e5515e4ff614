"""Templates of the prompt that rewrites."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.errors import InputError
from flr.feedback.template import filled, read


def test_the_one_that_comes_with_flr_has_every_field():
    text = read()
    assert all(text.count(f"{{{name}}}") == 1 for name in ("prompt", "response", "feedback"))


texts = st.text(st.sampled_from("{}promtesfdback %\\1 "), max_size=30)


@given(texts, texts, texts)
def test_texts_go_in_as_they_are(prompt: str, response: str, feedback: str):
    whole = filled("<{prompt}|{response}|{feedback}>", prompt, response, feedback)
    assert whole == f"<{prompt}|{response}|{feedback}>"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prompt: 'Rewrite {critique} of {response}'", "{critique} is none of its fields"),
        ("prompt: 'Rewrite {feedbak}'", "Did you mean 'feedback'"),
        ("prompt: Rewrite it", "has no {feedback}"),
        ("prompt: 5", "expected a text, got a number"),
        ("prompts: '{feedback}'", "Did you mean 'prompt'"),
        ("- a", "got a list"),
        ("", "got null"),
        ("prompt: [", "cannot be read as YAML"),
        ("prompt: !!python/object/apply:os.system ['true']", "cannot be read as YAML"),
    ],
)
def test_what_is_no_template(tmp_path: Path, content: str, says: str):
    path = tmp_path / "t.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert says in str(caught.value)


def test_other_braces_stay(tmp_path: Path):
    path = tmp_path / "t.yaml"
    path.write_text("prompt: 'Answer as {\"said\": ...}: {feedback}'")
    assert filled(read(path), "", "", "No.") == 'Answer as {"said": ...}: No.'


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        read(tmp_path / "none.yaml")

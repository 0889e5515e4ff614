import pytest

from flr.feedback.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("  \n", []),
        ("One", ["One"]),
        ("One. Two", ["One.", "Two"]),
        ("Thanks! Why?", ["Thanks!", "Why?"]),
        ("It cost 3.50 euros. Fine.", ["It cost 3.50 euros.", "Fine."]),
        ("See e.g. Paris. Fine.", ["See e.g. Paris.", "Fine."]),
        ('He said "no." Then he left.', ['He said "no."', "Then he left."]),
        ("谢谢。很好！", ["谢谢。", "很好！"]),
        ("Title\n\nText goes on", ["Title", "Text goes on"]),
        (f"Score{' ' * 26}5. Good.", [f"Score{' ' * 26}5.", "Good."]),
        ("First:\n  2. Good.", ["First:\n  2. Good."]),
        ("Well... maybe. Yes", ["Well...", "maybe.", "Yes"]),
    ],
)
def test_sentences_are_told_apart(text: str, expected: list[str]):
    assert list(sentences(text)) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It is so. ", 200_000),
        ("No", 1),
        (".", 1),
        ("\n", 0),
        (" ", 0),
        ("!? ", 200_000),
        ("e.g. ", 1),
    ],
)
def test_a_long_text_takes_no_longer_than_it_is(text: str, count: int):
    """With a square of its length it would take hours."""
    assert len(list(sentences(text * 200_000))) == count

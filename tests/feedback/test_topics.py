"""When the user's next turn opens a new topic."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io
from flr.feedback.logs import messages_in, next_turns
from flr.feedback.topics import opens_topic
from tests.datasets.samples import SHARED

BEFORE = ["How do I boil rice?", "Rinse the rice and simmer it in salted water."]


@pytest.mark.parametrize(
    "turn",
    [
        "Thanks! Who wrote the Iliad and the Odyssey?",
        "Why not?",
        "Boca Raton",
        "How much salt goes in?",
        "What does rinsing remove?",
        "Can you tell me how long it simmers?",
        "I have an electric cooker from my grandmother.",
        "No, I asked about pasta and sauces.",
        "Are there other grains like quinoa and millet?",
        "",
        "\x00",
        "👍",
        "什么是量子力学？",
    ],
)
def test_what_goes_on(turn: str):
    assert not opens_topic(turn, BEFORE)


@pytest.mark.parametrize(
    "turn",
    [
        "Who wrote the Iliad and the Odyssey?",
        "Can you please tell me about tax brackets in Canada?",
        "How do airplanes fly?",
        "write a poem about autumn leaves",
    ],
)
def test_what_does_not(turn: str):
    assert opens_topic(turn, BEFORE)


@given(st.text(max_size=60), st.lists(st.text(max_size=20), max_size=3))
def test_what_repeats_the_turn_itself_is_no_new_topic(turn: str, before: list[str]):
    assert not opens_topic(turn, [*before, turn])


@given(st.text(max_size=60))
def test_a_word_of_thanks_makes_it_a_reaction(turn: str):
    assert not opens_topic(f"{turn} thanks", [])


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the shared data folder {SHARED} is absent")
def test_of_real_next_turns_few_are_taken_for_new_and_of_planted_openings_half():
    rows = io.read(str(SHARED / "hh-rlhf" / "helpful-base" / "test.jsonl.gz"))
    logs = [messages_in(at, row, "hh") for at, row in enumerate(rows, 1)]
    said = [one for log in logs for one in next_turns(log)]
    before = [[message.content for message in one.conversation.messages] for one in said]
    real = [opens_topic(one.text, told) for one, told in zip(said, before, strict=True)]
    draw = random.Random(5)
    planted = [opens_topic(draw.choice(logs)[0].content, told) for told in before]
    assert 0 < sum(real) / len(real) < 0.01
    assert 0.5 < sum(planted) / len(planted) < 0.56

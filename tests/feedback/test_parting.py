"""What is held out together: groups, talks that begin alike, and never a prompt of both files."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flr.errors import OptionError
from flr.feedback.parting import Parted, part
from flr.feedback.rows import FORMS, Feedback
from flr.types import Conversation, Message


def said(turns: Sequence[str], text: str = "No.", system: str = "", **about: Any) -> Feedback:
    """Feedback on a talk of turns by the user and the assistant, the user first."""
    talk = [Message(("user", "assistant")[at % 2], turn) for at, turn in enumerate(turns)]
    before = [Message("system", system)] if system else []
    return Feedback(Conversation((*before, *talk)), text, about)


def sides(parted: Parted, column: str) -> tuple[set[Any], set[Any]]:
    """The values of a column in the two files."""
    main, others = (
        {str(row.get(column)) for row in side} for side in (parted.main, parted.held_out)
    )
    return main, others


@pytest.mark.parametrize("form", FORMS)
def test_talks_that_go_on_are_held_out_together(form: Any):
    talks = [[f"Tea {at}?", "Yes.", f"Go on {at}.", "No."] for at in range(20)]
    all_said = [said(talk[:end], id=at) for at, talk in enumerate(talks) for end in (2, 4)]
    parted = part(all_said, form, share=0.3, seed=0)
    assert (len(parted.main), len(parted.held_out), parted.shared) == (28, 12, 0)
    main, others = sides(parted, "id")
    assert main.isdisjoint(others)


@pytest.mark.parametrize("form", FORMS)
def test_system_messages_make_no_other_talk(form: Any):
    all_said = [
        said([f"Tea {at}?", "Yes."], system=system, id=at)
        for at in range(10)
        for system in ("", "Be short.", "It is Monday.")
    ]
    parted = part(all_said, form, share=0.3, seed=0)
    assert (len(parted.main), len(parted.held_out)) == (21, 9)
    assert (parted.prompts, parted.prompts_held_out) == ((21, 9) if form == "user" else (7, 3))
    main, others = sides(parted, "id")
    assert main.isdisjoint(others)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("form", FORMS)
def test_what_has_no_group_is_of_the_group_that_begins_alike(form: Any, seed: int):
    grouped = [said([f"Tea {at}?", "Yes."], group=f"g{at}") for at in range(40)]
    ungrouped = [said([f"Tea {at}?", "No."], system="Be short.") for at in range(40)]
    parted = part([*ungrouped, *grouped], form, share=0.1, seed=seed)
    assert (len(parted.main), len(parted.held_out), parted.shared) == (72, 8, 0)


def test_groups_that_begin_alike_are_parted_and_keep_what_is_their_own():
    all_said = [said(["Hi", "Hello!", f"Tea {at}?", "Yes."], group=f"g{at}") for at in range(100)]
    parted = part(all_said, "user", share=0.1, seed=0)
    assert (len(parted.main), len(parted.held_out), parted.shared) == (90, 10, 0)


@pytest.mark.parametrize("empty", ["", None, float("nan"), []])
def test_an_empty_group_is_none(empty: Any):
    all_said = [said([f"Tea {at}?", "Yes."], group=empty) for at in range(10)]
    assert len(part(all_said, "user", share=0.3, seed=0).held_out) == 3


@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_groups_and_zero_is_one(seed: int):
    all_said = [said([f"Tea {at}?", "Yes."], group=at % 2) for at in range(10)]
    parted = part(all_said, "user", share=0.5, seed=seed)
    assert (len(parted.main), len(parted.held_out)) == (5, 5)
    main, others = sides(parted, "group")
    assert main.isdisjoint(others)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("group", ["g", None])
def test_where_nothing_can_be_held_out_it_says_what_else_to_type(form: Any, group: str | None):
    with pytest.raises(OptionError, match="nothing can be held out") as error:
        part([said(["Tea?", "Yes."], group=group)] * 4, form, share=0.5, seed=0)
    assert ("--form user" in str(error.value)) == (form == "role-switched")


ASKED = st.lists(st.sampled_from(["Tea?", "Go on.", "Cake?"]), min_size=1, max_size=2)
GROUPS = st.sampled_from(["", "a", "b", "c"])


@given(
    st.lists(st.tuples(ASKED, GROUPS), min_size=1, max_size=12),
    st.sampled_from(FORMS),
    st.integers(0, 3),
)
def test_neither_a_group_nor_a_prompt_is_in_both_files_and_nothing_is_lost(
    talks: list[tuple[list[str], str]], form: Any, seed: int
):
    all_said = [
        said([turn for one in asked for turn in (one, "Yes.")], group=group)
        for asked, group in talks
    ]
    try:
        parted = part(all_said, form, share=0.4, seed=seed)
    except OptionError:
        assume(False)
        return
    both = (parted.main, parted.held_out)
    assert sum(map(len, both)) + parted.shared == len(all_said)
    groups = [side - {""} for side in sides(parted, "group")]
    assert groups[0].isdisjoint(groups[1])
    # In the form `user` a prompt ends where the response begins; role-switched, it is the question.
    of = slice(None, -1) if form == "user" else slice(1, 2)
    prompts = [{str(row["prompt"][of]) for row in side} for side in both]
    assert prompts[0].isdisjoint(prompts[1])
    assert [len(one) for one in prompts] == [parted.prompts, parted.prompts_held_out]

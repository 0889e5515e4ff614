"""What the procedures share."""

import tracemalloc
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flr.evaluation.figures import by_subset, group_indices, response_indices
from flr.resampling import mean
from tests.evaluation.small import pairs, rated

texts = st.text(st.characters(exclude_characters="\0"), max_size=6)


@given(st.lists(texts, min_size=1, max_size=20))
def test_groups_are_numbered_in_the_order_of_their_names(names: list[str]):
    found = group_indices(pairs([(1, 1)] * len(names), group=names))
    assert found.tolist() == np.unique(np.array(names), return_inverse=True)[1].tolist()


def test_prompts_that_differ_in_what_numpy_cuts_off_are_two_groups():
    """An array of text drops NULs at the end."""
    found = group_indices(pairs([(1, 1)] * 4, group=["p", "p\0", "p\0\0", "p"]))
    assert found.tolist() == [0, 1, 2, 0]
    statistic = mean(np.arange(4.0), np.arange(4))
    subsets = by_subset(statistic, ["s", "s\0", "", "s"])
    assert {key[1]: one.values[0].tolist() for key, one in subsets.items()} == {
        "s": [0, 3],
        "s\0": [1],
    }


def test_a_long_prompt_does_not_make_room_for_every_item():
    """A fixed-width array of these names would take 2,000 times 100,000 characters of 4 bytes."""
    dataset = pairs([(1, 1)] * 2000, group=["🎉" * 100_000, *map(str, range(1999))])
    tracemalloc.start()
    found = group_indices(dataset)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(set(found.tolist())) == 2000
    assert peak < 4_000_000


def test_a_response_has_the_group_of_its_item():
    dataset = rated([[(1, 1.0)] * size for size in (2, 1, 3)])
    items = [replace(item, group=group) for item, group in zip(dataset.items, "bab", strict=True)]
    found = response_indices(replace(dataset, items=tuple(items)))
    assert found.tolist() == [1, 1, 0, 1, 1, 1]

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from flr.blocks import Finished, finished
from flr.engines.base import Tally
from flr.filling import block_key, fill
from flr.measuring import Measured, Skipped, Values
from flr.runs import Store
from flr.types import Conversation
from flr.workers import Block

BLOCKS: list[Block] = [
    [Conversation.of("a", "1"), Conversation.of("a", "2")],
    [Conversation.of("b", "\U0001f600\x00")],
    [Conversation.of("c", "")],
]
MADE = {"model": "m", "threads": 1}


def made(block: Block) -> Finished:
    answers = [
        Measured(response=Values((float(len(one.response)),), (7,)))
        if one.response
        else Skipped("it is empty")
        for one in block
    ]
    return Finished(answers, Tally(5, 9, {"toy": len(block)}), "toy", 0.5)


class Measuring:
    """Measures backwards, remembers what it was asked, and may die on the way."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.asked: list[Block] = []
        self.dies_after = dies_after

    def __call__(self, blocks: Sequence[Block]) -> Iterator[tuple[int, Finished]]:
        for at in reversed(range(len(blocks))):
            if len(self.asked) == self.dies_after:
                raise KeyboardInterrupt
            self.asked.append(blocks[at])
            yield at, made(blocks[at])


def test_every_block_is_measured_and_comes_back_as_it_was(tmp_path: Path) -> None:
    told: list[tuple[int, int, int]] = []
    with Store(tmp_path / "s") as store:
        count = fill(store, BLOCKS, MADE, Measuring(), lambda *numbers: told.append(numbers))
        assert count == 3
        assert [finished(store, block, MADE) for block in BLOCKS] == [made(b) for b in BLOCKS]
    assert told == [(0, 4, 0), (1, 4, 5), (2, 4, 5), (4, 4, 5)]


def test_what_is_finished_is_not_measured_again(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        dying = Measuring(dies_after=2)
        with pytest.raises(KeyboardInterrupt):
            fill(store, BLOCKS, MADE, dying, lambda *_: None)
    with Store(tmp_path / "s") as store:
        going_on = Measuring()
        assert fill(store, BLOCKS, MADE, going_on, lambda *_: None) == 1
        assert going_on.asked == [BLOCKS[0]]


def test_equal_blocks_are_measured_once(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        measuring = Measuring()
        assert fill(store, [*BLOCKS, *BLOCKS], MADE, measuring, lambda *_: None) == 3
        assert len(measuring.asked) == 3


def test_a_key_holds_content_and_fingerprint() -> None:
    assert block_key(BLOCKS[0], MADE) == block_key(list(BLOCKS[0]), dict(MADE))
    keys = {block_key(block, MADE) for block in BLOCKS} | {block_key(BLOCKS[0], {"model": "n"})}
    assert len(keys) == 4


def test_nothing_to_do_asks_for_nothing(tmp_path: Path) -> None:
    with Store(tmp_path / "s") as store:
        measuring = Measuring()
        assert fill(store, [], MADE, measuring, lambda *_: None) == 0
        assert measuring.asked == []

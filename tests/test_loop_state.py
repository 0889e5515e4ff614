"""The state of a loop: what a person reads is what was told, and a broken file is said to be so."""

from pathlib import Path

import pytest
import yaml

from flr import loop_state
from flr.errors import UserError
from flr.loop_state import LoopState


def state(folder: Path) -> LoopState:
    return LoopState(folder, run="key", command="flr loop p.jsonl -o x", rounds=2)


def test_what_was_told_is_read_again(tmp_path: Path):
    one = state(tmp_path)
    one.begin(0, "evaluate")
    one.finish(0, "evaluate", {"reward": 0.25, "nothing": float("nan")})
    one.begin(1, "sample")
    text = (tmp_path / loop_state.STATE).read_text("utf-8")
    assert text.startswith("# What `flr loop` has done")
    assert [stage["status"] for stage in yaml.safe_load(text)["stages"]] == ["finished", "running"]
    again = loop_state.read(tmp_path)
    assert again is not None
    assert (again.run, again.command, again.rounds) == (one.run, one.command, 2)
    assert again.stages == one.stages
    assert again.stages[0].found == {"reward": 0.25, "nothing": None}
    assert again.stages[1].finished is None


def test_a_finished_stage_that_is_looked_at_again_keeps_its_time(tmp_path: Path):
    one = state(tmp_path)
    one.begin(1, "align")
    one.finish(1, "align", {"steps": 3})
    before = (one.stages[0].finished, one.stages[0].seconds)
    one.begin(1, "align")
    assert one.stages[0].status == "finished"
    one.finish(1, "align", {"steps": 3})
    assert (one.stages[0].finished, one.stages[0].seconds) == before
    assert len(one.stages) == 1


def test_no_state_is_none_and_a_broken_one_is_named(tmp_path: Path):
    assert loop_state.read(tmp_path) is None
    for broken in (
        "",
        "a: [",
        "stages: 3",
        "run: x\ncommand: y\nrounds: 1\nstages: [{a: 1}]",
        "\0",
    ):
        (tmp_path / loop_state.STATE).write_text(broken, "utf-8")
        with pytest.raises(UserError, match="is no state that flr loop wrote"):
            loop_state.read(tmp_path)

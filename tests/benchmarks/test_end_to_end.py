"""What `benchmarks/end_to_end.py` tells of a run of `flr score`."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import end_to_end
from tests.tiny_model import save_tiny_model


def test_a_run_tells_its_seconds_those_inside_and_its_peak(tmp_path: Path):
    save_tiny_model(tmp_path)
    found = end_to_end.measured(end_to_end.conversations(2), "--model", str(tmp_path))
    assert 0 < found["inside"] < found["seconds"]
    assert 50 < found["peak"] < 4000


def test_no_prompt_is_there_twice():
    prompts = [row["prompt"] for row in end_to_end.conversations(200)]
    assert len(set(prompts)) == 200


def test_responses_are_the_same_however_many_share_a_prompt():
    alone, shared = end_to_end.sharing(1), end_to_end.sharing(16)
    texts = [[text for row in rows for text in row["responses"]] for rows in (alone, shared)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 64
    assert (len(alone), len(shared)) == (64, 4)


@pytest.mark.parametrize("name", end_to_end.DRAWN)
def test_costs_are_drawn_the_same_each_time(tmp_path: Path, name: str):
    files = [tmp_path / "one.svg", tmp_path / "other.svg"]
    for file in files:
        found = {"25": {"seconds": 3.0, "inside": 2.0}, "50": {"seconds": 5.0, "inside": 4.0}}
        end_to_end.draw(name, found, file)
    assert ElementTree.parse(files[0]).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert files[0].read_bytes() == files[1].read_bytes()

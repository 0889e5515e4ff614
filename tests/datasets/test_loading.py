"""Names, the hub, suites and samples."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io
from flr.datasets.base import Dataset, Item
from flr.datasets.catalogue import ALL, SPECS, SUITES
from flr.datasets.loading import load, sample, suite
from flr.datasets.wildbench import elo
from flr.errors import InputError, OptionError, UserError
from flr.types import Conversation
from tests.datasets.samples import FILES, HH, REWARDBENCH, WILDBENCH, outputs, put, put_set


class Hub:
    """Stands in for `io.read`; it remembers what it was asked."""

    def __init__(self, monkeypatch, rows) -> None:
        self.rows, self.asked = rows, []
        monkeypatch.setattr(io, "read", self.read)

    def read(self, source, *, split=None, limit=None, data_dir=None):
        self.asked.append((source, split, data_dir))
        return self.rows(source) if callable(self.rows) else self.rows


ON_HUB = [spec.name for spec in ALL if spec.hub and spec.name != "wildbench"]


@pytest.mark.parametrize("name", ON_HUB)
def test_from_the_hub_as_from_a_file(monkeypatch, tmp_path, name):
    put_set(tmp_path, name)
    local = load(name, tmp_path)
    hub = Hub(monkeypatch, FILES[name][1])
    remote = load(name)
    (source,) = SPECS[name].hub
    assert hub.asked == [(source.name, source.split, source.data_dir or None)]
    assert remote.source.startswith(source.id)
    assert f"(split {source.split})" in remote.source
    assert remote.files == {}
    assert [item.conversations for item in remote.items] == [i.conversations for i in local.items]
    assert len({item.id for item in remote.items}) == len(remote.items)


def test_hh_is_read_by_folder_and_a_split_may_be_chosen(monkeypatch):
    hub = Hub(monkeypatch, HH)
    assert load("hh-helpful-rejection", split="train").source == (
        "Anthropic/hh-rlhf/helpful-rejection-sampled (split train)"
    )
    assert hub.asked == [("Anthropic/hh-rlhf", "train", "helpful-rejection-sampled")]


def test_wildbench_from_the_hub(monkeypatch):
    one = outputs(("s1", "x"), ("s2", "y"))
    hub = Hub(monkeypatch, lambda source: one if "Outputs" in source else WILDBENCH)
    dataset = load("wildbench")
    assert [item.systems for item in dataset.items] == [tuple(elo())] * 2
    assert hub.asked[0] == ("allenai/WildBench:v2", "test", None)
    assert len(hub.asked) == 31
    assert all(io.HUB_ID.fullmatch(source) for source, *_ in hub.asked)
    with pytest.raises(OptionError, match="made of several data sets"):
        load("wildbench", split="test")


@pytest.mark.parametrize("name", [spec.name for spec in ALL if not spec.hub])
def test_sets_that_are_not_on_the_hub_say_what_to_get(name):
    with pytest.raises(UserError, match=r"not read from the Hugging Face hub. Get github:.*-data"):
        load(name)


def test_unknown_names(tmp_path):
    with pytest.raises(UserError, match=r"unknown data set 'lmbar'. Did you mean 'llmbar'\?"):
        load("lmbar")
    with pytest.raises(UserError, match="unknown data set 'rewardbench2'"):
        load("rewardbench2", tmp_path)
    for name in ("x" * 5000, "-", "", "a\0b"):
        with pytest.raises(UserError):
            load(name)
    for folder in (None, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            load("none.jsonl", folder)
    with pytest.raises(InputError, match="is a folder"):
        load(f"{tmp_path}/")


@pytest.mark.parametrize("name", ["owner/name", "owner/name:config", "a/folder/"])
def test_the_hub_is_not_asked_where_there_is_a_data_folder(monkeypatch, tmp_path, name):
    hub = Hub(monkeypatch, REWARDBENCH)
    with pytest.raises(UserError, match=f"^{name} is no file.*; leave out --data-dir to read it"):
        load(name, tmp_path)
    assert hub.asked == []


def test_a_split_is_for_the_hub(tmp_path):
    path = put_set(tmp_path, "rewardbench")
    for name, folder in (("rewardbench", tmp_path), (str(path), None)):
        with pytest.raises(OptionError, match="--split test"):
            load(name, folder, "test")


def test_a_hub_id_in_the_preference_form(monkeypatch):
    hub = Hub(monkeypatch, REWARDBENCH)
    dataset = load("owner/name:main", split="train")
    assert hub.asked == [("owner/name:main", "train", None)]
    assert [item.subset for item in dataset.items] == ["math-prm", "hep-cpp"]
    assert dataset.sections == {}


def test_rows_of_another_form(tmp_path):
    path = str(put(tmp_path / "a.jsonl", [{"prompt": "p", "response": "r"}] * 30))
    with pytest.raises(InputError, match="chosen: in each of the 30 rows: expected a column of"):
        load(path)
    put(tmp_path / "a.jsonl", [*REWARDBENCH, *[{"prompt": "p", "response": "r"}] * 30])
    with pytest.raises(InputError, match="row 3, chosen: expected a column of") as caught:
        load(path)
    assert [problem.row for problem in caught.value.problems] == list(range(3, 33))
    other = {"prompt": "p", "response": "r", "chosen": None, "rejected": None}
    with pytest.raises(InputError, match="row 1, chosen: expected a text or a list of messages"):
        load(str(put(tmp_path / "b.jsonl", [other])))
    with pytest.raises(InputError, match="Rename its columns"):
        load(path)


def test_a_file_has_one_name_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("a.jsonl"), REWARDBENCH)
    assert load("./a.jsonl") == load("a.jsonl") == load(".//a.jsonl")


def test_nothing_usable_says_why(tmp_path):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "a"}] * 3
    with pytest.raises(UserError, match="rows: 3; 3 chosen equals rejected") as caught:
        load(str(put(tmp_path / "a.jsonl", rows)))
    assert caught.value.exit_code == 2


def test_suites(tmp_path):
    assert set(suite("paper")) <= set(SPECS)
    kinds = [SPECS[name].kind for name in suite("paper")]
    assert kinds == ["pairwise"] * 6 + ["rating"] * 4
    for name in ("llmbar", "hh-helpful-base"):
        put_set(tmp_path, name)
    assert suite("local", tmp_path) == ("hh-helpful-base", "llmbar")
    says = (
        "shp, hh-helpful-online, .* helpsteer. .* name those that are: hh-helpful-base; .*--suite"
    )
    with pytest.raises(UserError, match=says):
        suite("paper", tmp_path)
    with pytest.raises(OptionError, match="needs --data-dir"):
        suite("local")
    with pytest.raises(OptionError, match=r"one of paper, local. Did you mean 'paper'\?"):
        suite("papers")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no known data set below"):
        suite("local", tmp_path / "empty")
    assert "local" not in SUITES


def made(groups: list[str]) -> Dataset:
    one = (Conversation.of("p", "r"),)
    items = tuple(Item(str(i), group, one, (1.0,)) for i, group in enumerate(groups))
    return Dataset("made", "rating", items, "nowhere", left_out={"tie": 2})


GROUPS = st.lists(st.sampled_from("abcdefgh🍵"), min_size=1, max_size=30)


@given(GROUPS, st.integers(1, 12), st.integers(0, 9))
def test_a_sample_holds_whole_groups_in_file_order(groups, limit, seed):
    whole = made(groups)
    drawn = sample(whole, limit, seed)
    chosen = {item.group for item in drawn.items}
    assert len(chosen) == min(limit, len(set(groups)))
    assert drawn.items == tuple(item for item in whole.items if item.group in chosen)
    assert (drawn.name, drawn.left_out) == (whole.name, whole.left_out)
    assert chosen <= {item.group for item in sample(whole, limit + 1, seed).items}


@given(GROUPS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_sample_does_not_depend_on_the_order_of_the_file(groups, limit, shuffler):
    shuffled = groups[:]
    shuffler.shuffle(shuffled)
    one, two = (
        {item.group for item in sample(made(order), limit, 3).items} for order in (groups, shuffled)
    )
    assert one == two


def test_samples_of_different_seeds_draw_every_group_about_equally():
    groups = [f"{i}" for i in range(10)]
    drawn = [item.group for seed in range(500) for item in sample(made(groups), 3, seed).items]
    counts = [drawn.count(group) for group in groups]
    # 150 expected each; a binomial's standard deviation is 10.2.
    assert all(abs(count - 150) < 5 * 10.2 for count in counts)


def test_a_limit_below_one():
    with pytest.raises(OptionError, match="--limit is 0"):
        sample(made(["a"]), 0, 0)

"""Runs in shards end with the bytes of one run, and no shard that is missing or foreign gets in."""

import json
import sqlite3
from pathlib import Path

import pytest

from flr import io, runs
from flr.errors import OptionError, OutputError
from flr.merging import merge
from flr.sample_file import SampleOptions, sample_file
from flr.score_file import ScoreOptions, score_file
from flr.shards import Shard, parse
from tests.tiny_model import save_tiny_model

ROWS = [{"prompt": f"Number {n}?", "response": f"It is {n}." * (n % 3)} for n in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def source(tmp_path: Path) -> str:
    io.write(tmp_path / "in.jsonl", ROWS)
    return str(tmp_path / "in.jsonl")


@pytest.fixture
def options(folder: Path) -> ScoreOptions:
    return ScoreOptions(model=str(folder), set="short", dtype="fp32", threads=1)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BLOCK_ROWS", 4)
    monkeypatch.setattr("flr.score_file.BLOCK_ROWS", 4)
    monkeypatch.setattr("flr.sample_file.BLOCK_RESPONSES", 8)


def nothing(_done: int, _total: int, _tokens: int) -> None:
    pass


def test_shards_in_any_order_end_with_the_bytes_of_one_run(tmp_path, source, options):
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    score_file(source, whole, options)
    own = [
        score_file(source, output, options, part=Shard(number, 3)).computed for number in (2, 3, 1)
    ]
    assert (own, output.exists()) == ([3, 3, 4], False)
    merged = merge(output, nothing)
    assert (merged.verb, merged.report.computed) == ("score", 0)
    assert output.read_bytes() == whole.read_bytes()
    assert merge(output, nothing).report.record["run"] == runs.read_record(whole)["run"]


def test_sampling_in_shards(tmp_path, source, folder):
    options = SampleOptions(policy=str(folder), dtype="fp32", threads=1, n=2, max_new_tokens=4)
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    sample_file(source, whole, options)
    for number in (1, 2):
        sample_file(source, output, options, part=Shard(number, 2))
    assert merge(output, nothing).verb == "sample"
    assert output.read_bytes() == whole.read_bytes()


def test_more_shards_than_blocks(tmp_path, source, options):
    output = tmp_path / "out.jsonl"
    for number in range(1, 13):
        score_file(source, output, options, part=Shard(number, 12))
    assert merge(output, nothing).report.record["rows"] == 40


def test_a_finished_shard_computes_nothing_again(tmp_path, source, options):
    output = tmp_path / "out.jsonl"
    assert score_file(source, output, options, part=Shard(1, 2)).computed == 5
    assert score_file(source, output, options, part=Shard(1, 2)).computed == 0


def test_a_missing_shard_is_named_and_nothing_is_written(tmp_path, source, options):
    output = tmp_path / "out.jsonl"
    with pytest.raises(OutputError, match="has no finished shards; --shard 1/8"):
        merge(output, nothing)
    for number in (1, 4):
        score_file(source, output, options, part=Shard(number, 5))
    with pytest.raises(OutputError, match=r"of 5 shards of .*, 3 are not finished: 2/5, 3/5, 5/5"):
        merge(output, nothing)
    assert not output.exists()


def test_a_shard_that_was_killed_has_no_record_and_is_missing(
    tmp_path, source, options, monkeypatch
):
    output = tmp_path / "out.jsonl"
    score_file(source, output, options, part=Shard(1, 2))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_file(source, output, options, killed, part=Shard(2, 2))
    with pytest.raises(OutputError, match="1 are not finished: 2/2"):
        merge(output, nothing)


@pytest.mark.parametrize("changed", ["rows", "options", "number of shards"])
def test_a_foreign_shard_is_named(tmp_path, source, options, folder, changed):
    output = tmp_path / "out.jsonl"
    score_file(source, output, options, part=Shard(1, 2))
    if changed == "rows":
        io.write(Path(source), ROWS[1:])
    other = ScoreOptions(
        model=str(folder), set="short", dtype="fp32", threads=1 + (changed == "options")
    )
    of = 3 if changed == "number of shards" else 2
    score_file(source, output, other, part=Shard(2, of))
    with pytest.raises(OutputError, match=f"shards 1/2 and 2/{of} of .* are not of one run"):
        merge(output, nothing)
    assert not output.exists()


def test_an_input_that_has_changed_since_is_an_error(tmp_path, source, options):
    output = tmp_path / "out.jsonl"
    for number in (1, 2):
        score_file(source, output, options, part=Shard(number, 2))
    io.write(Path(source), [{"prompt": "New?", "response": "Yes."}, *ROWS])
    with pytest.raises(OutputError, match=r"the shards lack .* has it changed since"):
        merge(output, nothing)


def test_a_machine_of_another_kind_may_merge(tmp_path, source, options, monkeypatch):
    whole, output = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    score_file(source, whole, options)
    for number in (1, 2):
        score_file(source, output, options, part=Shard(number, 2))
    monkeypatch.setattr("flr.devices.describe_device", lambda _: "another")
    assert merge(output, nothing).report.computed == 0
    assert output.read_bytes() == whole.read_bytes()


def test_a_half_written_record_is_none(tmp_path, source, options):
    output = tmp_path / "out.jsonl"
    score_file(source, output, options, part=Shard(1, 1))
    record = tmp_path / "out.jsonl.shard-1-of-1.run.json"
    record.write_text(record.read_text()[:40])
    with pytest.raises(OutputError, match="has no finished shards"):
        merge(output, nothing)


def test_shards_of_a_verb_of_another_version_are_refused(tmp_path, source, options):
    output = tmp_path / "out.jsonl"
    score_file(source, output, options, part=Shard(1, 1))
    record = tmp_path / "out.jsonl.shard-1-of-1.run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "verb": "weigh"}))
    with pytest.raises(OutputError, match="no verb that this flr knows"):
        merge(output, nothing)


@pytest.mark.parametrize("harm", ["removed", "damaged"])
def test_a_shard_whose_store_is_not_whole_is_named(tmp_path, source, options, harm):
    output = tmp_path / "out.jsonl"
    score_file(source, output, options, part=Shard(1, 1))
    store = tmp_path / "out.jsonl.shard-1-of-1.run.sqlite"
    if harm == "removed":
        store.unlink()
    else:
        with sqlite3.connect(store) as database:
            database.execute("UPDATE block SET sha256 = 'x'")
        database.close()
    with pytest.raises(OutputError, match="copy that, too" if harm == "removed" else "is damaged"):
        merge(output, nothing)
    assert not output.exists()


def test_standard_input_is_refused(tmp_path, options, monkeypatch):
    monkeypatch.setattr("sys.stdin", io_of(ROWS))
    with pytest.raises(OptionError, match="reads the whole INPUT"):
        score_file("-", tmp_path / "out.jsonl", options, part=Shard(1, 2))


def io_of(rows):
    from io import BytesIO, TextIOWrapper

    return TextIOWrapper(BytesIO("\n".join(map(json.dumps, rows)).encode()))


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "-1/2", "1/2/3", "a/b", "1/", "²/3"])
def test_what_is_no_shard(text):
    with pytest.raises(OptionError, match="I/N with 1 <= I <= N"):
        parse(text)

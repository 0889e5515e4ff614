"""Where files of a set are looked for, and what is refused as given twice."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from flr.datasets.catalogue import ALL, SPECS
from flr.datasets.loading import available, load
from flr.errors import InputError, UserError
from flr.runs import file_sha256
from tests.datasets.samples import FILES, HELPSTEER, LLMBAR, SHP, put, put_set


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("suffix", [".JSON", ".jsonl.gz", ".parquet"])
def test_every_form_gives_the_same_items(tmp_path, name, suffix):
    place, rows = FILES[name]
    if name in ("flask", "feedback-bench") and suffix == ".parquet":
        rows = [rows[0]]  # their other rows have other types in one column
    if name == "wildbench":
        put_set(tmp_path / "one", name).unlink()
    stem = place.partition(".")[0]
    put(tmp_path / "one" / f"{stem}{suffix}", rows)
    (tmp_path / "one").rename(tmp_path / "copy")
    other = put_set(tmp_path / "other", name)
    put(other, rows)
    one, two = load(name, tmp_path / "copy"), load(name, tmp_path / "other")
    assert [(i.labels, i.conversations, i.group, i.subset) for i in one.items] == [
        (i.labels, i.conversations, i.group, i.subset) for i in two.items
    ]
    assert one.left_out == two.left_out


@pytest.mark.parametrize("name", [name for name in FILES if name != "wildbench"])
@pytest.mark.parametrize("place", ["{}.jsonl", "deep/down/{}.jsonl", "{}/anything.jsonl"])
def test_a_set_by_its_own_name(tmp_path, name, place):
    rows = FILES[name][1]
    path = put(tmp_path / place.format(name), rows)
    dataset = load(name, tmp_path)
    assert dataset.files == {place.format(name): file_sha256(path)}
    assert dataset.source == place.format(name)


def test_the_data_folder_may_be_the_set_s_own(tmp_path):
    path = put_set(tmp_path, "hh-helpful-base")
    assert len(load("hh-helpful-base", path.parent).items) == 3


def test_the_split_goes_before_the_rest_of_a_folder(tmp_path):
    put(tmp_path / "helpsteer" / "train.jsonl", [{"broken": 1}])
    put(tmp_path / "helpsteer" / "validation.jsonl", HELPSTEER)
    assert list(load("helpsteer", tmp_path).files) == ["helpsteer/validation.jsonl"]


def test_several_files_of_one_set(tmp_path):
    put(tmp_path / "SHP" / "askbaking" / "test.jsonl", SHP[:1])
    put(tmp_path / "SHP" / "askphysics" / "test.jsonl", SHP[1:])
    dataset = load("shp", tmp_path)
    assert [item.id.rpartition("/")[0] for item in dataset.items] == [
        "SHP/askbaking",
        "SHP/askphysics",
    ]


def test_a_file_beside_its_own_gz_is_refused(tmp_path):
    for suffix in (".jsonl", ".jsonl.gz"):
        put(tmp_path / "helpful-base" / f"test{suffix}", FILES["hh-helpful-base"][1])
    with pytest.raises(UserError, match=r"test.jsonl and .*test.jsonl.gz look like one file twice"):
        load("hh-helpful-base", tmp_path)


def test_copies_in_two_folders_are_refused(tmp_path):
    for folder in ("a", "b"):
        put(tmp_path / folder / "Natural" / "dataset.json", LLMBAR)
    with pytest.raises(UserError, match="look like one file twice"):
        load("llmbar", tmp_path)
    put(tmp_path / "a" / "vicuna_eval.json", FILES["vicuna-single"][1])
    put(tmp_path / "b" / "vicuna_eval.json", FILES["vicuna-single"][1][:1])
    with pytest.raises(UserError, match="look like one file twice"):
        load("vicuna-single", tmp_path)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_nothing_found_says_what_was_looked_for_and_what_to_do(tmp_path, spec):
    put(tmp_path / "something.jsonl", [{"a": 1}])
    with pytest.raises(UserError) as caught:
        load(spec.name, tmp_path)
    said = str(caught.value)
    assert caught.value.exit_code == 2
    assert f"{spec.name}: not found below {tmp_path}" in said
    assert all(f"{pattern}.*" in said for pattern in spec.files)
    assert (spec.hub[0].id if spec.hub else spec.origin) in said


def test_no_such_folder(tmp_path):
    for call in (lambda f: load("shp", f), available):
        with pytest.raises(UserError, match=r"^--data-dir .*none: cannot be read: No such file"):
            call(tmp_path / "none")
        with pytest.raises(UserError, match=r"a.jsonl: cannot be read: Not a directory"):
            call(put(tmp_path / "a.jsonl", SHP))
        for name in ("x" * 5000, "a\0b"):
            with pytest.raises(UserError, match=r"^--data-dir .*: cannot be read: "):
                call(tmp_path / name)


def forbid(monkeypatch, method: str, *paths: Path) -> None:
    """What a user who is not root sees of files that he may not read."""
    allowed = getattr(Path, method)

    def refuse(self, *args, **kwargs):
        if self in paths:
            raise PermissionError(errno.EACCES, "Permission denied")
        return allowed(self, *args, **kwargs)

    monkeypatch.setattr(Path, method, refuse)


@pytest.mark.parametrize("methods", [["open"], ["open", "stat"]])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, methods):
    put_set(tmp_path, "llmbar")
    path = put_set(tmp_path, "hh-helpful-online")
    for method in methods:  # "stat": its folder may be listed, but not entered
        forbid(monkeypatch, method, path)
    with pytest.raises(InputError) as caught:
        load("hh-helpful-online", tmp_path)
    assert str(caught.value) == f"{path}: cannot be read: Permission denied"
    assert len(load("llmbar", tmp_path).items) == len(LLMBAR)


def test_a_file_by_its_path_that_may_not_be_read(tmp_path, monkeypatch):
    path = put_set(tmp_path, "rewardbench")
    forbid(monkeypatch, "open", path)
    with pytest.raises(InputError, match="cannot be read"):
        load(str(path))


def test_json_may_hold_one_value_a_line(tmp_path):
    path = tmp_path / "SHP" / "askculinary" / "test.json"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in SHP))
    assert len(load("shp", tmp_path).items) == 2
    with path.open("a") as file:
        file.write('{"history": "h", ')
    with pytest.raises(InputError, match="row 4: is not whole and valid JSON"):
        load("shp", tmp_path)


def test_available_lists_every_set_with_its_files(tmp_path):
    assert [(spec.name, files) for spec, files in available()] == [(n, ()) for n in SPECS]
    hh = put_set(tmp_path, "hh-harmless-base")
    put(tmp_path / "wildbench" / "elo.json", [{}])  # in the right folder, but not the set
    found = {spec.name: files for spec, files in available(tmp_path) if files}
    assert found == {"hh-harmless-base": (hh,)}
    for name in FILES:
        put_set(tmp_path, name)
    assert all(files for _, files in available(tmp_path))
    assert list(SPECS) == list(FILES)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "has no rows"),
        (b'{"chosen": "\\n\\nHu', "row 1: is not whole and valid JSON"),
        (b'[1]\n"a"\n', "row 1: expected an object with columns"),
        (b"\xff\n", "row 1: is not UTF-8"),
        (b"null\n", "row 1: expected an object with columns"),
    ],
)
def test_half_written_and_empty_files(tmp_path, data, said):
    path = put_set(tmp_path, "hh-helpful-online")
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        load("hh-helpful-online", tmp_path)


def test_half_a_gz(tmp_path):
    path = put_set(tmp_path, "hh-helpful-base")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        load("hh-helpful-base", tmp_path)


def test_links_and_other_files_do_no_harm(tmp_path):
    put_set(tmp_path / "data", "hh-helpful-base")
    (tmp_path / "data" / "hh-helpful-base.txt").write_text("notes")
    (tmp_path / "data" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    assert len(load("hh-helpful-base", tmp_path / "data").items) == 3
    shutil.rmtree(tmp_path / "data" / "hh")
    with pytest.raises(UserError, match="not found"):
        load("hh-helpful-base", tmp_path / "data")

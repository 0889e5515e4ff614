"""The folder of a training: whose it is, what is whole, what is never touched."""

import json
from pathlib import Path
from typing import Any

import pytest

from flr.errors import ModelError, OutputError
from flr.runs import Store
from flr.training import folder
from flr.training.folder import Folder, Spent, last_whole, mark

ASKED = {"beta": 0.1, "lora": False}


def of(path: Path, key: str = "ours", verb: str = "align") -> Folder:
    return Folder(path, verb, key, ASKED)


def free(output: Path, *, resume: bool = False, force: bool = False) -> None:
    of(output).check_free(resume=resume, force=force)


def finished(output: Path, key: str = "ours") -> dict[str, Any]:
    """A folder that was made in one go."""
    with of(output, key).held(resume=False):
        model = of(output).work / "model"
        (model / "more").mkdir(parents=True)
        (model / "config.json").write_text("{}")
        (model / "model.safetensors").write_bytes(b"weights")
        (model / "more" / "template.jinja").write_text("a template")
        return of(output, key).finish(model, {"options": ASKED}, "# a card\n")


def checkpoint(work: Path, step: int, key: str = "ours", *, marked: bool = True) -> Path:
    made = work / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"x" * step)
    if marked:
        mark(made, key, Spent(float(step), 10 * step))
    return made


def stopped(output: Path) -> Path:
    """A folder of a run that was killed; its work."""

    def killed() -> None:
        with of(output).held(resume=False):
            checkpoint(output / folder.WORK, 2)
            checkpoint(output / folder.WORK, 4)
            checkpoint(output / folder.WORK, 6, marked=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed()
    return output / folder.WORK


def test_a_finished_folder_holds_the_model_and_nothing_else(tmp_path: Path):
    output = tmp_path / "a" / "policy"
    record = finished(output)
    names = {str(one.relative_to(output)) for one in output.rglob("*") if one.is_file()}
    assert names == {
        *("config.json", "model.safetensors", "more/template.jinja", "README.md", "align.json")
    }
    assert record["files"].keys() == names - {"align.json"}
    assert of(output).is_done()
    assert not of(output, "another").is_done()
    assert of(output).read() == record


@pytest.mark.parametrize("name", ["model.safetensors", "more/template.jinja", "README.md"])
def test_a_file_that_changed_or_went_is_seen(tmp_path: Path, name: str):
    finished(tmp_path / "p")
    (tmp_path / "p" / name).write_bytes(b"other")
    assert not of(tmp_path / "p").is_done()
    (tmp_path / "p" / name).unlink()
    assert not of(tmp_path / "p").is_done()
    with pytest.raises(OutputError, match="no longer those that were written"):
        free(tmp_path / "p", resume=True)


def test_somebody_elses_folder_is_never_taken(tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "thesis" / "align.json").write_text('{"notes": 1}')
    for force in (False, True):
        with pytest.raises(OutputError, match="flr align did not make"):
            free(tmp_path / "thesis", force=force)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file"):
        free(tmp_path / "file", force=True)
    (tmp_path / "empty").mkdir()
    free(tmp_path / "empty")
    free(tmp_path / "none")


def test_another_run_is_replaced_by_force_alone_and_only_what_is_ours(tmp_path: Path):
    output = tmp_path / "p"
    finished(output, "another")
    (output / "notes.txt").write_text("mine")
    record = json.loads((output / "align.json").read_text())
    (output / "align.json").write_text(json.dumps({**record, "options": {"beta": 0.5}}))
    with pytest.raises(OutputError, match=r"made otherwise \(beta 0.5, now 0.1\).*--force"):
        free(output, resume=True)
    free(output, force=True)
    with of(output).held(resume=False):
        left = {path.name for path in output.iterdir() if not path.name.startswith(folder.LOCK)}
        assert left == {"notes.txt", "align.json"}
        assert of(output).read()["run"] == "ours"


def test_a_record_cannot_name_files_outside_its_folder(tmp_path: Path):
    output, outside = tmp_path / "p", tmp_path / "precious"
    outside.write_text("keep me")
    finished(output, "another")
    record = json.loads((output / "align.json").read_text())
    files = {"../precious": "0", str(outside): "0", "config.json": "0", "": "0", ".": "0"}
    (output / "align.json").write_text(json.dumps({**record, "files": files}))
    with of(output).held(resume=False):
        assert not (output / "config.json").exists()
    assert outside.read_text() == "keep me"


def test_a_stopped_run_goes_on_from_its_last_whole_checkpoint(tmp_path: Path):
    work = stopped(tmp_path / "p")
    with pytest.raises(OutputError, match="give --resume to go on"):
        free(tmp_path / "p")
    free(tmp_path / "p", resume=True)
    with of(tmp_path / "p").held(resume=True):
        assert {path.name for path in work.iterdir()} == {"checkpoint-2", "checkpoint-4"}
        assert last_whole(work, "ours") == (work / "checkpoint-4", Spent(4.0, 40))


def test_force_begins_anew(tmp_path: Path):
    work = stopped(tmp_path / "p")
    free(tmp_path / "p", force=True)
    with of(tmp_path / "p").held(resume=False):
        assert not work.exists()


@pytest.mark.parametrize("damage", ["shorter", "gone", "more", "mark", "other run"])
def test_a_checkpoint_that_is_not_as_it_was_marked_is_not_whole(tmp_path: Path, damage: str):
    checkpoint(tmp_path, 2)
    last = checkpoint(tmp_path, 10, "another" if damage == "other run" else "ours")
    match damage:
        case "shorter":
            (last / "model.safetensors").write_bytes(b"x")
        case "gone":
            (last / "model.safetensors").unlink()
        case "more":
            (last / "optimizer.pt").touch()
        case "mark":
            (last / folder.MARK).write_text('{"run": "ou')
        case _:
            pass
    assert last_whole(tmp_path, "ours") == (tmp_path / "checkpoint-2", Spent(2.0, 20))


def test_names_that_are_no_checkpoints_are_passed_over(tmp_path: Path):
    (tmp_path / "checkpoint-last").mkdir()
    (tmp_path / "data").mkdir()
    assert last_whole(tmp_path, "ours") is None
    assert last_whole(tmp_path / "none", "ours") is None


def test_an_error_leaves_nothing_behind_but_a_checkpoint_to_go_on_from(tmp_path: Path):
    with pytest.raises(ModelError), of(tmp_path / "p").held(resume=False):
        raise ModelError("no memory")
    assert not (tmp_path / "p").exists()

    def failed() -> None:
        with of(tmp_path / "q").held(resume=False):
            checkpoint(tmp_path / "q" / folder.WORK, 2)
            raise ModelError("no memory")

    with pytest.raises(ModelError):
        failed()
    assert last_whole(tmp_path / "q" / folder.WORK, "ours") is not None


def test_two_runs_do_not_work_in_one_folder(tmp_path: Path):
    finished(tmp_path / "p")
    with (
        Store(tmp_path / "p" / folder.LOCK),
        pytest.raises(OutputError, match="another flr is working"),
        of(tmp_path / "p").held(resume=False),
    ):
        pass
    assert of(tmp_path / "p").is_done()


@pytest.mark.parametrize("at", range(5))
def test_a_kill_while_the_model_takes_its_place_loses_nothing(
    tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
):
    """Before each file that is moved or written, and before the checkpoints go."""
    real, calls = Path.replace, iter(range(100))

    def replace(self: Path, target: Path) -> Path:
        if next(calls) == at + 2:  # after the record that begins, and the card
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        finished(tmp_path / "p")
    monkeypatch.undo()
    assert not of(tmp_path / "p").is_done()
    if at < 4:  # the model's own config.json comes last
        assert not (tmp_path / "p" / "config.json").exists()
    free(tmp_path / "p", resume=True)
    free(tmp_path / "p", force=True)
    finished(tmp_path / "p")
    assert of(tmp_path / "p").is_done()

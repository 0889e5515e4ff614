"""A loop of tiny models: every stage once, in one folder, by categories that stay apart."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from flr import io, sources
from flr.cli.main import run
from flr.errors import InputError, OptionError, OutputError
from flr.loop import parted, run_loop
from flr.loop_options import LoopOptions

KTO: dict[str, Any] = {"method": "kto", "label_quantile": 0.4, "min_margin": None}
PROMPTS = [{"prompt": f"What is {n}? \U0001f375", "id": n} for n in range(8)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices this small gain nothing by a second thread, and nothing may ask the hub."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(threads)


def options(model: Path, **given: Any) -> LoopOptions:
    usual: dict[str, Any] = {
        "policy": str(model),
        "model": str(model),
        "set": "short",
        "dtype": "fp32",
        "n": 3,
        "max_new_tokens": 6,
        "keep_unfinished": True,
        "min_margin": 0.0,
        "held_out": 0.25,
        "batch_size": 2,
        "max_steps": 2,
        "save_steps": 1,
        "learning_rate": 1e-2,
        "rounds": 2,
    }
    return LoopOptions(**{**usual, **given})


def source(folder: Path, rows: Any = PROMPTS) -> str:
    path = folder / "prompts.jsonl"
    io.write(path, rows)
    return str(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """The folder of a loop of two rounds."""
    folder = tmp_path_factory.mktemp("loop")
    report = run_loop(
        source(folder), folder / "loop", options(tiny_model), command="flr loop prompts.jsonl"
    )
    assert report.computed
    return folder / "loop"


def files(folder: Path) -> dict[str, int]:
    """When each file of the stages was written; the prompts are written whenever a loop begins."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*/*")
        if path.is_file() and path.suffix in (".jsonl", ".safetensors")
    }


def test_every_stage_is_done_once_and_told(done: Path):
    told = yaml.safe_load((done / "state.yaml").read_text("utf-8"))
    stages = [(one["round"], one["stage"]) for one in told["stages"]]
    of_round = ["sample", "score", "mine", "align", "evaluate"]
    assert stages == [(0, "evaluate"), *((k, s) for k in (1, 2) for s in of_round)]
    assert {one["status"] for one in told["stages"]} == {"finished"}
    assert told["stages"][1]["found"]["responses"] == 18
    assert told["stages"][4]["found"]["steps"] == 2


def test_no_prompt_is_trained_and_judged_on(done: Path):
    train, evaluation = (io.read(str(done / f"{name}.jsonl")) for name in ("train", "evaluation"))
    assert (len(train), len(evaluation)) == (6, 2)
    assert sorted(row["id"] for row in (*train, *evaluation)) == list(range(8))
    judged = {json.dumps(row["prompt"]) for row in io.read(str(done / "evaluation/items.jsonl"))}
    assert judged == {json.dumps(row["prompt"]) for row in evaluation}


def test_what_chooses_does_not_judge(done: Path):
    results = json.loads((done / "results.json").read_text("utf-8"))
    chosen = io.read(str(done / "round-1" / "pairs.jsonl"))[0]["reward_chosen_by_category"]
    (judge,) = [name for name in results["evaluation"]["rewards"] if name != "length"]
    judged = results["evaluation"]["policies"]["round 1"]["figures"]["reward_by_category"][judge]
    assert set(chosen) == {"understanding", "relevance", "correctness"}
    assert set(judged) == {"engagingness", "informativeness", "following"}


def test_rounds_build_on_each_other_and_are_held_against_the_first(done: Path, tiny_model: Path):
    records = [
        json.loads((done / f"round-{k}" / "policy" / "align.json").read_text("utf-8"))
        for k in (1, 2)
    ]
    assert records[0]["policy"]["name"] == str(tiny_model)
    assert records[1]["policy"]["name"] == str(done / "round-1" / "policy")
    results = json.loads((done / "results.json").read_text("utf-8"))["evaluation"]
    assert list(results["policies"]) == ["round 0", "round 1", "round 2"]
    assert list(results["against"]) == ["round 1", "round 2"]
    moved = [one["figures"]["divergence"] for one in results["policies"].values()]
    assert moved[0] is None or moved[0]["value"] == 0
    assert moved[1]["value"] > 0
    first, second = (io.read(str(done / f"round-{k}" / "pairs.responses.jsonl")) for k in (1, 2))
    assert [row["responses"] for row in first] != [row["responses"] for row in second]


def test_the_page_stands_by_itself(done: Path):
    page = (done / "report.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") >= 4
    assert "evaluation/report.html" in page
    assert (done / "evaluation" / "report.html").is_file()


def test_the_same_again_does_nothing_and_another_is_refused(done: Path, tiny_model: Path):
    before = files(done)
    given = options(tiny_model)
    assert not run_loop(source(done.parent), done, given).computed
    assert files(done) == before
    with pytest.raises(OutputError, match="holds another loop"):
        run_loop(source(done.parent), done, options(tiny_model, n=4))
    with pytest.raises(OutputError, match=r"--rounds 1: .* holds 2 already"):
        run_loop(source(done.parent), done, options(tiny_model, rounds=1))
    with pytest.raises(OutputError, match=r"round-1/policy was made otherwise .*beta 0.1, now 0.5"):
        run_loop(source(done.parent), done, options(tiny_model, beta=0.5))
    assert files(done) == before


def test_a_command_that_was_refused_is_not_the_one_that_goes_on(done: Path, tiny_model: Path):
    told = (done / "state.yaml").read_text("utf-8")
    given = options(tiny_model, beta=0.5, rounds=3)
    with pytest.raises(OutputError, match="was made otherwise"):
        run_loop(source(done.parent), done, given, command="flr loop --beta 0.5 --rounds 3")
    assert (done / "state.yaml").read_text("utf-8") == told


def test_a_round_that_was_removed_is_judged_anew(done: Path, tmp_path: Path, tiny_model: Path):
    """With other training options, so that it is another policy."""
    folder = tmp_path / "loop"
    shutil.copytree(done, folder)
    shutil.rmtree(folder / "round-1" / "policy")
    shutil.rmtree(folder / "round-2")
    results = run_loop(source(done.parent), folder, options(tiny_model, learning_rate=1e-3)).results
    figure = results["evaluation"]["policies"]["round 1"]["figures"]["divergence"]["value"]
    told = {(one["round"], one["stage"]): one["found"] for one in results["stages"]}
    assert told[1, "evaluate"]["divergence"] == figure


def test_what_is_told_of_a_policy_is_of_this_one(done: Path, tmp_path: Path, tiny_model: Path):
    """And not of the one that --force has replaced."""
    folder = tmp_path / "loop"
    shutil.copytree(done, folder)
    given = options(tiny_model, learning_rate=1e-3, force=True)
    with pytest.raises(Stop):
        run_loop(source(done.parent), folder, given, stopping("round 2: prompts"))
    results = json.loads((folder / "evaluation/results.json").read_text("utf-8"))
    figure = results["policies"]["round 1"]["figures"]["divergence"]
    (told,) = [
        one["found"]
        for one in yaml.safe_load((folder / "state.yaml").read_text("utf-8"))["stages"]
        if (one["round"], one["stage"]) == (1, "evaluate")
    ]
    assert told["divergence"] == figure["value"]
    identity = sources.locate(str(folder / "round-1" / "policy")).identity
    assert results["policies"]["round 1"]["identity"] == identity


def test_a_stage_that_refused_something_takes_what_it_asked_for(tmp_path: Path, tiny_model: Path):
    """By kto, of which there is no other loop here."""
    folder, told = tmp_path / "loop", list[str]()
    given = {**KTO, "rounds": 1}
    short = options(tiny_model, **given, max_length=6)
    with pytest.raises(InputError, match="give a larger --max-length"):
        run_loop(source(tmp_path), folder, short, warn=told.append)
    assert any("too long for --max-length 6" in one for one in told)
    assert run_loop(source(tmp_path), folder, options(tiny_model, **given)).computed
    labels = [row["label"] for row in io.read(str(folder / "round-1" / "pairs.jsonl"))]
    assert set(labels) == {True, False}
    state = yaml.safe_load((folder / "state.yaml").read_text("utf-8"))["stages"]
    assert {one["status"] for one in state} == {"finished"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device": "cuda"}, "2 GPUs are seen by one process.*CUDA_VISIBLE_DEVICES=0"),
        ({"trl": {"lerning_rate": "1"}}, "Did you mean 'learning_rate'"),
        ({**KTO, "micro_batch": 1}, "compares rows with their neighbours"),
    ],
)
def test_what_training_refuses_is_said_before_anything_is_done(
    tmp_path: Path,
    tiny_model: Path,
    given: dict[str, Any],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(OptionError, match=said):
        run_loop(source(tmp_path), tmp_path / "loop", options(tiny_model, **given))
    assert not (tmp_path / "loop").exists()


class Stop(Exception):  # noqa: N818 - stands for a kill
    pass


def stopping(wanted: str, at: int = 1) -> Callable[[str], Any]:
    """Stops when so much of one thing is done."""

    def progress_of(unit: str) -> Any:
        def tell(done: int, *_: int) -> None:
            if unit == wanted and done >= at:
                raise Stop

        return tell

    return progress_of


STOPS = {
    "sample": stopping("round 1: prompts"),
    "score": stopping("round 1: responses"),
    "mine": stopping("round 1: responses for the noise floor"),
    "align": stopping("round 1: steps", at=2),  # after the checkpoint of the first step
    "evaluate": stopping("round 1: conversations"),
}


def test_a_loop_that_was_stopped_in_any_stage_goes_on(done: Path, tmp_path: Path, tiny_model: Path):
    folder = tmp_path / "loop"
    given = options(tiny_model)
    for stage, stop in STOPS.items():
        with pytest.raises(Stop):
            run_loop(source(tmp_path), folder, given, stop)
        state = yaml.safe_load((folder / "state.yaml").read_text("utf-8"))["stages"]
        status = {one["stage"]: one["status"] for one in state if one["round"] == 1}
        before = list(STOPS)[: list(STOPS).index(stage)]
        assert status == {**dict.fromkeys(before, "finished"), stage: "running"}
        if stage == "align":
            assert (folder / "round-1/policy/checkpoints/checkpoint-1/whole.json").exists()
    run_loop(source(tmp_path), folder, given)
    assert set(files(folder)) == set(files(done))
    for name in ("round-1/pairs.jsonl", "round-1/pairs.responses.jsonl"):
        assert (folder / name).read_bytes() == (done / name).read_bytes()
    one, other = (f / "round-1/policy/model.safetensors" for f in (folder, done))
    assert one.read_bytes() == other.read_bytes()


def test_the_first_policy_has_its_revision_in_every_stage(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[tuple[str, str | None]] = []

    def download(name: str, revision: str | None) -> Path:
        asked.append((name, revision))
        return tiny_model

    monkeypatch.setattr(sources, "_download", download)
    given = options(Path("some/policy"), policy_revision="old", revision="new", follow_policy=True)
    given = replace(given, model="some/judge")
    with pytest.raises(Stop):
        run_loop(
            source(tmp_path, PROMPTS[:3]), tmp_path / "loop", given, stopping("round 1: steps")
        )
    assert set(asked) == {("some/policy", "old"), ("some/judge", "new")}


@pytest.mark.parametrize("name", ["train.jsonl", "evaluation.jsonl", "evaluation", "results.json"])
def test_what_no_loop_made_is_not_replaced(tmp_path: Path, tiny_model: Path, name: str):
    folder = tmp_path / "loop"
    folder.mkdir()
    (folder / name).write_text("mine", "utf-8")
    with pytest.raises(OutputError, match=f"{name} is there already.*--force"):
        run_loop(source(tmp_path), folder, options(tiny_model))
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text("utf-8") == "mine"


def test_what_a_loop_reads_it_does_not_write(tmp_path: Path, tiny_model: Path):
    for name in ("train.jsonl", "evaluation.jsonl"):
        io.write(tmp_path / name, PROMPTS)
    before = (tmp_path / "train.jsonl").read_bytes()
    with pytest.raises(OutputError, match=r"train.jsonl is the input"):
        run_loop(str(tmp_path / "train.jsonl"), tmp_path, options(tiny_model, force=True))
    given = options(tiny_model, force=True, evaluate_on=str(tmp_path / "evaluation.jsonl"))
    rows = source(tmp_path, [{"prompt": "Milk?"}])
    with pytest.raises(OutputError, match=r"evaluation.jsonl is the input"):
        run_loop(rows, tmp_path, given)
    assert (tmp_path / "train.jsonl").read_bytes() == before


def test_status(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["loop", "status", str(done)]) == 0
    said = capsys.readouterr().err
    assert "2 of 2 rounds are finished" in said
    assert said.count("finished") >= 11
    assert run(["loop", "status", str(tmp_path)]) == 2
    assert "holds no loop" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("weights", "said"),
    [({"following": 2.0}, "--weights.following: .*judges"), ({"fit": 2.0}, "fit")],
)
def test_weights_that_would_be_of_no_use(
    tmp_path: Path, tiny_model: Path, weights: dict[str, float], said: str
):
    with pytest.raises(OptionError, match=said):
        run_loop(source(tmp_path), tmp_path / "loop", options(tiny_model, weights=weights))
    assert not (tmp_path / "loop").exists()


def test_prompts_for_evaluation_of_ones_own(tmp_path: Path, tiny_model: Path):
    mine = tmp_path / "mine.jsonl"
    io.write(mine, PROMPTS[:3])
    train, evaluation = parted(source(tmp_path), options(tiny_model, evaluate_on=str(mine)))
    assert ([row["id"] for row in train], len(evaluation)) == (list(range(3, 8)), 3)
    io.write(mine, PROMPTS)
    with pytest.raises(InputError, match="every prompt is among those"):
        parted(source(tmp_path), options(tiny_model, evaluate_on=str(mine)))
    with pytest.raises(InputError, match="cannot be split"):
        parted(source(tmp_path, PROMPTS[:1]), options(tiny_model))

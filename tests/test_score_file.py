import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flr import followups, io, runs
from flr.errors import FollowUpError, InputError, OptionError, OutputError
from flr.loading import load
from flr.runs import BLOCK_ROWS, Report, Store
from flr.score_file import ScoreOptions, score_file
from flr.types import Conversation

PROMPT = "What is the capital of France?"


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows of every form, with columns of their own."""
    forms: list[dict[str, Any]] = [
        {"prompt": PROMPT, "response": "It is Paris.", "id": 1},
        {"prompt": PROMPT, "chosen": "Paris", "rejected": "", "note": None},
        {
            "prompt": PROMPT,
            "responses": ["It is", "Paris \U0001f600", "It is"],
            "x": [1, {"y": 2.5}],
        },
        {
            "messages": [
                {"role": "user", "content": PROMPT},
                {"role": "assistant", "content": "Yes"},
            ]
        },
    ]
    return [{**forms[i % 4], "number": i} for i in range(count)]


def numbered(count: int) -> list[dict[str, Any]]:
    """Rows of which no two hold the same conversation."""
    return [{"prompt": PROMPT, "response": f"Number {i}."} for i in range(count)]


def write(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def run(
    tmp: Path, model: Path, rows: Sequence[Any], name: str = "out.jsonl", **options: Any
) -> Report:
    source = write(tmp / "in.jsonl", rows)
    given = {"model": str(model), "set": "short", "dtype": "fp32", "threads": 1, **options}
    return score_file(source, tmp / name, ScoreOptions(**given))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]


def test_every_row_keeps_its_columns_and_gets_its_rewards(tmp_path: Path, tiny_model: Path) -> None:
    rows = rows_of(8)
    run(tmp_path, tiny_model, rows)
    out = read(tmp_path / "out.jsonl")
    assert [{k: row[k] for k in before} for row, before in zip(out, rows, strict=True)] == rows
    added = [sorted(set(row) - set(before)) for row, before in zip(out, rows, strict=True)]
    assert added[:4] == [
        ["reward", "reward_by_category"],
        [
            "reward_chosen",
            "reward_chosen_by_category",
            "reward_rejected",
            "reward_rejected_by_category",
        ],
        ["rewards", "rewards_by_category"],
        ["reward", "reward_by_category"],
    ]
    assert len(out[2]["rewards"]) == 3
    assert out[2]["rewards"][0] == out[2]["rewards"][2] != out[2]["rewards"][1]


def test_the_rewards_are_those_of_the_scorer(tmp_path: Path, tiny_model: Path) -> None:
    run(tmp_path, tiny_model, rows_of(3))
    single, pair, several = read(tmp_path / "out.jsonl")
    scorer = load(model=str(tiny_model), set="short", dtype="fp32")
    texts = ["It is Paris.", "Paris", "", "It is", "Paris \U0001f600", "It is"]
    scores = scorer.score([Conversation.of(PROMPT, text) for text in texts])
    found = [single["reward"], pair["reward_chosen"], pair["reward_rejected"], *several["rewards"]]
    assert found == pytest.approx([s.reward for s in scores if s], abs=1e-5)


def test_per_followup_adds_every_likelihood(tmp_path: Path, tiny_model: Path) -> None:
    run(tmp_path, tiny_model, rows_of(3), per_followup=True)
    single, pair, several = read(tmp_path / "out.jsonl")
    assert set(single["followups"][0]) == {"text", "category", "polarity", "logprob", "tokens"}
    assert len(single["followups"]) == len(pair["followups_chosen"]) == 24
    assert len(pair["followups_rejected"]) == len(several["followups"][2]) == 24


def test_official_is_told_apart_in_every_file(tmp_path: Path, tiny_model: Path) -> None:
    run(tmp_path, tiny_model, rows_of(4), reward="official", per_followup=True)
    out = read(tmp_path / "out.jsonl")
    assert {row["reward_variant"] for row in out} == {"official"}
    assert "logit" in out[0]["followups"][0]
    assert runs.read_record(tmp_path / "out.jsonl")["reward"] == "official"


def test_the_record_says_how_it_was_made(tmp_path: Path, tiny_model: Path) -> None:
    report = run(tmp_path, tiny_model, rows_of(5))
    record = runs.read_record(tmp_path / "out.jsonl")
    assert record == json.loads(json.dumps(report.record))
    assert record["output_sha256"] == runs.file_sha256(tmp_path / "out.jsonl")
    assert record["model"]["name"] == str(tiny_model)
    assert len(record["model"]["identity"]) == 64
    assert record["paths"] == ["shared for every row"]
    assert (record["rows"], record["responses"]) == (5, 1 + 2 + 3 + 1 + 1)
    assert record["requests_by_path"] == {"shared": 24 * 8}
    assert record["tokens_run"] < record["tokens_asked"]
    assert record["options"]["threads"] == 1
    assert record["made_with"]["dtype"] == "fp32"
    assert set(record["made_with"]["versions"]) >= {"flr", "torch", "transformers"}


def test_a_finished_run_is_not_done_again(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, tiny_model, rows_of(9))
    before = (tmp_path / "out.jsonl").stat().st_mtime_ns
    monkeypatch.setattr("flr.models.load", lambda *_, **__: pytest.fail("no model is needed"))
    again = run(tmp_path, tiny_model, rows_of(9))
    assert again.computed == 0
    assert (tmp_path / "out.jsonl").stat().st_mtime_ns == before


def test_another_variant_of_the_same_likelihoods_computes_nothing(
    tmp_path: Path, tiny_model: Path
) -> None:
    assert run(tmp_path, tiny_model, rows_of(9)).computed == 2
    changes: list[dict[str, Any]] = [{"reward": "sum"}, {"weights": {"relevance": 2.0}}]
    for change in [*changes, {"per_followup": True}]:
        with pytest.raises(OutputError, match="--force"):
            run(tmp_path, tiny_model, rows_of(9), **change)
        assert run(tmp_path, tiny_model, rows_of(9), force=True, **change).computed == 0


def test_only_what_changed_is_computed(tmp_path: Path, tiny_model: Path) -> None:
    rows = rows_of(3 * BLOCK_ROWS)
    run(tmp_path, tiny_model, rows)
    rows[BLOCK_ROWS] = {"prompt": PROMPT, "response": "I do not know."}
    assert run(tmp_path, tiny_model, rows, force=True).computed == 1
    more = [*rows, {"prompt": PROMPT, "response": "Yes."}]
    assert run(tmp_path, tiny_model, more, force=True).computed == 1


@pytest.mark.parametrize(
    "change", [{"dtype": "bf16"}, {"batch_tokens": 64}, {"threads": 2}, {"set": "default"}]
)
def test_what_changes_bits_is_computed_anew(
    tmp_path: Path, tiny_model: Path, change: dict[str, Any]
) -> None:
    run(tmp_path, tiny_model, rows_of(1))
    assert run(tmp_path, tiny_model, rows_of(1), force=True, **change).computed == 1


def test_two_processes_give_the_bytes_of_one(tmp_path: Path, tiny_model: Path) -> None:
    rows = [*rows_of(3), *numbered(5 * BLOCK_ROWS)]
    run(tmp_path, tiny_model, rows, "one.jsonl")
    run(tmp_path, tiny_model, rows, "two.jsonl", workers=2)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_a_worker_that_dies_is_worded_and_what_is_done_stays(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    real = runs.Store.put

    def put_and_remove(store: Store, key: str, results: Any) -> None:
        real(store, key, results)
        for worker in _children()[:1]:  # none, where the others have ended already for that
            os.kill(int(worker), signal.SIGKILL)

    monkeypatch.setattr(runs.Store, "put", put_and_remove)
    with pytest.raises(Exception, match="worker process died"):
        run(tmp_path, broken, numbered(80), workers=2)
    with Store(runs.store_path(tmp_path / "out.jsonl")) as store:
        assert len(store.keys()) >= 1


def _children() -> list[str]:
    """Ids of the worker processes of this one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = stat.with_name("cmdline").read_text()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and "spawn_main" in command:
            found.append(stat.parent.name)
    return sorted(found)


def test_skipped_and_cut_rows_are_null_counted_and_listed(tmp_path: Path, tiny_model: Path) -> None:
    special = {"prompt": PROMPT, "response": "a<|im_end|>b"}
    endless = {"prompt": PROMPT, "chosen": "yes", "rejected": "what " * 3000}
    turns = [{"role": "user", "content": "word " * 1500}, {"role": "assistant", "content": "ok"}]
    long = {
        "messages": [
            *turns,
            {"role": "user", "content": PROMPT},
            {"role": "assistant", "content": "Y"},
        ]
    }
    rows = [*rows_of(1), special, endless, long]
    report = run(tmp_path, tiny_model, rows, on_special="skip", on_overflow="skip")
    out = read(tmp_path / "out.jsonl")
    assert out[1]["reward"] is None
    assert out[1]["reward_by_category"] is None
    assert out[2]["reward_chosen"] is not None
    assert out[2]["reward_rejected"] is None
    assert [(row, place) for row, place, _ in report.record["skipped"]] == [
        (2, "response"),
        (3, "rejected"),
    ]
    assert list(report.record["cut"]) == [[4, "response", 2]] or report.record["cut"] == [
        (4, "response", 2)
    ]
    assert report.record["summary"]["count"] == 3


def test_rows_that_the_model_cannot_take_are_all_named_before_it_is_loaded(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flr.models.load", lambda *_, **__: pytest.fail("too early"))
    special = {"prompt": PROMPT, "response": "a<|im_end|>b"}
    endless = {"prompt": PROMPT, "chosen": "yes", "rejected": "what " * 3000}
    with pytest.raises(InputError) as caught:
        run(tmp_path, tiny_model, [special, *rows_of(3), endless])
    assert "row 1, response" in str(caught.value)
    assert "row 5, rejected" in str(caught.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_column_that_would_be_overwritten_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="row 1, reward: this column is there already"):
        run(tmp_path, tiny_model, [{"prompt": "a", "response": "b", "reward": 1}])


def test_parquet_gives_the_same_rewards(tmp_path: Path, tiny_model: Path) -> None:
    rows = [row for row in rows_of(12) if "response" in row]
    run(tmp_path, tiny_model, rows, "a.jsonl")
    run(tmp_path, tiny_model, rows, "a.parquet")
    rewards = [row["reward"] for row in io.read(str(tmp_path / "a.parquet"))]
    assert rewards == [row["reward"] for row in read(tmp_path / "a.jsonl")]


def test_a_set_in_another_script_is_warned_of(tmp_path: Path, tiny_model: Path) -> None:
    chinese = {"prompt": "法国的首都是哪里？请告诉我。", "response": "法国的首都是巴黎。" * 3}
    assert "script" in " ".join(run(tmp_path, tiny_model, [chinese]).record["warnings"]).lower()


def test_a_missing_folder_and_an_unknown_suffix_are_refused_early(
    tmp_path: Path, tiny_model: Path
) -> None:
    for name in ("no/such/out.jsonl", "out.txt"):
        with pytest.raises(OutputError):
            run(tmp_path, tiny_model, rows_of(1), name)


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"threads": 0}, {"batch_tokens": -1}, {"limit": 0}]
)
def test_numbers_that_make_no_sense_are_refused(
    tmp_path: Path, tiny_model: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(OptionError, match=r"1 or more|at least 1|limit"):
        run(tmp_path, tiny_model, rows_of(1), **options)


KILLED = """
import sys
from pathlib import Path
from flr import runs
real = runs.Store.put
def put(store, key, results):
    real(store, key, results)
    with open(sys.argv[4], "a") as log:
        log.write(key + "\\n")
runs.Store.put = put
from flr.score_file import ScoreOptions, score_file
options = ScoreOptions(model=sys.argv[3], set="short", dtype="fp32", threads=1)
score_file(sys.argv[1], Path(sys.argv[2]), options)
"""


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, tiny_model: Path
) -> None:
    """kill -9 while blocks are being computed; no finished block is put twice."""
    rows = numbered(60 * BLOCK_ROWS)
    run(tmp_path, tiny_model, rows, "undisturbed.jsonl")
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "in.jsonl")]
    command += [str(tmp_path / "killed.jsonl"), str(tiny_model), str(log)]
    for enough in (1, 17, 40):
        process = subprocess.Popen(command)
        while len(log.read_text().splitlines()) < enough and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert not (tmp_path / "killed.jsonl").exists()
    subprocess.run(command, check=True)
    keys = log.read_text().splitlines()
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()
    # A block killed between its commit and its line in the log is finished and not logged.
    assert len(keys) == len(set(keys)) >= 60 - 3


def test_a_kill_between_output_and_record_loses_nothing(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_record", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, tiny_model, rows_of(3))
    assert (tmp_path / "out.jsonl").exists()
    monkeypatch.undo()
    assert run(tmp_path, tiny_model, rows_of(3)).computed == 0
    assert runs.read_record(tmp_path / "out.jsonl")["rows"] == 3


def test_the_input_is_never_the_output(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(OutputError, match="is the input"):
        run(tmp_path, tiny_model, rows_of(1), "in.jsonl", force=True)


def test_equal_blocks_are_measured_once(tmp_path: Path, tiny_model: Path) -> None:
    same = [{"prompt": PROMPT, "response": "Yes."}] * (5 * BLOCK_ROWS)
    assert run(tmp_path, tiny_model, same).computed == 1


def test_a_row_of_many_responses_is_a_block_of_its_own(tmp_path: Path, tiny_model: Path) -> None:
    many = {"prompt": PROMPT, "responses": [f"Answer {i}" for i in range(150)]}
    report = run(tmp_path, tiny_model, [*rows_of(2), many, *rows_of(2)])
    assert report.record["blocks"]["all"] == 3
    assert len(read(tmp_path / "out.jsonl")[2]["rewards"]) == 150


def test_a_followup_with_special_tokens_is_refused_whatever_the_policy(
    tmp_path: Path, tiny_model: Path
) -> None:
    sides = "positive: ['Thanks<|im_end|>']\n    negative: ['No.']"
    (tmp_path / "set.yaml").write_text(
        f"name: sly\nlanguage: en\ncategories:\n  relevance:\n    {sides}\n"
    )
    with pytest.raises(FollowUpError, match="special token"):
        run(tmp_path, tiny_model, rows_of(1), set=str(tmp_path / "set.yaml"), on_special="skip")


def test_a_weight_in_the_set_computes_nothing_anew(tmp_path: Path, tiny_model: Path) -> None:
    text = followups.to_yaml(followups.load("short"))
    path = tmp_path / "set.yaml"
    path.write_text(text)
    run(tmp_path, tiny_model, rows_of(1), set=str(path))
    path.write_text(text.replace("  relevance:\n", "  relevance:\n    weight: 3.0\n"))
    assert run(tmp_path, tiny_model, rows_of(1), set=str(path), force=True).computed == 0

"""`flr feedback rewrite`: what passes is written, the critique beside it, the same bytes always."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io, runs
from flr.errors import InputError, OptionError, OutputError, UserError
from flr.feedback import rewriting, wording
from flr.feedback.rewriting import RewriteOptions, rewrite_file
from flr.feedback.rows import FORMS, Feedback, row_of
from flr.runs import Report
from flr.types import Conversation
from tests.training.small import put

CRITIQUES = [
    "The response ignores the user's budget. It deserves a score of 2.",
    "Does not say when. The rest is fine.",
    "It matches the reference answer.",
]


def rows(count: int = 3, form: Any = "user") -> list[dict[str, Any]]:
    return [
        row_of(
            Feedback(
                Conversation.of(f"Tea {at} {{feedback}}?", f"Yes {{}} {at}."),
                CRITIQUES[at % 3],
                {"score": float(at), "id": at},
            ),
            form,
        )
        for at in range(count)
    ]


def made(tmp: Path, found: Any, name: str = "out.jsonl", /, **given: Any) -> Report:
    return rewrite_file(put(tmp / "in.jsonl", found), tmp / name, RewriteOptions(**given))


def by_model(
    tmp: Path, model: Path, found: Any, name: str = "out.jsonl", /, **given: Any
) -> Report:
    options = {"policy": str(model), "dtype": "fp32", "threads": 1, "max_new_tokens": 5}
    return made(tmp, found, name, by="model", **{**options, **given})


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A random model writes nothing that would pass."""
    monkeypatch.setattr(rewriting, "fault_of", lambda *_, **__: None)
    monkeypatch.setattr(rewriting, "_drafts", lambda row: row["responses"])


@pytest.mark.parametrize("form", FORMS)
def test_by_rules_what_passes_is_written_with_the_critique_beside_it(tmp_path: Path, form: Any):
    report = made(tmp_path, rows(form=form))
    first, second = io.read(str(tmp_path / "out.jsonl"))
    speaker = "user" if form == "user" else "assistant"
    assert first["completion"] == [{"role": speaker, "content": "Your answer ignores my budget."}]
    assert first["prompt"] == rows(form=form)[0]["prompt"]
    assert (first["form"], first["score"], first["id"]) == (form, 0.0, 0)
    assert [row["critique"] for row in (first, second)] == CRITIQUES[:2]
    record = report.record
    assert (record["found"], record["rows"]) == (3, 2)
    assert record["left_out"] == {wording.NOTHING: 1}


def test_what_was_rewritten_is_rewritten_from_its_critique(tmp_path: Path):
    made(tmp_path, rows(), "two.jsonl")
    again = io.read(str(tmp_path / "two.jsonl"))
    made(tmp_path, again, "again.jsonl")
    assert io.read(str(tmp_path / "again.jsonl")) == again
    made(tmp_path, again, "one.jsonl", sentences=1)
    texts = [row["completion"][0]["content"] for row in io.read(str(tmp_path / "one.jsonl"))]
    assert texts == ["Your answer ignores my budget.", "Your answer does not say when."]


def test_the_same_command_again_does_nothing_and_another_replaces_nothing(tmp_path: Path):
    first, again = (made(tmp_path, rows()) for _ in range(2))
    assert (first.computed, again.computed, again.record) == (1, 0, first.record)
    with pytest.raises(OutputError, match="--force"):
        made(tmp_path, rows(), sentences=1)
    assert made(tmp_path, rows(), sentences=1, force=True).computed == 1
    with pytest.raises(OutputError, match="is the input"):
        rewrite_file(str(tmp_path / "in.jsonl"), tmp_path / "in.jsonl", RewriteOptions(force=True))


def test_where_nothing_passes_it_says_why_and_writes_nothing(tmp_path: Path):
    with pytest.raises(UserError, match=r"nothing is left to write \(nothing could be turned: 1\)"):
        made(tmp_path, [rows()[2]])
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "a", "response": "b"}, "row 2, form"),
        ({**rows()[0], "completion": []}, "row 2, completion"),
        ({**rows()[0], "critique": 5}, "row 2, critique: expected a text, got a number"),
        ({**rows()[0], "prompt": "a"}, "row 2, prompt"),
        (5, "row 2: expected an object"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: Any, says: str):
    with pytest.raises(InputError) as caught:
        made(tmp_path, [rows()[0], row])
    assert says in str(caught.value)
    (tmp_path / "in.jsonl").write_text(json.dumps(rows()[0]) + '\n{"prompt": [')
    with pytest.raises(InputError, match="row 2"):
        rewrite_file(str(tmp_path / "in.jsonl"), tmp_path / "o.jsonl", RewriteOptions())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"by": "model", "sentences": 1}, "--sentences is for --by rules"),
        ({"n": 3}, "--n is for --by model"),
        ({"template": Path("t.yaml")}, "--template is for --by model"),
        ({"temperature": 0.0, "n": 1}, "is for --by model"),
        ({"policy": "x"}, "--policy is for --by model"),
        ({"vllm": {"a": "1"}, "engine": "vllm"}, "is for --by model"),
        ({"sentences": 0}, "--sentences 0"),
        ({"min_words": 0}, "--min-words 0"),
        ({"by": "model", "n": 0}, "--n 0"),
    ],
)
def test_options_that_cannot_be(given: dict[str, Any], says: str):
    with pytest.raises(OptionError, match=says):
        RewriteOptions(**given)


@pytest.mark.usefixtures("lenient")
def test_by_model_every_critique_gets_its_own_draft(tmp_path: Path, tiny_model: Path):
    by_model(tmp_path, tiny_model, rows())
    drafts = io.read(str(tmp_path / "out.drafts.jsonl"))
    found = io.read(str(tmp_path / "out.jsonl"))
    assert [row["critique"] for row in found] == CRITIQUES
    for draft, row, before in zip(drafts, found, rows(), strict=True):
        assert row["completion"][0]["content"] == draft["responses"][0]
        for part in (*before["prompt"], *before["completion"]):
            assert part["content"] in draft["prompt"][0]["content"], "braces and all"
    assert by_model(tmp_path, tiny_model, rows()).computed == 0


def test_a_random_model_writes_nothing_that_passes(tmp_path: Path, tiny_model: Path):
    with pytest.raises(UserError, match="nothing is left to write"):
        by_model(tmp_path, tiny_model, rows())


@pytest.mark.usefixtures("lenient")
def test_other_limits_sample_nothing_anew(tmp_path: Path, tiny_model: Path):
    by_model(tmp_path, tiny_model, rows())
    before = (tmp_path / "out.drafts.jsonl.run.json").read_bytes()
    assert by_model(tmp_path, tiny_model, rows(), max_words=9, force=True).computed == 1
    assert (tmp_path / "out.drafts.jsonl.run.json").read_bytes() == before


@pytest.mark.usefixtures("lenient")
def test_prompts_that_the_model_cannot_take_are_left_out_and_counted(
    tmp_path: Path, tiny_model: Path
):
    found = rows()
    found[1]["completion"][0]["content"] = "It says <|im_end|> twice."
    with pytest.raises(InputError, match="row 2"):
        by_model(tmp_path, tiny_model, found)
    report = by_model(tmp_path, tiny_model, found, on_special="skip")
    assert report.record["left_out"] == {rewriting.SKIPPED: 1}
    assert [row["id"] for row in io.read(str(tmp_path / "out.jsonl"))] == [0, 2]


@pytest.mark.usefixtures("lenient")
def test_a_template_of_ones_own(tmp_path: Path, tiny_model: Path):
    path = tmp_path / "t.yaml"
    path.write_text("prompt: 'Say {feedback} to {response}'")
    by_model(tmp_path, tiny_model, rows(), template=path)
    drafts = io.read(str(tmp_path / "out.drafts.jsonl"))
    assert drafts[0]["prompt"][0]["content"] == f"Say {CRITIQUES[0]} to Yes {{}} 0."
    path.write_text("prompt: 'Now {feedback}'")
    with pytest.raises(OutputError, match="made otherwise"):
        by_model(tmp_path, tiny_model, rows(), template=path)


def drafts_of(*texts: str, cut: int = 0) -> dict[str, Any]:
    reasons = ["length"] * cut + ["stop"] * (len(texts) - cut)
    return {"responses": list(texts), "finish_reasons": reasons}


def test_the_first_draft_that_passes_is_taken_and_one_that_was_cut_off_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    said = [
        drafts_of("You forgot my budget, and then", '"You forgot my budget."', cut=1),
        drafts_of("The assistant is late.", "When, I ask you?"),
        drafts_of("The assistant is late.", "4/5 for you."),
    ]

    def sampled(*_: Any) -> list[list[str | None]]:
        return [rewriting._drafts(row) for row in said]  # pyright: ignore[reportPrivateUsage]

    monkeypatch.setattr(rewriting, "_sampled", sampled)
    monkeypatch.setattr(rewriting, "_way", lambda _: {})
    report = made(tmp_path, rows(), by="model")
    texts = [row["completion"][0]["content"] for row in io.read(str(tmp_path / "out.jsonl"))]
    assert texts == ["You forgot my budget.", "When, I ask you?"]
    assert report.record["left_out"] == {wording.ABOUT: 1}


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
from flr.feedback import rewriting
rewriting.fault_of = lambda *_, **__: None
rewriting._drafts = lambda row: row["responses"]
options = rewriting.RewriteOptions(
    by="model", policy=sys.argv[3], dtype="fp32", threads=1, max_new_tokens=5
)
rewriting.rewrite_file(sys.argv[1], Path(sys.argv[2]), options)
"""


@pytest.mark.usefixtures("lenient")
def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(tmp_path: Path, tiny_model: Path):
    """kill -9 while blocks are drawn; no finished block is drawn twice."""
    by_model(tmp_path, tiny_model, rows(32 * 6), "undisturbed.jsonl")
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "in.jsonl")]
    command += [str(tmp_path / "killed.jsonl"), str(tiny_model), str(log)]
    for enough in (1, 3):
        process = subprocess.Popen(command)
        while len(log.read_text().splitlines()) < enough and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.wait()
        assert not (tmp_path / "killed.jsonl").exists()
    subprocess.run(command, check=True)
    keys = log.read_text().splitlines()
    assert (tmp_path / "killed.jsonl").read_bytes() == (tmp_path / "undisturbed.jsonl").read_bytes()
    assert len(keys) == len(set(keys)) >= 6 - 2


def test_a_kill_between_output_and_record_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_record", killed)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, rows())
    monkeypatch.undo()
    assert made(tmp_path, rows()).computed == 1


@given(st.text(max_size=20))
def test_quotation_marks_around_a_draft_go_and_nothing_else(text: str):
    bare = rewriting._bare  # pyright: ignore[reportPrivateUsage]
    inner = text.strip().replace('"', "'")
    assert bare(f' "{inner}"\n') in (inner.strip(), bare(inner))
    assert bare("x" + text.strip() + "x") == "x" + text.strip() + "x"

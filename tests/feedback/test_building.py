"""`flr feedback build`: laws of what is kept, held out and balanced; files; ugly inputs."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr import io
from flr.errors import InputError, OptionError, OutputError
from flr.feedback.building import RATIONALE, SHARED, BuildOptions, balanced, build_file, level
from flr.feedback.logs import LogOptions, from_logs
from flr.feedback.rows import FORMS, Feedback
from flr.mined.files import held_out_of
from flr.runs import Report
from flr.types import Conversation
from tests.training.small import put

ROWS: list[dict[str, Any]] = [
    {
        "prompt": f"Tea {at // 2} \U0001f375?",
        "response": f"Response {at}.",
        "feedback": f"That is wrong, number {at}.",
        "score": at % 3,
    }
    for at in range(20)
]


def built(tmp: Path, rows: Any = ROWS, name: str = "out.jsonl", /, **given: Any) -> Report:
    return build_file([put(tmp / "in.jsonl", rows)], tmp / name, BuildOptions(**given))


def test_prompts_are_held_out_whole(tmp_path: Path):
    report = built(tmp_path, held_out=0.3)
    main, others = (io.read(str(tmp_path / name)) for name in ("out.jsonl", "out.held-out.jsonl"))
    asked = [{row["prompt"][1]["content"] for row in rows} for rows in (main, others)]
    assert asked[0].isdisjoint(asked[1])
    assert (len(asked[0]), len(asked[1])) == (7, 3)
    record = report.record
    assert (record["rows"], record["rows_held_out"]) == (len(main), len(others)) == (14, 6)
    assert (record["prompts"], record["prompts_held_out"]) == (7, 3)


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("form", FORMS)
def test_what_was_built_is_an_input_and_forms_change_into_each_other(
    tmp_path: Path, form: Any, suffix: str
):
    """A row holds one turn, so nothing is lost."""
    built(tmp_path, ROWS, f"one{suffix}", form=form)
    other: Any = next(one for one in FORMS if one != form)
    names = [f"one{suffix}", f"two{suffix}", f"three{suffix}"]
    for source, output, into in zip(names, names[1:], (other, form), strict=False):
        build_file([str(tmp_path / source)], tmp_path / output, BuildOptions(form=into))
    first, second, third = (io.read(str(tmp_path / name)) for name in names)
    assert first == third
    assert [row["completion"][0]["content"] for row in first] == [
        row["completion"][0]["content"] for row in second
    ]
    assert {row["form"] for row in second} == {other}


scores = st.sampled_from([0.0, 1.0, 1.4, 2.6, 5.0])


@given(st.lists(scores, max_size=20), st.integers(0, 3))
def test_balance_keeps_as_many_of_each_as_there_are_of_the_rarest(found: list[float], seed: int):
    said = [
        Feedback(Conversation.of("a", "b"), str(at), {"score": score})
        for at, score in enumerate(found)
    ]
    kept = balanced(said, seed)
    counts, before = (Counter(level(one.about) for one in some) for some in (kept, said))
    assert counts == dict.fromkeys(before, min(before.values(), default=0))
    assert kept == [one for one in said if one in kept]
    assert balanced(kept, seed) == kept
    backwards = balanced(said[::-1], seed)
    assert backwards[::-1] == kept, "not by their places"


def test_balance_is_counted_and_needs_scores(tmp_path: Path):
    record = built(tmp_path, balance=True).record
    assert record["scores"] == {"0": 6, "1": 6, "2": 6}
    assert record["left_out"] == {"to balance scores": 2}
    with pytest.raises(OptionError, match="1 of 20 items have none"):
        built(tmp_path, [*ROWS[:-1], {**ROWS[-1], "score": None}], "other.jsonl", balance=True)


def test_rationales_are_taken_where_they_are_asked_for(tmp_path: Path):
    aspects = {"honesty": {"Rating": "4", "Rationale": "It is sure of itself."}}
    completion = {"response": "Three", "critique": "That is wrong.", "annotations": aspects}
    row = {"instruction": "Two?", "completions": [completion]}
    counts = [
        built(tmp_path, [row], f"{asked}.jsonl", rationales=asked).record["rows"]
        for asked in (False, True)
    ]
    assert counts == [1, 2]
    assert io.read(str(tmp_path / "False.jsonl"))[0]["completion"][0]["content"] == "That is wrong."
    again = build_file([str(tmp_path / "True.jsonl")], tmp_path / "o.jsonl", BuildOptions())
    assert (again.record["rows"], again.record["left_out"]) == (2, {})


def test_what_is_not_taken_of_ultrafeedback_is_counted_and_an_aspect_of_others_is_kept(
    tmp_path: Path,
):
    aspects = {"honesty": {"Rating": "4", "Rationale": "It is sure of itself."}}
    completion = {"response": "Three", "critique": "That is wrong.", "annotations": aspects}
    rows = [{"instruction": "Two?", "completions": [completion]}, {**ROWS[0], "aspect": "tone"}]
    record = built(tmp_path, rows).record
    assert (record["rows"], record["left_out"]) == (2, {RATIONALE: 1})


def test_an_input_s_own_columns_do_not_replace_what_is_written(tmp_path: Path):
    talk = [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "Three"}]
    own = {"prompt": "Two?", "form": "essay", "critique": "y", "id": 7}
    built(tmp_path, [{"messages": talk, "feedback": "That is wrong.", **own}], form="user")
    (row,) = io.read(str(tmp_path / "out.jsonl"))
    assert row == {
        "prompt": talk,
        "completion": [{"role": "user", "content": "That is wrong."}],
        "form": "user",
        "id": 7,
        "score": None,
    }


@pytest.mark.parametrize(("score", "read"), [("4", 4), (float("nan"), None), ("good", None)])
def test_scores_of_rows_that_others_have_changed(tmp_path: Path, score: Any, read: float | None):
    built(tmp_path, ROWS[:1])
    (row,) = io.read(str(tmp_path / "out.jsonl"))
    built(tmp_path, [{**row, "score": score}, {**row, "score": 10}], "two.jsonl", form="user")
    assert io.read(str(tmp_path / "two.jsonl"))[0]["score"] == read


def test_scores_are_counted_from_the_lowest(tmp_path: Path):
    rows = [{**row, "score": score} for row, score in zip(ROWS, (10, 2, None, 9), strict=False)]
    counts = built(tmp_path, rows).record["scores"]
    assert list(counts.items()) == [("2", 1), ("9", 1), ("10", 1), ("None", 1)]


def test_what_the_form_leaves_of_two_prompts_is_one_prompt(tmp_path: Path):
    """Role-switched rows have no system message, and no earlier turns."""

    def row(at: int, system: str) -> dict[str, Any]:
        talk = [("system", system), ("user", f"Tea {at}?"), ("assistant", f"Yes, {system}.")]
        messages = [{"role": role, "content": content} for role, content in talk]
        return {"messages": messages, "feedback": f"That is wrong, {at} {system}."}

    rows = [row(at, system) for at in range(9) for system in ("one", "two", "three")]
    both = [built(tmp_path, rows, f"{form}.jsonl", form=form, held_out=0.3) for form in FORMS]
    assert [one.record["prompts"] for one in both] == [18, 6]
    main, others = (
        io.read(str(tmp_path / f"role-switched{end}.jsonl")) for end in ("", ".held-out")
    )
    asked = [{row["prompt"][1]["content"] for row in side} for side in (main, others)]
    assert asked[0].isdisjoint(asked[1])


def parts(output: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return io.read(str(output)), io.read(str(held_out_of(output)))


def test_neither_a_group_nor_a_prompt_is_in_both_files(tmp_path: Path):
    """A log is a group, and `Go on 0.` is the prompt of four; critiques have no group."""
    talks = [
        [f"Tea {at}?", "Yes.", f"Go on {at // 4}.", f"Tea {at}.", "Thanks."] for at in range(16)
    ]
    logs = put(tmp_path / "logs.jsonl", [{"conversation": talk} for talk in talks])
    from_logs([logs], tmp_path / "next.jsonl", LogOptions(new_topics="keep"))
    critiques = [{**row, "response": "Rather no."} for row in ROWS]
    sources = [str(tmp_path / "next.jsonl"), put(tmp_path / "in.jsonl", critiques)]
    held_out: list[set[str]] = []
    for order in (sources, sources[::-1]):
        output = tmp_path / f"{len(held_out)}.jsonl"
        record = build_file(order, output, BuildOptions(held_out=0.3)).record
        main, others = parts(output)
        for of in ("prompt", "group"):
            known, new = ({str(row.get(of)) for row in side} - {"None"} for side in (main, others))
            assert known
            assert new
            assert known.isdisjoint(new)
        held_out.append({json.dumps(row) for row in others})
        left_out = sum(record["left_out"].values())
        assert record["found"] == len(main) + len(others) + left_out
        assert sum(record["scores"].values()) == len(main) + len(others)
    assert held_out[0] == held_out[1], "not by the order of files"


def test_a_prompt_of_nearly_all_logs_does_not_keep_them_from_being_held_out(tmp_path: Path):
    talks = [[f"Tea {at}?", "Yes.", "Go on.", f"Tea {at}.", "Thanks."] for at in range(100)]
    logs = put(tmp_path / "logs.jsonl", [{"conversation": talk} for talk in talks])
    options = LogOptions(new_topics="keep", held_out=0.1)
    record = from_logs([logs], tmp_path / "next.jsonl", options).record
    main, others = parts(tmp_path / "next.jsonl")
    assert (len(main), len(others), record["left_out"]) == (180, 10, {SHARED: 10})
    assert (record["prompts"], record["prompts_held_out"]) == (91, 10)


def test_where_nothing_can_be_held_out_it_says_so(tmp_path: Path):
    with pytest.raises(OptionError, match="nothing can be held out"):
        built(tmp_path, [{**row, "prompt": "Tea?"} for row in ROWS], held_out=0.1)
    assert not (tmp_path / "out.jsonl").exists()


def test_what_was_found_fit_is_not_held_against_limits_again(tmp_path: Path):
    """Thanks are short, and many say the same."""
    talks = [[f"Tea {at}?", f"Response {at}.", "Thanks!"] for at in range(6)]
    logs = put(tmp_path / "logs.jsonl", [{"conversation": talk} for talk in talks])
    from_logs([logs], tmp_path / "next.jsonl", LogOptions())
    twice = [str(tmp_path / "next.jsonl")] * 2
    record = build_file(twice, tmp_path / "out.jsonl", BuildOptions()).record
    assert (record["rows"], record["left_out"]) == (6, {"duplicate": 6})


@pytest.mark.parametrize("name", ["feedback", "critique"])
def test_another_s_column_may_have_the_name_of_ours(tmp_path: Path, name: str):
    row = {"prompt": "Two?", "completion": "Three", name: "That is wrong.", "form": "essay"}
    built(tmp_path, [row])
    (made,) = io.read(str(tmp_path / "out.jsonl"))
    assert (made["form"], made["prompt"][1]["content"]) == ("role-switched", "Two?")


def test_a_misspelt_form_is_told_where_a_row_has_a_critique_too(tmp_path: Path):
    built(tmp_path, ROWS[:1])
    (row,) = io.read(str(tmp_path / "out.jsonl"))
    with pytest.raises(InputError, match="form: expected one of user, role-switched"):
        built(tmp_path, [{**row, "critique": "Wrong.", "form": "role_switched"}], "two.jsonl")


def test_the_same_command_again_does_nothing_and_another_replaces_nothing(tmp_path: Path):
    first = built(tmp_path, held_out=0.3)
    before = (tmp_path / "out.jsonl").read_bytes()
    again = built(tmp_path, held_out=0.3)
    assert (first.computed, again.computed, again.record) == (1, 0, first.record)
    others: list[dict[str, Any]] = [{"form": "user"}, {"seed": 1}]
    for other in others:
        with pytest.raises(OutputError, match="--force"):
            built(tmp_path, held_out=0.3, **other)
    assert (tmp_path / "out.jsonl").read_bytes() == before
    (tmp_path / "out.held-out.jsonl").write_text("torn")
    with pytest.raises(OutputError, match="--force"):
        built(tmp_path, held_out=0.3, seed=1)
    assert built(tmp_path, held_out=0.3).computed == 1, "what was torn is written again"
    assert built(tmp_path, held_out=0.3, form="user", force=True).computed == 1
    assert built(tmp_path, force=True).record["rows_held_out"] == 0
    assert not (tmp_path / "out.held-out.jsonl").exists(), "its rows are in the other file now"
    (tmp_path / "precious.jsonl").write_text("years of work")
    with pytest.raises(OutputError, match="precious"):
        built(tmp_path, ROWS, "precious.jsonl")


def test_bad_rows_are_named_all_at_once(tmp_path: Path):
    rows = [ROWS[0], {"a": 1}, {**ROWS[1], "feedback": 2}]
    with pytest.raises(InputError) as caught:
        built(tmp_path, rows)
    for words in ("row 2", "row 3, feedback", "A row has `prompt` and `response`"):
        assert words in str(caught.value)
    (tmp_path / "in.jsonl").write_text(json.dumps(ROWS[0]) + "\n{")
    with pytest.raises(InputError, match="row 2"):
        build_file([str(tmp_path / "in.jsonl")], tmp_path / "o.jsonl", BuildOptions())
    assert not (tmp_path / "o.jsonl").exists()


def test_where_nothing_is_left_it_says_why(tmp_path: Path):
    with pytest.raises(InputError, match=r"nothing is left \(too short: 1, empty: 1\)"):
        built(tmp_path, [{**ROWS[0], "feedback": ["Good.", "nan"]}])
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(InputError, match="no feedback"):
        build_file([str(tmp_path / "empty.jsonl")], tmp_path / "o.jsonl", BuildOptions())


def test_the_input_is_not_the_output(tmp_path: Path):
    source = put(tmp_path / "in.jsonl", ROWS)
    with pytest.raises(OutputError, match="is the input"):
        build_file([source], tmp_path / "in.jsonl", BuildOptions(force=True))
    source = put(tmp_path / "out.held-out.jsonl", ROWS)
    with pytest.raises(OutputError, match="is the input"):
        build_file([source], tmp_path / "out.jsonl", BuildOptions(force=True, held_out=0.3))


@pytest.mark.parametrize("given", [{"held_out": 1.0}, {"held_out": -0.1}, {"min_words": 0}])
def test_options_that_cannot_be(given: dict[str, Any]):
    with pytest.raises(OptionError):
        BuildOptions(**given)

"""Comparing policies from prompts to result files, with tiny models."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flr import io, sources, verifiable
from flr.comparing import FILES, CompareOptions, compare_policies, named
from flr.comparison import measured
from flr.comparison.asking import Asking, Place, Said
from flr.errors import InputError, OptionError, OutputError
from flr.result_files import RESULTS, ResultsReport
from flr.runs import Store
from tests.tiny_model import save_tiny_model

TURNS = [("user", "Hi"), ("assistant", "Yes?"), ("user", "One, two, three, four?")]
PROMPTS = [
    {"prompt": "Tea?", "id": 7},
    {"prompt": "Why \U0001f375\0?"},
    {"prompt": ""},
    {"prompt": "Tea?"},
    {"prompt": [{"role": role, "content": content} for role, content in TURNS]},
]

TOLD = ("command", "finished", "options", "made_with", "run", "written")
"""What results say of their making, which other ways of making them may change."""


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy of the same vocabulary that writes something else."""
    return save_tiny_model(tmp_path_factory.mktemp("other"), initializer_range=0.2)


def put(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def run(
    tmp: Path,
    policies: Mapping[str, Path],
    rows: list[Any] = PROMPTS,
    output: str = "out",
    warned: list[str] | None = None,
    **given: Any,
) -> ResultsReport:
    """Compares by the first policy's own likelihood of follow-ups."""
    options = {
        "model": str(next(iter(policies.values()))),
        "reward": "flr:short",
        "max_new_tokens": 6,
        "dtype": "fp32",
        "threads": 1,
    }
    return compare_policies(
        {name: str(path) for name, path in policies.items()},
        put(tmp / "prompts.jsonl", rows),
        tmp / output,
        CompareOptions(**{**options, **given}),
        warn=(warned if warned is not None else []).append,
    )


def figures_of(report: ResultsReport) -> dict[str, Any]:
    return {name: value for name, value in report.results.items() if name not in TOLD}


def is_figure(found: Any) -> bool:
    return isinstance(found, dict) and set(found) == {"value", "interval", "count"}


def test_all_files_are_written_in_the_form_that_others_build_on(
    tmp_path: Path, tiny_model: Path, other: Path
):
    report = run(tmp_path, {"A": tiny_model, "B": other}, divergence=True)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {RESULTS, *FILES[:3], "run.sqlite", "policy-1.responses.jsonl"} <= written
    results = json.loads((tmp_path / "out" / RESULTS).read_text("utf-8"))
    assert results == json.loads(json.dumps(report.results))
    assert results["prompts"] == {"source": str(tmp_path / "prompts.jsonl"), "count": 5}
    assert results["reference"] == "A"
    assert results["rewards"] == ["flr:mean:short", "length"]
    assert {"run", "flr", "command", "finished", "options", "made_with"} <= set(results)
    policy = results["policies"]["B"]
    assert policy["source"] == str(other)
    assert policy["responses"] == "policy-2.responses.jsonl"
    assert len(policy["identity"]) == 64
    figures = policy["figures"]
    singles = ("characters", "tokens", "unfinished", "distinct_1", "distinct_2", "divergence")
    assert all(is_figure(figures[name]) for name in (*singles, "distinct_2_across"))
    assert is_figure(figures["reward"]["flr:mean:short"])
    assert is_figure(figures["reward_by_category"]["flr:mean:short"]["relevance"])
    assert figures["verifiable"] is None
    assert results["policies"]["A"]["figures"]["divergence"] is None
    against = results["against"]["B"]
    for key in ("win_rate", "win_rate_similar_length", "difference"):
        assert list(against[key]) == results["rewards"]
        assert is_figure(against[key]["length"])
    for key in ("win_rate_by_category", "difference_by_category"):
        assert is_figure(against[key]["flr:mean:short"]["following"])
    assert is_figure(against["longer"])
    assert is_figure(against["characters_difference"])
    assert against["verifiable_difference"] is None
    assert len(results["examples"]) == 5
    one = results["examples"][0]
    assert set(one["responses"]) == set(one["rewards"]["length"]) == {"A", "B"}


def test_items_hold_what_was_said_and_what_was_made_of_it(
    tmp_path: Path, tiny_model: Path, other: Path
):
    report = run(tmp_path, {"A": tiny_model, "B": other}, n=2, divergence=True)
    rows = io.read(str(tmp_path / "out" / "items.jsonl"))
    sampled = io.read(str(tmp_path / "out" / "policy-2.responses.jsonl"))
    assert sampled[0]["id"] == 7
    for row, drawn in zip(rows, sampled, strict=True):
        assert row["responses"]["B"] == drawn["responses"]
        assert row["finish_reasons"]["B"] == drawn["finish_reasons"]
        assert row["tokens"]["B"] == drawn["response_tokens"]
        assert row["rewards"]["length"]["B"] == [len(text) for text in drawn["responses"]]
        assert len(row["rewards"]["flr:mean:short"]["A"]) == 2
        assert len(row["by_category"]["flr:mean:short"]["relevance"]["B"]) == 2
        assert list(row["divergence"]) == ["B"]
    wins = [
        (theirs < own) + (theirs == own) / 2
        for row in rows
        for theirs, own in zip(*row["rewards"]["flr:mean:short"].values(), strict=True)
    ]
    rate = report.results["against"]["B"]["win_rate"]["flr:mean:short"]
    assert rate["value"] == pytest.approx(sum(wins) / len(wins))
    assert rate["count"] == 10
    moved = [one for row in rows for one in row["divergence"]["B"] if one is not None]
    assert all(one > 0 for one in moved)
    figure = report.results["policies"]["B"]["figures"]["divergence"]
    assert figure["value"] == pytest.approx(sum(moved) / len(moved))


def test_the_same_policy_twice_is_as_good_as_itself(tmp_path: Path, tiny_model: Path, checked: Any):
    report = run(tmp_path, {"A": tiny_model, "B": tiny_model}, divergence=True, verifiable=True)
    against = report.results["against"]["B"]
    even, none = {"value": 0.5, "interval": [0.5, 0.5]}, {"value": 0.0, "interval": [0.0, 0.0]}
    for figure in (*against["win_rate"].values(), against["longer"]):
        assert {**figure, "count": 5} == {**even, "count": 5}
    for by_category in against["win_rate_by_category"].values():
        assert all({**figure, **even} == figure for figure in by_category.values())
    for figure in (*against["difference"].values(), against["characters_difference"]):
        assert {**figure, **none} == figure
    assert {**against["verifiable_difference"], **none} == against["verifiable_difference"]
    moved = report.results["policies"]["B"]["figures"]["divergence"]
    assert {**moved, **none} == moved
    one, two = (report.results["policies"][name]["figures"] for name in ("A", "B"))
    assert {**one, "divergence": moved} == two


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[verifiable.VerifiablePrompt]:
    """A few verifiable prompts in place of two hundred."""
    few = [prompt for at, prompt in enumerate(verifiable.load()) if at % 40 == 0]
    monkeypatch.setattr(verifiable, "load", lambda: few)
    return few


def test_what_a_policy_thinks_is_no_part_of_its_answer(checked: list[verifiable.VerifiablePrompt]):
    thought = {
        (number, 0): Said(f"<think>Hm: {prompt.bad}</think>\n{prompt.good}", 9, True)
        for number, prompt in enumerate(checked, 1)
    }
    assert all(measured.passes(checked, thought))
    inside = {
        place: replace(one, text=one.text[len("<think>") :]) for place, one in thought.items()
    }
    assert all(measured.passes(checked, inside, "<think>"))
    cut = {(number, 0): Said(one.good, 9, False) for number, one in enumerate(checked, 1)}
    assert all(measured.passes(checked, cut))
    assert not any(measured.passes(checked, cut, "<think>"))


def test_a_verifiable_prompt_that_cannot_be_asked_is_not_passed(
    tmp_path: Path, tiny_model: Path, other: Path, checked: Any, monkeypatch: pytest.MonkeyPatch
):
    whole = Asking.of

    def of(rows: Any, source: str, path: Path, options: Any) -> Asking:
        """As if B had no room for the first verifiable prompt."""
        made = whole(rows, source, path, options)
        if "policy-2.verifiable" in path.name:
            made = replace(made, skipped={1: "too long"})
        return made

    monkeypatch.setattr(Asking, "of", of)
    good = Asking.said

    def said(asking: Asking) -> dict[Place, Said]:
        found = good(replace(asking, skipped={}))
        return {place: one for place, one in found.items() if place[0] not in asking.skipped}

    monkeypatch.setattr(Asking, "said", said)
    results = run(tmp_path, {"A": tiny_model, "B": other}, verifiable=True).results
    row = io.read(str(tmp_path / "out" / "verifiable.jsonl"))[0]
    assert row["responses"]["B"] is None
    assert row["finish_reasons"]["B"] is None
    assert row["passes"]["B"] is False
    assert ["B", "verifiable 1", None, "too long"] in json.loads(json.dumps(results["left_out"]))


def test_verifiable_prompts_are_asked_and_checked(
    tmp_path: Path, tiny_model: Path, other: Path, checked: Any, monkeypatch: pytest.MonkeyPatch
):
    good = Asking.said

    def said(asking: Asking) -> dict[Place, Said]:
        """B gives the right answer to the first two."""
        found = good(asking)
        if "policy-2.verifiable" in asking.path.name:
            for number, prompt in enumerate(checked[:2], 1):
                found[number, 0] = Said(prompt.good, 3, False)
        return found

    monkeypatch.setattr(Asking, "said", said)
    report = run(tmp_path, {"A": tiny_model, "B": other}, verifiable=True)
    count = len(checked)
    passed = report.results["policies"]["B"]["figures"]["verifiable"]
    assert passed["pass_rate"]["value"] == pytest.approx(2 / count)
    assert set(passed["by_kind"]) == {prompt.kind for prompt in checked}
    against = report.results["against"]["B"]["verifiable_difference"]
    assert against["value"] == pytest.approx(2 / count)
    rows = io.read(str(tmp_path / "out" / "verifiable.jsonl"))
    assert [row["id"] for row in rows] == [prompt.id for prompt in checked]
    assert [row["passes"]["B"] for row in rows] == [True, True, *[False] * (count - 2)]
    sampled = io.read(str(tmp_path / "out" / "policy-1.verifiable.jsonl"))
    assert [row["id"] for row in sampled] == [prompt.id for prompt in checked]
    record = json.loads(
        (tmp_path / "out" / "policy-1.verifiable.jsonl.run.json").read_text("utf-8")
    )
    assert {row["finish_reasons"]["A"] for row in rows} == {"length"}
    assert passed["unfinished"]["value"] == 1.0
    settings = record["made_with"]["sampling"]
    assert settings["temperature"] == 0
    assert settings["max_new_tokens"] == 96
    assert settings["n"] == 1


def test_a_policy_that_is_added_computes_nothing_anew_for_the_others(
    tmp_path: Path, tiny_model: Path, other: Path
):
    given: dict[str, Any] = {"divergence": True, "force": True}
    alone = run(tmp_path, {"A": tiny_model}, **given)
    assert alone.results["against"] == {}
    own = list((tmp_path / "out").glob("policy-1.responses.jsonl*"))
    before = [path.read_bytes() for path in own]
    both = run(tmp_path, {"A": tiny_model, "B": other}, **given)
    at_once = run(tmp_path, {"A": tiny_model, "B": other}, output="at once", **given)
    assert alone.computed + both.computed == at_once.computed
    assert figures_of(both) == figures_of(at_once)
    assert both.results["policies"]["A"] == alone.results["policies"]["A"]
    assert [path.read_bytes() for path in own] == before
    third = run(tmp_path, {"A": tiny_model, "B": other, "C": tiny_model}, **given)
    assert third.computed == 2  # C's responses are drawn, being A's they have rewards; and moved
    assert third.results["against"]["B"] == both.results["against"]["B"]
    assert third.results["against"]["C"]["win_rate"]["length"]["value"] == 0.5


def test_the_same_command_again_loads_no_model(
    tmp_path: Path, tiny_model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    policies = {"A": tiny_model, "B": other}
    run(tmp_path, policies, divergence=True)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    monkeypatch.setattr("flr.models.load", None)
    again = run(tmp_path, policies, divergence=True)
    assert again.finished_before
    assert again.computed == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "out" / "report.html").unlink()
    assert not run(tmp_path, policies, divergence=True).finished_before
    assert (tmp_path / "out" / "report.html").exists()


def test_other_results_are_not_replaced_unless_forced(
    tmp_path: Path, tiny_model: Path, other: Path
):
    policies = {"A": tiny_model, "B": other}
    run(tmp_path, policies)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(OutputError, match=r"other results .*seed 0, and now 1"):
        run(tmp_path, policies, seed=1)
    with pytest.raises(OutputError, match=r"policies \['A', 'B'\], and now \['A'\]"):
        run(tmp_path, {"A": tiny_model})
    with pytest.raises(OutputError, match="data, models"):
        run(tmp_path, policies, PROMPTS[:2])
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert run(tmp_path, policies, reward="flr:sum:short", force=True).computed == 0


@pytest.mark.parametrize("name", ["policy-1.responses.jsonl", "policy-2.responses.jsonl"])
def test_responses_of_somebody_else_are_not_replaced(
    tmp_path: Path, tiny_model: Path, other: Path, name: str
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(OutputError, match="made otherwise"):
        run(tmp_path, {"A": tiny_model, "B": other})
    assert (tmp_path / "out" / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["items.jsonl", "policy-2.responses.jsonl"])
def test_the_prompts_are_never_an_output(tmp_path: Path, tiny_model: Path, name: str):
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / name
    put(path, PROMPTS)
    options = CompareOptions(model=str(tiny_model), threads=1, force=True, max_new_tokens=2)
    policies = {"A": str(tiny_model), "B": str(tiny_model)}
    with pytest.raises(OutputError, match="is the input"):
        compare_policies(policies, str(path), tmp_path / "out", options)
    assert len(path.read_text("utf-8").splitlines()) == len(PROMPTS)


def test_several_follow_up_models_and_rewards_each_have_their_names(
    tmp_path: Path, tiny_model: Path, other: Path
):
    models = f"{tiny_model}, {other}"
    rewards = "flr:mean:default:relevance+correctness,direct"
    report = run(tmp_path, {"A": tiny_model, "B": other}, model=models, reward=rewards)
    assert report.results["rewards"] == [
        *(f"flr:mean:default:relevance+correctness@{model}" for model in (tiny_model, other)),
        *(f"direct:{how}@{m}" for m in (tiny_model, other) for how in ("mean", "sum")),
        "length",
    ]
    by_category = report.results["against"]["B"]["win_rate_by_category"]
    assert set(by_category[report.results["rewards"][0]]) == {"relevance", "correctness"}
    own, theirs = (
        report.results["policies"]["B"]["figures"]["reward"][f"direct:mean@{model}"]["value"]
        for model in (other, tiny_model)
    )
    assert own > theirs  # a policy finds its own words likelier than another model does


def test_length_alone_needs_no_model(tmp_path: Path, tiny_model: Path, other: Path):
    policies = {"A": tiny_model, "B": other}
    report = run(tmp_path, policies, reward="length", model="no-such-model")
    assert report.results["rewards"] == ["length"]
    assert report.computed == 2  # the responses


def test_two_processes_write_what_one_does(tmp_path: Path, tiny_model: Path, other: Path):
    rows = [{"prompt": f"Tea {at}?"} for at in range(12)]
    policies = {"A": tiny_model, "B": other}
    given: dict[str, Any] = {"divergence": True, "model": str(tiny_model)}
    run(tmp_path, policies, rows, "one", **given)
    run(tmp_path, policies, rows, "two", workers=2, **given)
    one, two = ((tmp_path / name / "items.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two


def test_a_judge_is_asked_about_pairs(tmp_path: Path, tiny_model: Path, other: Path):
    judge = f"judge:{tiny_model}"
    report = run(tmp_path, {"A": tiny_model, "B": other}, reward=judge)
    assert report.results["rewards"] == [judge, "length"]
    assert list(report.results["policies"]["A"]["figures"]["reward"]) == ["length"]
    preferred = report.results["policies"]["B"]["figures"]["reward"][judge]["value"]
    difference = report.results["against"]["B"]["difference"][judge]["value"]
    assert difference == pytest.approx(2 * preferred - 1)
    example = report.results["examples"][0]["rewards"][judge]
    assert list(example) == ["B"]


def test_a_judge_has_nothing_to_say_of_one_policy(tmp_path: Path, tiny_model: Path):
    warned: list[str] = []
    reward = f"judge:{tiny_model},flr:short"
    report = run(tmp_path, {"A": tiny_model}, reward=reward, warned=warned)
    assert report.results["rewards"] == ["flr:mean:short", "length"]
    assert warned == report.results["notes"]
    assert "compares responses, and there is one policy" in warned[0]


def test_without_one_vocabulary_there_is_no_divergence(tmp_path: Path, tiny_model: Path):
    strange = save_tiny_model(tmp_path / "strange", template="mistral")
    warned: list[str] = []
    policies, rows = {"A": tiny_model, "B": strange}, PROMPTS[:1]
    report = run(tmp_path, policies, rows, divergence=True, warned=warned)
    assert "B has no divergence" in warned[0]
    assert "not one vocabulary" in warned[0]
    assert report.results["notes"] == warned
    assert report.results["policies"]["B"]["figures"]["divergence"] is None


def test_prompts_that_a_policy_cannot_take_are_named_before_any_is_loaded(
    tmp_path: Path, tiny_model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = [*PROMPTS[:2], {"prompt": "<|im_end|>"}]
    with monkeypatch.context() as patch:
        patch.setattr("flr.models.load", None)
        with pytest.raises(InputError) as caught:
            run(tmp_path, {"A": tiny_model, "B": other}, rows)
        assert [problem.row for problem in caught.value.problems] == [3]
    report = run(tmp_path, {"A": tiny_model, "B": other}, rows, on_special="skip")
    assert [one[:3] for one in report.results["left_out"]] == [["A", 3, None], ["B", 3, None]]
    assert report.results["policies"]["A"]["figures"]["characters"]["count"] == 2
    assert report.results["prompts"]["count"] == 3


def test_a_prompt_that_only_one_policy_takes_is_no_pair(tmp_path: Path, tiny_model: Path):
    small = save_tiny_model(tmp_path / "small", max_position_embeddings=300)
    rows = [{"prompt": "so " * 400}, {"prompt": "Tea?"}]
    policies = {"A": tiny_model, "B": small}
    report = run(tmp_path, policies, rows, on_overflow="skip", model=str(tiny_model))
    assert [one[:3] for one in report.results["left_out"]] == [["B", 1, None]]
    counts = [one["figures"]["characters"]["count"] for one in report.results["policies"].values()]
    assert counts == [2, 1]
    assert report.results["against"]["B"]["longer"]["count"] == 1
    first, second = io.read(str(tmp_path / "out" / "items.jsonl"))
    assert list(first["responses"]) == ["A"]
    assert list(second["responses"]) == ["A", "B"]
    assert [one["number"] for one in report.results["examples"]] == [2]


def test_what_has_no_reward_is_left_out_of_all_of_them_and_counted(
    tmp_path: Path, tiny_model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    good = Asking.said

    def said(asking: Asking) -> dict[Place, Said]:
        found = good(asking)
        if "policy-2" in asking.path.name:
            found[2, 0] = Said("sly <|im_end|> words", 3, True)
        return found

    monkeypatch.setattr(Asking, "said", said)
    report = run(tmp_path, {"A": tiny_model, "B": other}, divergence=True)
    ((name, row, response, reason),) = report.results["left_out"]
    assert (name, row, response) == ("B", 2, 0)
    assert "<|im_end|>" in reason
    assert report.results["policies"]["B"]["figures"]["characters"]["count"] == 5
    assert report.results["policies"]["B"]["figures"]["reward"]["length"]["count"] == 4
    assert report.results["against"]["B"]["win_rate"]["length"]["count"] == 4
    rows = io.read(str(tmp_path / "out" / "items.jsonl"))
    assert rows[1]["rewards"]["flr:mean:short"]["B"] == [None]
    assert 2 not in [one["number"] for one in report.results["examples"]]
    assert "1 response left out" in (tmp_path / "out" / "results.md").read_text("utf-8")


def test_alpaca_eval_gets_what_it_can_hold_even_afterwards(
    tmp_path: Path, tiny_model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    policies = {"A": tiny_model, "B": other}
    run(tmp_path, policies)
    monkeypatch.setattr("flr.models.load", None)
    warned: list[str] = []
    again = run(tmp_path, policies, export="alpaca-eval", warned=warned)
    assert again.finished_before
    rows = json.loads((tmp_path / "out" / "policy-2.alpaca-eval.json").read_text("utf-8"))
    sampled = io.read(str(tmp_path / "out" / "policy-2.responses.jsonl"))
    assert rows == [
        {
            "instruction": row["prompt"],
            "output": row["responses"][0],
            "generator": "B",
            "dataset": "prompts",
        }
        for row in sampled[:3]
    ]
    assert len(warned) == 2
    assert "cannot hold 2 of 5 prompts" in warned[1]


def test_equal_names_are_told_apart():
    assert named(["a", "a", "b", "a", "a (2)"]) == {
        "a": "a",
        "a (2)": "a",
        "b": "b",
        "a (3)": "a",
        "a (2) (2)": "a (2)",
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": "a,b", "revision": "main"}, "--revision is for one follow-up model"),
        ({"model": "a,b", "chat_template": Path("x")}, "--chat-template is for one"),
        ({"temperature": -1.0}, "--temperature -1.0"),
        ({"n": 2, "temperature": 0.0}, "take -n 1"),
        ({"seed": -1}, "--seed -1"),
        ({"workers": 0}, "--workers 0"),
        ({"engine": "vllm", "workers": 2}, "leave out --workers"),
        ({"vllm": {"x": "1"}}, "is for .*--engine vllm"),
    ],
)
def test_options_that_cannot_be_are_refused(given: dict[str, Any], says: str):
    with pytest.raises(OptionError, match=says):
        CompareOptions(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reward": "lenght"}, "Did you mean 'length'"),
        ({"reward": "flr:no-such-set"}, "no-such-set"),
        ({"model": "no-such-model"}, "no model 'no-such-model'"),
        ({"model": " ,"}, "no model ''"),
        ({"limit": 0}, "--limit"),
    ],
)
def test_what_cannot_be_found_is_said_before_anything_is_sampled(
    tmp_path: Path, tiny_model: Path, given: dict[str, Any], says: str
):
    with pytest.raises(ValueError, match=says):
        run(tmp_path, {"A": tiny_model, "B": tiny_model}, **given)
    assert not list(tmp_path.glob("out/*"))


def test_a_revision_is_the_first_policys_alone(
    tmp_path: Path, tiny_model: Path, other: Path, monkeypatch: pytest.MonkeyPatch
):
    revisions = {None: tiny_model, "old": other}
    monkeypatch.setattr(sources, "_download", lambda _, revision: revisions[revision])
    policies = {"A": Path("some/policy"), "B": Path("some/policy")}
    given: dict[str, Any] = {"model": str(tiny_model), "divergence": True}
    results = run(tmp_path, policies, **given, policy_revision="old").results
    assert [one["identity"] for one in results["policies"].values()] == [
        revisions["old"].name,
        revisions[None].name,
    ]
    assert results["made_with"]["divergence"]["B"]["reference"] == revisions["old"].name
    assert results["policies"]["B"]["figures"]["divergence"]["value"] > 0


def test_no_policy_is_no_comparison(tmp_path: Path):
    with pytest.raises(OptionError, match="no policy"):
        compare_policies({}, put(tmp_path / "p.jsonl", PROMPTS), tmp_path / "o", CompareOptions())


def _killed_after(puts: int) -> Callable[..., None]:
    real, left = Store.put, [puts]

    def put(store: Store, key: str, results: Any) -> None:
        real(store, key, results)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return put


def test_a_run_that_stops_after_any_block_goes_on_and_ends_with_the_same_files(
    tmp_path: Path, tiny_model: Path, other: Path, checked: Any, monkeypatch: pytest.MonkeyPatch
):
    policies = {"A": tiny_model, "B": other}
    given: dict[str, Any] = {"divergence": True, "verifiable": True}
    whole = run(tmp_path, policies, output="undisturbed", **given)
    stops = 0
    while True:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "put", _killed_after(1))
            try:
                last = run(tmp_path, policies, **given)
                break
            except KeyboardInterrupt:
                stops += 1
                assert not (tmp_path / "out" / RESULTS).exists()
    assert stops == whole.computed == 12  # drawn, checked, rewards, the floor's five, divergence
    assert last.computed == 0
    assert figures_of(last) == figures_of(whole)
    for name in ("items.jsonl", "verifiable.jsonl", "policy-2.responses.jsonl"):
        made = (tmp_path / "out" / name).read_bytes()
        assert made == (tmp_path / "undisturbed" / name).read_bytes()


KILLED = """
import sys
from pathlib import Path
from flr import runs
real = runs.Store.put
def put(store, key, results):
    real(store, key, results)
    with open(sys.argv[5], "a") as log:
        log.write(key + "\\n")
runs.Store.put = put
from flr.comparing import CompareOptions, compare_policies
options = CompareOptions(
    model=sys.argv[3], reward="flr:short", dtype="fp32", threads=1, n=2, max_new_tokens=6
)
compare_policies({"A": sys.argv[3], "B": sys.argv[4]}, sys.argv[1], Path(sys.argv[2]), options)
"""


def test_kill_9_loses_no_finished_block(tmp_path: Path, tiny_model: Path, other: Path):
    rows = [{"prompt": f"Tea {at}?"} for at in range(12)]
    given: dict[str, Any] = {"model": str(tiny_model), "n": 2}
    whole = run(tmp_path, {"A": tiny_model, "B": other}, rows, "undisturbed", **given)
    log = tmp_path / "log"
    log.touch()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "prompts.jsonl"), str(tmp_path / "out")]
    command += [str(tiny_model), str(other), str(log)]
    process = subprocess.Popen(command)
    while len(log.read_text().splitlines()) < 4 and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (tmp_path / "out" / RESULTS).exists()
    subprocess.run(command, check=True)
    keys = log.read_text().splitlines()
    assert len(keys) == len(set(keys))
    assert whole.computed - 1 <= len(keys) <= whole.computed
    for name in ("items.jsonl", "policy-1.responses.jsonl"):
        made = (tmp_path / "out" / name).read_bytes()
        assert made == (tmp_path / "undisturbed" / name).read_bytes()


def test_nothing_of_earlier_results_stays_beside_new_ones(
    tmp_path: Path, tiny_model: Path, other: Path, checked: Any
):
    policies = {"A": tiny_model, "B": other}
    before = run(tmp_path, policies, verifiable=True, export="alpaca-eval").results
    assert before["noise_floor"].keys() == {"flr:mean:short", "length"}
    derived = ("verifiable.jsonl", "policy-2.alpaca-eval.json")
    assert all((tmp_path / "out" / name).exists() for name in derived)
    run(tmp_path, {"A": tiny_model}, force=True)
    assert not any((tmp_path / "out" / name).exists() for name in derived)
    assert (tmp_path / "out" / "policy-2.responses.jsonl").exists(), "what was sampled is kept"


def test_a_file_of_somebody_else_is_not_removed(tmp_path: Path, tiny_model: Path):
    (tmp_path / "out").mkdir()
    for name in ("verifiable.jsonl", "policy-1.alpaca-eval.json"):
        (tmp_path / "out" / name).write_text("mine")
    run(tmp_path, {"A": tiny_model})
    for name in ("verifiable.jsonl", "policy-1.alpaca-eval.json"):
        assert (tmp_path / "out" / name).read_text() == "mine"

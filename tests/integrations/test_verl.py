"""compute_score and its batch form as verl 0.9.1 calls them.

Where the callers stand, below verl/ of that release: trainer/ppo/reward.py, `get_custom_reward_fn`
(loads by `pkg://` or a path, adds `reward_kwargs`); naive.py of experimental/reward_loop/
reward_manager, `NaiveRewardManager.run_single` (one response a call, in threads of an executor),
and remote.py beside it (the same in processes); utils/import_utils.py, `load_module`;
workers/reward_manager/batch.py, `BatchRewardManager.verify` (all at once). `Manager` and
`batch_manager` below do the same with plain data in place of verl's `DataProto`.
"""

import asyncio
import importlib
import importlib.util
import inspect
import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from flr.errors import OptionError
from flr.integrations import verl
from tests.integrations.small import LONG, TEA, Spy, at_once, chatml, expected
from tests.tiny_model import save_tiny_model

OPTIONS: dict[str, Any] = {"set": "short", "dtype": "fp32"}
PATH = "pkg://flr.integrations.verl"


def custom_reward_fn(path: str, name: str, reward_kwargs: dict[str, Any]) -> Any:
    """The function that verl's configuration names."""
    if path.startswith("pkg://"):
        module = importlib.import_module(path.removeprefix("pkg://").replace("/", "."))
    else:
        spec = importlib.util.spec_from_file_location(f"custom_module_{hash(path)}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    function = getattr(module, name)
    assert not inspect.iscoroutinefunction(function)

    def call_with_kwargs(raw: Any, extra: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        return raw(*args, **{**kwargs, **extra})

    return partial(call_with_kwargs, function, reward_kwargs)


class Manager:
    """Scores rows one by one, all of them at the same time."""

    def __init__(self, policy: Path, compute_score: Any, **extra: Any) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(policy)
        self.compute_score, self.extra = compute_score, extra

    async def run_single(self, row: dict[str, Any]) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        extra_info = dict(row.get("extra_info", {}))
        extra_info.update(row.get("tool_extra_fields", {}))
        extra_info["num_turns"] = row.get("__num_turns__")
        extra_info["rollout_reward_scores"] = {}
        ids = self.tokenizer(row["response"], add_special_tokens=False)["input_ids"]
        text = await loop.run_in_executor(
            None, lambda: self.tokenizer.decode(ids, skip_special_tokens=True)
        )
        result = await loop.run_in_executor(
            None,
            lambda: self.compute_score(
                data_source=row["data_source"],
                solution_str=text,
                ground_truth=row["reward_model"]["ground_truth"],
                extra_info=extra_info,
                **self.extra,
            ),
        )
        info = dict(result) if isinstance(result, dict) else {"acc": result}
        return {"reward_score": result["score"], "reward_extra_info": info}

    def run(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        async def together() -> list[dict[str, Any]]:
            return await asyncio.gather(*map(self.run_single, rows))

        found = asyncio.run(together())
        # as verl's `_postprocess` collects them: the keys of the first row, of every row
        keys = list(found[0]["reward_extra_info"])
        for key in keys:
            column = np.array([one["reward_extra_info"][key] for one in found])
            assert column.dtype == np.float64
            assert all(map(math.isfinite, column.tolist()))
        return found


def batch_manager(rows: list[dict[str, Any]], compute_score: Any) -> list[Any]:
    extras = np.array([row.get("extra_info", {}) for row in rows])
    for extra in extras:
        extra["rollout_reward_scores"] = {}
    return compute_score(
        data_sources=np.array([row["data_source"] for row in rows], dtype=object),
        solution_strs=[row["response"] for row in rows],
        ground_truths=[row["reward_model"]["ground_truth"] for row in rows],
        extra_infos=extras,
    )


def row(prompt: Any, response: str, **more: Any) -> dict[str, Any]:
    return {
        "data_source": "tea",
        "response": response,
        "reward_model": {"ground_truth": "", "style": "model"},
        "extra_info": {"index": 0, "prompt": prompt},
        **more,
    }


def scores(found: list[dict[str, Any]]) -> list[float]:
    return [one["reward_score"] for one in found]


def test_many_at_a_time_in_mixed_order_have_the_rewards_of_flr_score(
    follower: Path, policy: Path, spy: Spy
):
    function = custom_reward_fn(PATH, "compute_score", {"model": str(follower), **OPTIONS})
    rows = [
        row(prompt, f"{name} {at}.<|im_end|><|pad|><|pad|>", __num_turns__=np.int32(2))
        for at in range(8)
        for prompt, name in ((TEA, "Tea"), (LONG, "Cup"))
    ]
    manager = Manager(policy, function)
    manager.run(rows[:1])
    spy.calls.clear()
    found = at_once(lambda: manager.run(rows), 5)
    assert len(spy.calls) <= len(rows) - 4  # five of them were served together
    assert "<|im" not in spy.text
    assert "<|pad" not in spy.text
    wanted = [
        {"prompt": one["extra_info"]["prompt"], "response": one["response"].split("<")[0]}
        for one in rows
    ]
    assert scores(found) == expected(follower, wanted)
    for one in found:
        info = one["reward_extra_info"]
        categories = [info[name] for name in info if name not in ("score", "flr_skipped")]
        assert len(categories) == 6
        assert sum(categories) / 6 == pytest.approx(info["score"], abs=1e-5)
        assert info["flr_skipped"] == 0


def test_the_batch_form_is_the_same(follower: Path):
    rows = [row(TEA, "Green."), row(LONG, "Here."), row(TEA, "\U0001f375"), row(TEA, "")]
    kwargs = {"model": str(follower), **OPTIONS}
    found = batch_manager(rows, custom_reward_fn(PATH, "compute_score_batch", kwargs))
    assert [one["score"] for one in found] == expected(
        follower, [{"prompt": r["extra_info"]["prompt"], "response": r["response"]} for r in rows]
    )
    single = custom_reward_fn(PATH, "compute_score", kwargs)
    for one, whole in zip(rows, found, strict=True):
        alone = single(one["data_source"], one["response"], "", one["extra_info"])
        assert alone == pytest.approx(whole, abs=1e-5)
    assert batch_manager([], custom_reward_fn(PATH, "compute_score_batch", kwargs)) == []


@pytest.mark.parametrize(
    "extra_info",
    [
        {"raw_prompt": np.array(TEA, dtype=object)},
        {"raw_prompt": TEA, "prompt": "another"},
        {"messages": tuple(TEA)},
        {"prompt": "Tea?"},
        {"prompt": TEA, "raw_prompt": None},
    ],
)
def test_where_a_prompt_may_lie(follower: Path, extra_info: dict[str, Any]):
    found = verl.compute_score("tea", "Green.", None, extra_info, model=str(follower), **OPTIONS)
    assert [found["score"]] == expected(follower, [{"prompt": "Tea?", "response": "Green."}])


def test_a_prompt_from_the_agent_loop(follower: Path, policy: Path):
    function = custom_reward_fn(PATH, "compute_score", {"model": str(follower), **OPTIONS})
    given = row(None, "Green.", tool_extra_fields={"raw_prompt": np.array(TEA, dtype=object)})
    found = Manager(policy, function).run([given])
    assert scores(found) == expected(follower, [{"prompt": "Tea?", "response": "Green."}])


def test_a_prompt_that_is_text_of_the_policys_template(follower: Path, policy: Path, spy: Spy):
    kwargs = {"model": str(follower), "policy": str(policy), **OPTIONS}
    found = verl.compute_score("tea", "Green.", None, {"prompt": chatml(LONG)}, **kwargs)
    assert "<|im" not in spy.text
    assert [found["score"]] == expected(follower, [{"prompt": LONG, "response": "Green."}])


def test_thoughts_do_not_reach_the_reward(follower: Path, spy: Spy):
    kwargs = {"model": str(follower), **OPTIONS}
    text = "<think>secret</think>\n\nGreen."
    found = verl.compute_score("tea", text, None, {"prompt": TEA}, **kwargs)
    assert "secret" not in spy.text
    assert [found["score"]] == expected(follower, [{"prompt": "Tea?", "response": "Green."}])
    verl.compute_score("tea", text, None, {"prompt": TEA}, strip_thinking=False, **kwargs)
    assert "secret" in spy.text


@pytest.mark.parametrize("extra_info", [None, {}, {"index": 3, "split": "train"}])
def test_a_prompt_that_is_missing_is_said_and_how_to_add_it(follower: Path, extra_info: Any):
    there = "index, split" if extra_info else "nothing"
    with pytest.raises(OptionError, match=rf"extra_info holds {there}; one of raw_prompt") as error:
        verl.compute_score("tea", "Green.", None, extra_info, model=str(follower), **OPTIONS)
    assert '"prompt": row["prompt"]' in str(error.value)


def test_what_cannot_be_scored_has_the_lowest_score_and_is_said_once(follower: Path, policy: Path):
    function = custom_reward_fn(PATH, "compute_score", {"model": str(follower), **OPTIONS})
    good = [row(TEA, text) for text in ("Green.", "No", "Cup " * 9)]
    bad = [
        row("<|head|>", "No"),
        row(TEA, "word " * 3000),
        row(TEA, "It calls a tool. tool 4", __num_turns__=np.int32(4)),
    ]
    lowest = min(scores(Manager(policy, function).run(good)))
    with pytest.warns(UserWarning, match="could not be scored") as said:
        found = Manager(policy, function).run(bad)
    assert len(said) == 1
    assert scores(found) == [lowest] * 3
    assert [one["reward_extra_info"]["flr_skipped"] for one in found] == [1.0] * 3
    mixed = Manager(policy, function).run([bad[2], good[0]])
    assert [one["reward_extra_info"]["flr_skipped"] for one in mixed] == [1.0, 0.0]


def test_a_conversation_that_is_refused_takes_no_others_reward_with_it(
    tmp_path: Path, policy: Path
):
    follower = save_tiny_model(tmp_path, template="gemma")
    function = custom_reward_fn(PATH, "compute_score", {"model": str(follower), **OPTIONS})
    rows = [row(TEA, "Green."), row(LONG, "Here."), row(TEA, "No")]
    manager = Manager(policy, function)
    manager.run(rows[:1])
    with pytest.warns(UserWarning, match="1 of 1 .* a system turn is not supported"):
        found = at_once(lambda: manager.run(rows), 3)
    assert [one["reward_extra_info"]["flr_skipped"] for one in found] == [0.0, 1.0, 0.0]
    wanted = [{"prompt": "Tea?", "response": text} for text in ("Green.", "No")]
    assert scores(found[::2]) == expected(follower, wanted)


def test_options_of_the_call_override_the_environment(
    follower: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FLR_MODEL", str(follower))
    monkeypatch.setenv("FLR_SET", "default")
    function = custom_reward_fn(PATH, "compute_score", OPTIONS)
    rows = [row(TEA, "Green."), row(TEA, "No")]
    beside = {"reward_router_address": "127.0.0.1:1", "reward_model_tokenizer": object()}
    found = Manager(policy, function, **beside).run(rows)
    wanted = [{"prompt": "Tea?", "response": text} for text in ("Green.", "No")]
    assert scores(found) == expected(follower, wanted)
    with pytest.raises(OptionError, match=r"sett: no such option; .* Did you mean 'set'"):
        custom_reward_fn(PATH, "compute_score", {"sett": "short"})("tea", "No", "", {"prompt": TEA})


def test_it_loads_from_its_file_as_well(follower: Path):
    kwargs = {"model": str(follower), **OPTIONS}
    by_path = custom_reward_fn(verl.__file__, "compute_score", kwargs)
    by_name = custom_reward_fn(PATH, "compute_score", kwargs)
    given = ("tea", "Green.", None, {"prompt": TEA})
    assert by_path(*given) == by_name(*given)

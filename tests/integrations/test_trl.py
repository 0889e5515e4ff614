"""FLRReward and flr_reward as TRL 1.16.0 calls them.

Where the callers stand: trl/trainer/grpo_trainer.py and trl/trainer/rloo_trainer.py,
`_calculate_rewards` (prompts, completions, completion_ids, the dataset's columns, trainer_state,
log_extra, log_metric); trl/experimental/online_dpo/online_dpo_trainer.py,
`_calculate_rewards_from_functions` (the same without log_extra and log_metric; None counts as 0).
The trainers themselves run at the end, on tiny models.
"""

import json
import pickle
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer

import flr
from flr import io
from flr.errors import InputError, OptionError, RenderError
from flr.integrations import shared
from flr.integrations.trl import FLRReward, flr_reward
from tests.integrations.small import LONG, TEA, Spy, chatml, expected, save_policy

OPTIONS: dict[str, Any] = {"set": "short", "dtype": "fp32"}
TWO = """
name: two
language: en
licence: CC0-1.0
source: "a test"
categories: {one: {positive: ["Thank you!"], negative: ["What?"]}}
"""


def assistant(text: str, **more: Any) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": text, **more}]


class Trainer:
    """Calls a reward function as GRPO and RLOO do, and keeps what it logs."""

    def __init__(self) -> None:
        self.metrics: dict[str, list[float]] = {}

    def log_metric(self, name: str, value: float) -> None:
        self.metrics.setdefault(name, []).append(value)

    def rewards(self, function: Any, prompts: list[Any], completions: list[Any]) -> list[Any]:
        found = function(
            prompts=prompts,
            completions=completions,
            completion_ids=[[1, 2]] * len(prompts),
            answer=["a column"] * len(prompts),
            trainer_state=object(),
            log_extra=lambda column, values: None,
            log_metric=self.log_metric,
        )
        assert isinstance(found, list)
        assert len(found) == len(prompts)
        torch.tensor([torch.nan if one is None else one for one in found], dtype=torch.float32)
        return found


def online_dpo(function: Any, prompts: list[Any], completions: list[Any]) -> list[Any]:
    return function(
        prompts=prompts,
        completions=completions,
        completion_ids=[[1, 2]] * len(prompts),
        trainer_state=object(),
    )


def test_texts_and_messages_have_the_rewards_of_flr_score(follower: Path):
    reward = FLRReward(model=str(follower), **OPTIONS)
    texts = ["Green.", "", " \U0001f375\n", "NUL \x00 x" * 50]
    wanted = expected(follower, [{"prompt": "Tea?", "response": text} for text in texts])
    assert Trainer().rewards(reward, ["Tea?"] * 4, texts) == wanted
    assert Trainer().rewards(reward, [TEA] * 4, [assistant(text) for text in texts]) == wanted
    wanted = expected(follower, [{"prompt": LONG, "response": text} for text in texts])
    assert Trainer().rewards(reward, [LONG] * 4, [assistant(text) for text in texts]) == wanted
    assert Trainer().rewards(reward, ["Tea?"], ["Green."]) == expected(
        follower, [{"prompt": "Tea?", "response": "Green."}]
    )
    assert Trainer().rewards(reward, [], []) == []


def test_groups_in_mixed_order_share_their_prompts(tmp_path: Path, follower: Path, spy: Spy):
    (tmp_path / "two.yaml").write_text(TWO, "utf-8")
    options = {**OPTIONS, "set": str(tmp_path / "two.yaml")}
    prompts = ["Tea?", "Coffee, black or white?"] * 40
    completions = [f"Cup {at}." for at in range(80)]
    found = Trainer().rewards(FLRReward(model=str(follower), **options), prompts, completions)
    seen = [call for call in spy.calls if any("Cup" in text for text in call)]
    spy.calls.clear()
    rows = [
        {"prompt": prompt, "response": text}
        for prompt, text in zip(prompts, completions, strict=True)
    ]
    assert found == expected(follower, rows, **options)
    assert len(seen) == 2  # of at most 64 conversations
    order = ["Tea?" in text for call in seen for text in call]
    assert order == sorted(order, reverse=True)  # one prompt after the other


def test_every_metric_is_logged_once_a_call(follower: Path):
    trainer, reward = Trainer(), FLRReward(model=str(follower), **OPTIONS)
    first, second = Trainer().rewards(reward, ["Tea?"] * 2, ["Green.", "No"])
    trainer.rewards(reward, ["Tea?"] * 2, ["Green.", "No"])
    categories = flr.load(model=str(follower), **OPTIONS).followup_set.categories
    assert set(trainer.metrics) == {"flr/skipped", *(f"flr/{name}" for name in categories)}
    assert all(len(values) == 1 for values in trainer.metrics.values())
    assert trainer.metrics["flr/skipped"] == [0.0]
    means = [trainer.metrics[f"flr/{name}"][0] for name in categories]
    assert sum(means) / len(means) == pytest.approx((first + second) / 2, abs=1e-5)


def test_two_rewards_with_names_of_their_own_log_metrics_of_their_own(follower: Path):
    trainer = Trainer()
    each = [FLRReward(model=str(follower), **OPTIONS), FLRReward(model=str(follower), set="short")]
    each[1].__name__ = "second"
    for reward in each:
        trainer.rewards(reward, ["Tea?"] * 2, ["Green.", "No"])
    assert all(len(values) == 1 for values in trainer.metrics.values())
    names = [name.removeprefix("flr/") for name in trainer.metrics if name.startswith("flr/")]
    assert set(trainer.metrics) == {f"{by}/{name}" for by in ("flr", "second") for name in names}
    assert len(names) == 7


def test_thoughts_do_not_reach_the_reward_unless_asked_for(follower: Path, spy: Spy):
    reward = FLRReward(model=str(follower), **OPTIONS)
    completions = [
        assistant("<think>secret</think>Green."),
        assistant("secret</think>Green."),
        assistant("Green.", reasoning_content="secret"),
        assistant("Green."),
        assistant("<think>secret"),
        assistant(""),
    ]
    prompt = [*LONG[:2], *assistant("<think>secret</think>Green or black?"), LONG[3]]
    found = Trainer().rewards(reward, [prompt] * 6, completions)
    assert "secret" not in spy.text
    assert "think" not in spy.text
    assert found[0] == found[1] == found[2] == pytest.approx(found[3], abs=1e-5)
    assert found[4] == pytest.approx(found[5], abs=1e-5)
    kept = FLRReward(model=str(follower), strip_thinking=False, **OPTIONS)
    assert Trainer().rewards(kept, [TEA], completions[:1]) == expected(
        follower,
        [{"prompt": "Tea?", "response": "<think>secret</think>Green."}],
        strip_thinking=False,
    )
    assert "secret" in spy.text


def test_a_prompt_that_is_text_of_the_policys_template_is_read_back(
    follower: Path, policy: Path, spy: Spy
):
    reward = FLRReward(model=str(follower), policy=str(policy), **OPTIONS)
    prompts = [chatml(LONG), chatml(TEA), "Tea?"]
    found = Trainer().rewards(reward, prompts, ["Green.", "Black.<|im_end|><|pad|><|pad|>", "No"])
    assert "<|im" not in spy.text
    assert "<|pad" not in spy.text
    spy.calls.clear()
    assert found == expected(
        follower,
        [
            {"prompt": LONG, "response": "Green."},
            {"prompt": TEA, "response": "Black."},
            {"prompt": TEA, "response": "No"},
        ],
    )


def test_a_think_block_that_the_prompt_opens_is_one_of_the_response(tmp_path: Path, follower: Path):
    opening = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
    policy = save_policy(tmp_path, opening)
    prompt = chatml(TEA, "<|im_start|>assistant\n<think>\n")
    reward = FLRReward(model=str(follower), policy=str(policy), **OPTIONS)
    found = Trainer().rewards(
        reward, [prompt] * 3, ["Hm.</think>\n\nGreen.", "Hm", "Hm.</think>No"]
    )
    rows = [{"prompt": "Tea?", "response": text} for text in ("Green.", "", "No")]
    assert found == expected(follower, rows)


def test_a_think_block_that_the_template_opens_after_messages(
    tmp_path: Path, follower: Path, spy: Spy
):
    opening = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
    policy = save_policy(tmp_path, opening)
    reward = FLRReward(model=str(follower), policy=str(policy), **OPTIONS)
    completions = [
        assistant("secret</think>\n\nGreen."),
        assistant("secret, cut"),
        assistant("No", reasoning_content="secret"),
    ]
    found = Trainer().rewards(reward, [TEA] * 3, completions)
    assert "secret" not in spy.text
    rows = [{"prompt": "Tea?", "response": text} for text in ("Green.", "", "No")]
    assert found == expected(follower, rows)


def test_a_policy_that_does_not_think_as_its_template_says(tmp_path: Path, follower: Path):
    """Thinking turned off by the trainer, of which nothing is seen here but the responses."""
    opening = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
    policy = save_policy(tmp_path, opening)
    reward = FLRReward(model=str(follower), policy=str(policy), **OPTIONS)
    with pytest.warns(UserWarning, match="none of 2 responses ends the think block"):
        Trainer().rewards(reward, [TEA] * 2, [assistant("Green."), assistant("No")])


def test_what_cannot_be_read_back_is_taken_as_one_message_and_said_once(
    follower: Path, policy: Path, spy: Spy
):
    reward = FLRReward(model=str(follower), policy=str(policy), **OPTIONS)
    text = chatml([*TEA, *TEA])
    with pytest.warns(UserWarning, match="2 of 3 prompts are text of the policy's chat template"):
        found = Trainer().rewards(reward, [text, text, "Tea?"], ["Green.", "No", "No"])
    assert Trainer().rewards(reward, [text], ["Green."]) == pytest.approx(found[:1], abs=1e-5)
    assert "<|im" not in spy.text
    flat = "user\nTea?\nuser\nTea?\nassistant"
    assert found[:2] == expected(
        follower, [{"prompt": flat, "response": one} for one in ("Green.", "No")]
    )


def test_text_of_a_template_is_said_once_where_no_policy_is_named(follower: Path, spy: Spy):
    reward = FLRReward(model=str(follower), **OPTIONS)
    prompts = [chatml(TEA), "Tea?", "[INST] Tea? [/INST]", "<start_of_turn>user\nTea?"]
    with pytest.warns(UserWarning, match="3 of 4 prompts .* name the option policy") as said:
        Trainer().rewards(reward, prompts, ["Green."] * 4)
    assert len(said) == 1
    Trainer().rewards(reward, prompts, ["Green."] * 4)  # a warning would be an error
    assert "<|im_start|>" in spy.text  # as it was given


def test_what_the_model_cannot_take_has_no_reward_and_is_said_once(follower: Path):
    trainer, reward = Trainer(), FLRReward(model=str(follower), **OPTIONS)
    prompts = ["Tea?", "<|head|>", "Tea?", [*TEA], "Tea?"]
    tool = [*assistant("", tool_calls=[{"function": {"name": "kettle"}}])]
    completions = [
        "Green.",
        "No",
        "<|turn_end|>",
        [*tool, {"role": "tool", "content": "hot"}],
        "word " * 3000,
    ]
    with pytest.warns(UserWarning, match="4 of 5 responses could not be scored") as said:
        found = trainer.rewards(reward, prompts, completions)
    assert len(said) == 1
    assert "special token '<|head|>'" in str(said[0].message) or "a tool" in str(said[0].message)
    assert found[1:] == [None] * 4
    assert found[0] == pytest.approx(Trainer().rewards(reward, ["Tea?"], ["Green."])[0], abs=1e-5)
    assert trainer.metrics["flr/skipped"] == [pytest.approx(0.8)]
    again = Trainer()
    assert again.rewards(reward, ["<|head|>"], ["No"]) == [None]
    assert again.metrics == {"flr/skipped": [1.0]}


def test_a_caller_that_takes_no_none_gets_the_lowest_reward_so_far(follower: Path):
    reward = FLRReward(model=str(follower), **OPTIONS)
    with pytest.warns(UserWarning, match="1 of 1 responses"):
        assert online_dpo(reward, ["<|head|>"], ["No"]) == [0.0]
    first = online_dpo(reward, ["Tea?", "<|head|>", "Tea?"], ["Green.", "No", "No"])
    assert first[1] == min(first[0], first[2])
    second = online_dpo(reward, ["Tea?"] * 6, [f"{'cup ' * at}" for at in range(6)])
    assert online_dpo(reward, ["<|head|>"], ["No"]) == [min(first + second)]


def test_what_is_asked_to_be_an_error_is_one(follower: Path):
    reward = FLRReward(model=str(follower), on_special="error", on_overflow="error", **OPTIONS)
    with pytest.raises(RenderError, match="special token"):
        Trainer().rewards(reward, ["<|head|>"], ["No"])
    with pytest.raises(RenderError, match="tokens, the model takes 2048"):
        Trainer().rewards(reward, ["Tea?"], ["word " * 3000])


@pytest.mark.parametrize(
    ("prompt", "completion", "words"),
    [
        (5, "No", r"row 2, messages\[0\]: expected a message"),
        (TEA, [{"role": "assistant", "content": [{"type": "image"}]}], "only text parts can"),
        (TEA, [*TEA], "the last of its 2 messages must be the assistant's"),
        ([{"role": "system", "content": "Be brief."}], "No", "no user message"),
        ([{"role": "human", "content": "Tea?"}], "No", "Use 'user'"),
        ("half a \ud800 pair", "No", "half of a surrogate pair"),
    ],
)
def test_what_is_no_conversation_is_named(follower: Path, prompt: Any, completion: Any, words: str):
    reward = FLRReward(model=str(follower), **OPTIONS)
    with pytest.raises(InputError, match=words):
        Trainer().rewards(reward, [TEA, prompt], [assistant("No"), completion])


def test_it_is_loaded_at_the_first_call_and_once(follower: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []
    plain = shared.make_scorer
    monkeypatch.setattr(
        shared, "make_scorer", lambda *given, **more: made.append(1) or plain(*given, **more)
    )
    reward, same = (FLRReward(model=str(follower), **OPTIONS) for _ in range(2))
    other = FLRReward(model=str(follower), **{**OPTIONS, "reward": "sum"})
    assert made == []
    for one in (reward, same, pickle.loads(pickle.dumps(reward))):
        online_dpo(one, ["Tea?"], ["Green."])
    assert made == [1]
    online_dpo(other, ["Tea?"], ["Green."])
    assert made == [1, 1]


def test_names_and_wrong_options(follower: Path, monkeypatch: pytest.MonkeyPatch):
    name_of = import_module("trl.trainer.utils").get_callable_name
    reward = FLRReward(set="short")
    assert name_of(reward) == name_of(flr_reward) == "flr_reward"
    reward.__name__ = "short"
    assert name_of(pickle.loads(pickle.dumps(reward))) == "short"
    with pytest.raises(OptionError, match=r"modle: no such option; .* Did you mean 'model'"):
        FLRReward(modle="smollm2")
    monkeypatch.setenv("FLR_SETT", "short")
    with pytest.raises(OptionError, match="FLR_SETT: no such option"):
        online_dpo(flr_reward, ["Tea?"], ["Green."])


# The trainers themselves.

TRL: Any = import_module("trl")  # it names its parts lazily
STEPS: dict[str, Any] = {
    "max_steps": 2,
    "learning_rate": 1e-2,
    "temperature": 5.0,  # so that some completions end early, and are padded
    "seed": 1,
    "use_cpu": True,
    "bf16": False,
    "activation_checkpointing": False,
    "report_to": "none",
    "save_strategy": "no",
    "logging_steps": 1,
    "disable_tqdm": True,
}


class Watched:
    """A reward function, and what a trainer gave it and got from it."""

    def __init__(self, function: Any) -> None:
        self.function, self.calls, self.__name__ = function, [], function.__name__

    def __call__(self, **given: Any) -> list[float | None]:
        rewards = self.function(**given)
        self.calls.append({**given, "rewards": rewards})
        return rewards


def stepped(trainer: type, options: Any, policy: Path, reward: Any) -> tuple[Any, Watched]:
    """A trainer after two steps that changed the policy, and what its reward function was given."""
    watched = Watched(reward)
    made = trainer(
        model=str(policy),
        args=options,
        train_dataset=Dataset.from_list([{"prompt": TEA}, {"prompt": LONG}]),
        processing_class=AutoTokenizer.from_pretrained(policy),
        reward_funcs=[watched],
    )
    before = {name: value.clone() for name, value in made.model.named_parameters()}
    assert made.train().global_step == 2
    assert any(not torch.equal(before[name], one) for name, one in made.model.named_parameters())
    return made, watched


def check_calls(watched: Watched, follower: Path, size: int, names: set[str]) -> None:
    """Each call has the contract's names, and its rewards are those of `flr.score`."""
    assert len(watched.calls) == 2
    for call in watched.calls:
        assert call.keys() == {*names, "rewards"}
        rows = [
            {"messages": [*prompt, *completion]}
            for prompt, completion in zip(call["prompts"], call["completions"], strict=True)
        ]
        assert len(rows) == size
        assert call["rewards"] == expected(follower, rows)


@pytest.mark.parametrize("name", ["GRPO", "RLOO"])
def test_grpo_and_rloo_take_two_steps(
    name: str, follower: Path, policy: Path, tmp_path: Path, spy: Spy
):
    options = getattr(TRL, f"{name}Config")(
        output_dir=str(tmp_path),
        num_generations=4,
        per_device_train_batch_size=8,
        max_completion_length=64,
        **STEPS,
    )
    trainer = getattr(TRL, f"{name}Trainer")
    made, watched = stepped(trainer, options, policy, FLRReward(model=str(follower), **OPTIONS))
    assert "<|im" not in spy.text
    assert "<|pad" not in spy.text
    lengths = [len(ids) for call in watched.calls for ids in call["completion_ids"]]
    assert min(lengths) < max(lengths) == 64
    given = {"prompts", "completions", "completion_ids", "trainer_state"}
    check_calls(watched, follower, 8, given | {"log_extra", "log_metric"})
    for call, log in zip(watched.calls, made.state.log_history, strict=False):
        assert log["rewards/flr_reward/mean"] == pytest.approx(sum(call["rewards"]) / 8, abs=1e-5)
        assert log["flr/skipped"] == 0
        assert log["flr/correctness"] != log["flr/following"]


def test_the_command_line_takes_the_dotted_path(
    follower: Path, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = import_module("trl.scripts.grpo")
    for name, value in {**OPTIONS, "model": str(follower)}.items():
        monkeypatch.setenv(f"FLR_{name.upper()}", value)
    monkeypatch.setattr(sys, "path", [*sys.path])  # the script adds to it
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    rows = [{"prompt": TEA}, {"prompt": LONG}]
    (prompts / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = {
        "model_name_or_path": policy,
        "dataset_name": prompts,
        "output_dir": tmp_path / "trained",
        "reward_funcs": "flr.integrations.trl.flr_reward",
        "num_generations": 4,
        "per_device_train_batch_size": 8,
        "max_completion_length": 8,
        "log_completions": True,
        "num_completions_to_print": 0,
        **STEPS,
    }
    arguments = [part for name, one in settings.items() for part in (f"--{name}", str(one))]
    script.main(*script.make_parser().parse_args_and_config(arguments))
    logged = [
        row
        for path in sorted((tmp_path / "trained" / "completions").glob("*.parquet"))
        for row in io.read(str(path))
    ]
    assert [row["step"] for row in logged] == [1] * 8 + [2] * 8
    assert [row["flr_reward"] for row in logged] == expected(
        follower, [{"messages": [*row["prompt"], *row["completion"]]} for row in logged]
    )


@pytest.mark.filterwarnings("ignore:You are importing from 'trl.experimental'")
def test_online_dpo_takes_two_steps(follower: Path, policy: Path, tmp_path: Path, spy: Spy):
    online = import_module("trl.experimental.online_dpo")
    options = online.OnlineDPOConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        max_new_tokens=32,
        max_length=256,
        **STEPS,
    )
    reward = FLRReward(model=str(follower), **OPTIONS)
    made, watched = stepped(online.OnlineDPOTrainer, options, policy, reward)
    assert "<|im" not in spy.text
    assert "<|pad" not in spy.text
    check_calls(watched, follower, 4, {"prompts", "completions", "completion_ids", "trainer_state"})
    for call, log in zip(watched.calls, made.state.log_history, strict=False):
        assert log["objective/scores"] == pytest.approx(sum(call["rewards"]) / 4, abs=1e-5)

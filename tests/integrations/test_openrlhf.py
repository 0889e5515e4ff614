"""reward_func as OpenRLHF 0.11.2 calls it.

Where the callers stand, below openrlhf/ of that release: utils/agent.py, `SingleTurnAgentExecutor`
(loads the file, one response a call, in threads, catches errors),
trainer/ppo_utils/samples_generator.py, `_process_response_into_experience` (what is read of the
answer), datasets/prompts_dataset.py, `preprocess_data` (prompts are text of the policy's template).
`Executor` and `experience` below do the same with text in place of what vLLM generates.
"""

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import decoders
from transformers import AutoTokenizer

from flr.errors import OptionError
from flr.integrations import openrlhf, settings, shared
from tests.integrations.small import LONG, TEA, Spy, at_once, expected, save_policy
from tests.tiny_model import save_tiny_model


class Executor:
    """Generates what it is told to, and asks for rewards."""

    def __init__(self, path: str, policy: Path, max_prompt: int = 10_000) -> None:
        spec = importlib.util.spec_from_file_location("reward_func", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.reward_func = module.reward_func
        self.tokenizer: Any = AutoTokenizer.from_pretrained(policy)
        self.max_prompt = max_prompt
        self.information: list[str] = []

    def prompt(self, messages: list[dict[str, str]]) -> str:
        return self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text=text, add_special_tokens=False)["input_ids"]

    async def execute(self, prompt: str, response: str) -> dict[str, Any]:
        output: dict[str, Any] = {"reward": None, "scores": None, "extra_logs": {}}
        try:
            query = self.tokenizer.decode(
                self.ids(prompt)[-self.max_prompt :] + self.ids(response), skip_special_tokens=False
            )
            found = await asyncio.gather(
                asyncio.to_thread(self.reward_func, [query], [prompt], ["a label"])
            )
            info = found[0] if found else None
            if info:
                score = info.get("scores")
                output.update(
                    reward=info.get("rewards"),
                    scores=info.get("rewards") if score is None else score,
                    extra_logs=info.get("extra_logs") or {},
                )
        except Exception as error:
            self.information.append(f"Failed to fetch reward from remote RM: {error}")
        return output

    def run(self, *pairs: tuple[str, str]) -> list[dict[str, Any]]:
        async def together() -> list[dict[str, Any]]:
            return await asyncio.gather(*(self.execute(*pair) for pair in pairs))

        return [experience(one) for one in asyncio.run(together())]


def experience(response: dict[str, Any]) -> dict[str, Any]:
    """What of an answer goes into an experience."""
    given = {"reward": response["reward"], "score": response["scores"]}
    info = {name: torch.tensor([one]) for name, one in given.items() if one is not None}
    for key, value in response["extra_logs"].items():
        if isinstance(value, torch.Tensor):
            value = value.flatten()[0].item()
        info[key] = torch.tensor([value])
    assert all(one.shape == (1,) for one in info.values())
    assert all(torch.isfinite(one).all() for one in info.values())
    return {name: one.item() for name, one in info.items()}


def configure(monkeypatch: pytest.MonkeyPatch, follower: Path, policy: Path) -> None:
    variables = {"MODEL": str(follower), "POLICY": str(policy), "SET": "short", "DTYPE": "fp32"}
    for name, value in variables.items():
        monkeypatch.setenv(f"FLR_{name}", value)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, follower: Path, policy: Path) -> None:
    configure(monkeypatch, follower, policy)


def rewards(found: list[dict[str, Any]]) -> list[float]:
    return [one["reward"] for one in found]


@pytest.mark.usefixtures("configured")
def test_many_at_a_time_in_mixed_order_have_the_rewards_of_flr_score(
    follower: Path, policy: Path, spy: Spy
):
    executor = Executor(openrlhf.__file__, policy)
    texts = ["Green.", "", " \U0001f375\n", "NUL \x00", "<b>No</b> " * 20, "Cup 5", "Cup 6"]
    pairs = [(prompt, text) for text in texts for prompt in (TEA, LONG)]
    ends = ["<|im_end|>", "", "<|im_end|><|pad|><|pad|>"]  # finished, cut off, padded
    given = [(executor.prompt(p), text + ends[at % 3]) for at, (p, text) in enumerate(pairs)]
    executor.run(given[0])
    spy.calls.clear()
    found = at_once(lambda: executor.run(*given), 5)
    assert len(spy.calls) <= len(pairs) - 4  # five of them were served together
    assert "<|im" not in spy.text
    assert "<|pad" not in spy.text
    assert rewards(found) == expected(
        follower, [{"prompt": prompt, "response": text} for prompt, text in pairs]
    )
    for one in found:
        assert one["score"] == pytest.approx(1 / (1 + 2.718281828459045 ** -one["reward"]))
        categories = [value for name, value in one.items() if name.startswith("flr_")]
        assert sum(categories) / 6 == pytest.approx(one["reward"], abs=1e-6)
        assert one["flr_skipped"] == 0
        assert len(categories) == 7


@pytest.mark.usefixtures("configured")
def test_one_call_with_many(follower: Path, policy: Path):
    executor = Executor(openrlhf.__file__, policy)
    prompts = [executor.prompt(one) for one in (TEA, LONG, TEA)]
    queries = [f"{p}{t}<|im_end|>" for p, t in zip(prompts, ("Green.", "Here.", "No"), strict=True)]
    found = openrlhf.reward_func(queries, prompts, [None] * 3, more="is not looked at")
    texts = zip((TEA, LONG, TEA), ("Green.", "Here.", "No"), strict=True)
    assert found["rewards"].tolist() == expected(
        follower, [{"prompt": prompt, "response": text} for prompt, text in texts]
    )
    assert {one.shape for one in (found["scores"], *found["extra_logs"].values())} == {(3,)}
    assert torch.equal(found["scores"].argsort(), found["rewards"].argsort())
    assert openrlhf.reward_func([], [], [])["rewards"].shape == (0,)


@pytest.mark.usefixtures("configured")
def test_a_prompt_without_a_template_is_one_message(follower: Path, policy: Path):
    found = Executor(openrlhf.__file__, policy).run(("Tea?", "Green.<|im_end|>"))
    assert rewards(found) == expected(follower, [{"prompt": "Tea?", "response": "Green."}])


@pytest.mark.usefixtures("configured")
def test_thoughts_do_not_reach_the_reward_unless_asked_for(
    follower: Path, policy: Path, spy: Spy, monkeypatch: pytest.MonkeyPatch
):
    executor = Executor(openrlhf.__file__, policy)
    pair = (executor.prompt(TEA), "<think>secret</think>Green.<|im_end|>")
    found = executor.run(pair)
    assert "secret" not in spy.text
    assert rewards(found) == expected(follower, [{"prompt": "Tea?", "response": "Green."}])
    monkeypatch.setenv("FLR_STRIP_THINKING", "false")
    settings._of_process.cache_clear()
    executor.run(pair)
    assert "secret" in spy.text


def test_a_think_block_that_the_template_opens_and_nothing_closes(
    tmp_path: Path, follower: Path, spy: Spy, monkeypatch: pytest.MonkeyPatch
):
    opening = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}"
    policy = save_policy(tmp_path, opening)
    configure(monkeypatch, follower, policy)
    executor = Executor(openrlhf.__file__, policy)
    prompt = executor.prompt(TEA)
    assert prompt.endswith("<think>\n")
    found = executor.run((prompt, "secret, cut"), (prompt, "secret</think>\n\nGreen.<|im_end|>"))
    assert "secret" not in spy.text
    rows = [{"prompt": "Tea?", "response": text} for text in ("", "Green.")]
    assert rewards(found) == expected(follower, rows)


def test_a_tokenizer_that_writes_another_text_than_it_read(
    tmp_path: Path, follower: Path, monkeypatch: pytest.MonkeyPatch
):
    policy = save_tiny_model(tmp_path, template="mistral")
    tokenizer: Any = AutoTokenizer.from_pretrained(policy)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.backend_tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    tokenizer.save_pretrained(policy)
    configure(monkeypatch, follower, policy)
    executor = Executor(openrlhf.__file__, policy)
    prompt = executor.prompt(LONG[1:])
    written = executor.tokenizer.decode(executor.ids(prompt))
    assert written == prompt.replace("s>[", "s> [") != prompt
    rows = [{"prompt": LONG[1:], "response": text} for text in ("Green.", "No")]
    found = executor.run((prompt, "Green.</s>"), (prompt, "No"))
    assert rewards(found) == expected(follower, rows)


@pytest.mark.usefixtures("configured")
def test_what_cannot_be_scored_has_the_lowest_reward_and_is_said_once(policy: Path):
    executor = Executor(openrlhf.__file__, policy)
    good = executor.prompt(TEA)
    lowest = min(rewards(executor.run((good, "Green."), (good, "No"))))
    bad = [
        (executor.prompt([{"role": "user", "content": "<|head|>"}]), "No"),
        (good, "word " * 3000),
    ]
    with pytest.warns(UserWarning, match="could not be scored") as said:
        found = executor.run(*bad)
    assert len(said) == 1
    assert rewards(found) == [lowest] * 2
    assert [one["flr_skipped"] for one in found] == [1.0, 1.0]


@pytest.mark.usefixtures("configured")
def test_a_prompt_that_was_cut_is_not_scored(policy: Path):
    executor = Executor(openrlhf.__file__, policy, max_prompt=8)
    with pytest.warns(UserWarning, match=r"does not begin with its prompt.* --data\.max_len"):
        (found,) = executor.run((executor.prompt(LONG), "Green."))
    assert (found["reward"], found["score"], found["flr_skipped"]) == (0.0, 0.5, 1.0)


def test_without_the_policys_name_nothing_is_loaded(
    follower: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FLR_MODEL", str(follower))
    said = pytest.warns(UserWarning, match="no reward, OptionError: .* FLR_POLICY")
    with pytest.raises(OptionError, match="FLR_POLICY, the model that is trained"), said:
        openrlhf.reward_func(["Tea? Green."], ["Tea?"], [""])
    assert not shared._loaded


@pytest.mark.usefixtures("configured")
def test_an_error_that_openrlhf_catches_is_said(policy: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLR_SETT", "short")
    executor = Executor(openrlhf.__file__, policy)
    words = "FLR_SETT: no such option"
    with pytest.warns(UserWarning, match=f"flr: no reward, OptionError: {words}"):
        assert executor.run((executor.prompt(TEA), "Green.")) == [{}]
    assert words in executor.information[0]

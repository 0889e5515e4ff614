"""`flr doctor` through its real door, on tiny models in folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AttentionInterface

from flr import speed
from flr.cli.main import run
from flr.doctor import CONVERSATIONS
from flr.engines import attention
from tests.engines.tiny import build
from tests.templates import CHATML, byte_level, fast

TEMPLATE = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}"
    "{{ '<|im_start|>system\\nYou are [red]Bo[/red].\\x1b[31m<|im_end|>\\n' }}{% endif %}"
    "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}{{ " + CHATML + " }}"
    "{% endfor %}"
)


def saved(folder: Path, name: str, template: str | None = TEMPLATE) -> str:
    """A folder with a tiny model and a tokenizer."""
    tokenizer = fast(byte_level(["<|im_start|>", "<|im_end|>"]), template, eos_token="<|im_end|>")
    build(name, vocab_size=512, max_position_embeddings=2048).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved(tmp_path_factory.mktemp("llama"), "llama")


@pytest.fixture(autouse=True)
def _wide_and_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(speed, "SIZES", {"cpu": ((8, 4, 2),)})


@pytest.fixture
def sabotaged() -> Iterator[None]:
    """A shared attention that is wrong by too little for the engine's own probe to see."""

    def wrong(*given: Any, **named: Any) -> tuple[torch.Tensor, None]:
        out, weights = attention.tree_attention(*given, **named)
        return out * 1.0002, weights

    AttentionInterface.register(attention.NAME, wrong)
    yield
    AttentionInterface.register(attention.NAME, attention.tree_attention)


def test_a_right_model_passes(llama: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--model", llama, "--dtype", "fp32"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "LlamaForCausalLM" in said
    assert "float32" in said
    assert "of the machine's limit: the model's weights" in said
    # 24 follow-ups a conversation: the set `short`, unless another is named
    shared = f"({24 * len(CONVERSATIONS)} shared)"
    assert (
        f"shared for every row: its attention is plain causal, and a probe agreed {shared}" in said
    )
    assert "limit 0.0001 nats/token = max(0.0001, 3 x floor): ok" in said
    assert "tokens/s asked" in said
    assert "times as fast" in said


def test_the_template_is_told_in_words_and_escaped(
    llama: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--model", llama, "--dtype", "fp32"]) == 0
    said = capsys.readouterr().out
    assert "puts a text of its own first: " in said
    assert "You are [red]Bo[/red].\\x1b[31m" in said
    assert "\x1b" not in said
    assert "refuses the roles tool" in said
    assert "begins with no BOS token" in said
    assert f"{len(CONVERSATIONS)} conversations from parts, 0 tokenised whole" in said
    assert "'Name a fruit.<|im_end|>\\n'" in said


def test_a_wrong_attention_fails_with_everything_printed(
    llama: str, sabotaged: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--model", llama, "--dtype", "fp32"]) == 1
    said = capsys.readouterr()
    assert "shared for every row" in said.out
    assert "above the limit" in said.out
    assert "times as fast" in said.out
    assert said.err.startswith(f"flr: scoring {llama} in float32 differs from each row alone by ")
    assert "--dtype fp32" in said.err


def test_a_recurrent_model_takes_the_plain_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--model", saved(tmp_path, "mamba"), "--dtype", "fp32"]) == 0
    said = capsys.readouterr().out
    assert "plain for every row: it carries a recurrent state" in said
    assert f"({24 * len(CONVERSATIONS)} plain)" in said


def test_another_set(llama: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--model", llama, "--dtype", "fp32", "--set", "default"]) == 0
    assert f"({120 * len(CONVERSATIONS)} shared)" in capsys.readouterr().out


def test_a_model_without_a_template_is_the_users(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--model", saved(tmp_path, "llama", template=None)]) == 2
    assert "--chat-template" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--model", "smolm2"], ["--reward", "official"], ["--dtype", "bf17"], ["stray"]]
)
def test_what_the_user_gave_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("flr: ")
    assert "Traceback" not in said.err
    assert not said.out

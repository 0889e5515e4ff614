import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from flr.errors import OptionError
from flr.integrations import settings
from flr.integrations.settings import RewardOptions, of_environment, of_python, read
from flr.options import MachineOptions, ScorerOptions, choices_of


def test_every_option_of_a_scorer_is_one_here():
    assert {one.name for one in fields(ScorerOptions)} < {one.name for one in fields(RewardOptions)}
    assert of_python({}) == RewardOptions()
    assert (RewardOptions().on_special, RewardOptions().on_overflow) == ("skip", "skip")
    assert RewardOptions().strip_thinking
    assert not ScorerOptions().strip_thinking


def test_variables_become_what_their_options_are(tmp_path: Path):
    given = read(
        {
            "FLR_MODEL": "0123",
            "FLR_REVISION": "1e3",
            "FLR_SET": "short",
            "FLR_REWARD": "sum",
            "FLR_WEIGHTS": "{correctness: 2}",
            "FLR_THREADS": "2",
            "FLR_BATCH_TOKENS": "512",
            "FLR_STRIP_THINKING": "false",
            "FLR_CHAT_TEMPLATE": str(tmp_path / "mine.jinja"),
            "FLR_QUANTIZATION": "nf4",
            "FLR_POLICY": "owner/name",
            "FLR_DEVICE": "",
            "PATH": "/bin",
        }
    )
    assert given == RewardOptions(
        model="0123",
        revision="1e3",
        set="short",
        reward="sum",
        weights={"correctness": 2.0},
        threads=2,
        batch_tokens=512,
        strip_thinking=False,
        chat_template=tmp_path / "mine.jinja",
        quantization="nf4",
        policy="owner/name",
    )


def test_a_variable_overrides_the_file(tmp_path: Path):
    file = tmp_path / "flr.yaml"
    file.write_text("set: short\non-special: error\nthreads: 3\nweights: {following: 0}\n", "utf-8")
    given = read({"FLR_CONFIG": str(file), "FLR_THREADS": "1"})
    assert given == RewardOptions(
        set="short", on_special="error", threads=1, weights={"following": 0.0}
    )


def test_arguments_of_an_engine_are_texts_and_the_token_of_a_server_is_no_option():
    given = read(
        {"FLR_MODEL": "vllm:m", "FLR_VLLM": "{a: 0.5, b: fp8, c: true}", "FLR_TOKEN": "secret"}
    )
    assert given.vllm == {"a": "0.5", "b": "fp8", "c": "true"}
    with pytest.raises(OptionError, match=r"FLR_VLLM: .* names with a value each were expected"):
        read({"FLR_MODEL": "vllm:m", "FLR_VLLM": "[1]"})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("FLR_MODLE", "smollm2", r"FLR_MODLE: no such option; .* Did you mean 'model'\?"),
        ("FLR_REWARD", "meann", r"FLR_REWARD: 'meann'; one of mean, .* Did you mean 'mean'\?"),
        ("FLR_THREADS", "two", "FLR_THREADS: 'two'; a whole number was expected"),
        ("FLR_THREADS", "0", "--threads 0; 1 or more"),
        ("FLR_THREADS", "true", "FLR_THREADS: True; a whole number"),
        ("FLR_STRIP_THINKING", "1", "FLR_STRIP_THINKING: 1; true or false was expected"),
        ("FLR_WEIGHTS", "correctness", "FLR_WEIGHTS: 'correctness'; categories with a number each"),
        ("FLR_WEIGHTS", "{a: yes}", "FLR_WEIGHTS: {'a': True}; categories with a number each"),
        ("FLR_WEIGHTS", "{a: ", "FLR_WEIGHTS: '{a: '; categories with a number each"),
        (
            "FLR_DTYPE",
            "\x00\U0001f375",
            "FLR_DTYPE: .*; one of auto, bf16, fp16, fp32 was expected",
        ),
    ],
)
def test_what_a_variable_cannot_be_is_named(name: str, text: str, words: str):
    with pytest.raises(OptionError, match=words):
        read({name: text})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sett: short", r"flr.yaml: sett: no such option; .* Did you mean 'set'\?"),
        ("model: 5", r"flr.yaml: model: 5; a text was expected"),
        ("threads: 1.5", r"flr.yaml: threads: 1.5; a whole number was expected"),
        ("limit: 5", "flr.yaml: limit: no such option"),
        ("- set", "flr.yaml: options such as `set: short` were expected"),
        ("", "flr.yaml: options such as `set: short` were expected"),
        ("set: [", "flr.yaml: cannot be read as YAML"),
        ("!!python/object/apply:os.getcwd []", "flr.yaml: cannot be read as YAML"),
    ],
)
def test_what_a_file_cannot_say_is_named(tmp_path: Path, content: str, words: str):
    file = tmp_path / "flr.yaml"
    file.write_text(content, "utf-8")
    with pytest.raises(OptionError, match=words):
        read({"FLR_CONFIG": str(file)})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(OptionError, match=r"FLR_CONFIG .*absent.yaml: cannot be read"):
        read({"FLR_CONFIG": str(tmp_path / "absent.yaml")})
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OptionError, match=r"bytes.yaml: cannot be read"):
        read({"FLR_CONFIG": str(tmp_path / "bytes.yaml")})


@pytest.mark.parametrize(
    "given", [{"threads": "2"}, {"set": None}, {"strip_thinking": "no"}, {"weights": {1: 2}}]
)
def test_python_is_checked_as_well(given: dict):
    with pytest.raises(OptionError, match=next(iter(given))):
        of_python(given)


def test_an_option_that_may_be_left_out_is_one_of_its_values():
    kinds = get_type_hints(MachineOptions)
    assert choices_of(kinds["device_map"]) == ["auto", None]
    assert choices_of(kinds["quantization"]) == ["int8", "nf4", None]
    assert choices_of(kinds["dtype"]) == ["auto", "bf16", "fp16", "fp32"]
    assert choices_of(kinds["device"]) == []
    assert of_python({"device_map": None}).device_map is None


def test_the_environment_is_read_once_and_a_call_overrides_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLR_SET", "short")
    assert of_environment() == RewardOptions(set="short")
    monkeypatch.setenv("FLR_SET", "default")
    assert of_environment(threads=2) == RewardOptions(set="short", threads=2)
    settings._of_process.cache_clear()
    assert of_environment() == RewardOptions(set="default")
    with pytest.raises(OptionError, match="sett: no such option"):
        of_environment(sett="short")


SCRIPT = """
import json, sys
from importlib import import_module
module, name = "flr.integrations.trl.flr_reward".rsplit(".", 1)
reward = getattr(import_module(module), name)
found = reward(prompts=["Tea?", "Tea?"], completions=["Green.", "No"], completion_ids=[[1], [2]])
print(json.dumps([reward.__name__, found]))
"""


def in_a_new_process(**variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        env={**os.environ, **variables},
        check=False,
    )


def test_a_new_process_reads_variables_or_a_file(tmp_path: Path, follower: Path):
    variables = {"FLR_MODEL": str(follower), "FLR_SET": "short", "FLR_DTYPE": "fp32"}
    of_variables = in_a_new_process(**variables)
    assert of_variables.returncode == 0, of_variables.stderr
    name, rewards = json.loads(of_variables.stdout)
    assert name == "flr_reward"
    assert len(set(rewards)) == 2
    file = tmp_path / "flr.yaml"
    file.write_text(f"model: {follower}\nset: short\ndtype: fp32\n", "utf-8")
    of_file = in_a_new_process(FLR_CONFIG=str(file))
    assert of_file.stdout == of_variables.stdout

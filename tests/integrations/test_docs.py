"""What docs/trainers.md says to type exists."""

import ast
import re
from dataclasses import fields
from importlib import import_module
from pathlib import Path

from flr.integrations.settings import RewardOptions

TEXT = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text("utf-8")
OPTIONS = {option.name for option in fields(RewardOptions)}


def test_the_options_are_options():
    variables = set(re.findall(r"\bFLR_([A-Z_]+)\b", TEXT)) - {"CONFIG"}
    assert len(variables) > 3
    assert {name.lower() for name in variables} <= OPTIONS
    keywords = set(re.findall(r"reward_kwargs\.(\w+)", TEXT))
    assert keywords == {"model", "set", "device"}
    assert set(re.findall(r"`(on_\w+|strip_thinking|policy)[=`]", TEXT)) <= OPTIONS


def test_the_names_exist():
    names = set(re.findall(r"(?:pkg://)?(flr\.integrations\.\w+(?:\.\w+)?)", TEXT))
    assert len(names) > 3
    for name in names:
        module, _, attribute = name.removeprefix("flr.integrations.").partition(".")
        found = import_module(f"flr.integrations.{module}")
        assert not attribute or callable(getattr(found, attribute))
    assert callable(import_module("flr.integrations.verl").compute_score)
    assert callable(import_module("flr.integrations.openrlhf").reward_func)
    for path in re.findall(r"`((?:tests|benchmarks)/[\w/]+(?:\.py)?)`", TEXT):
        assert (Path(__file__).parents[2] / path).exists()


def test_the_python_is_python_and_its_options_are_options():
    snippets = re.findall(r"^```py\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert len(snippets) == 3
    calls = [
        node
        for text in snippets
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "FLRReward"
    ]
    assert [{keyword.arg for keyword in call.keywords} <= OPTIONS for call in calls] == [True]

"""The card of an aligned policy: how it was made, in the form that model hubs read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

METHODS = {
    "dpo": "[Direct Preference Optimization](https://arxiv.org/abs/2305.18290)",
    "kto": "[Kahneman-Tversky Optimization](https://arxiv.org/abs/2402.01306)",
}


def _code(value: Any) -> str:
    """A value as code on one line of a table; what would end either is replaced."""
    text = value if isinstance(value, str) else json.dumps(value)
    plain = "".join(one if one.isprintable() else " " for one in text)
    return "`" + plain.replace("`", "'").replace("|", "/") + "`"


def _table(rows: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| | |", "| --- | --- |")
    yield from (f"| {name} | {_code(value)} |" for name, value in rows.items())
    yield ""


def _front_matter(record: Mapping[str, Any], *, is_adapter: bool) -> str:
    base = record["policy"]["name"]
    told = {
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["flr", "trl", record["method"]],
    }
    if record["policy"]["hub_id"]:
        told["base_model"] = base
    return yaml.safe_dump(told, sort_keys=False)


def _load(*, is_adapter: bool) -> Iterator[str]:
    auto, imports = "AutoModelForCausalLM", ["from transformers import AutoModelForCausalLM"]
    if is_adapter:
        auto, imports = "AutoPeftModelForCausalLM", ["from peft import AutoPeftModelForCausalLM"]
    yield from ("```python", *imports, "from transformers import AutoTokenizer", "")
    yield f'model = {auto}.from_pretrained("DIR")'
    yield from ('tokenizer = AutoTokenizer.from_pretrained("DIR")', "```", "")
    yield from ("Or `flr sample PROMPTS --policy DIR -o OUT.jsonl`.", "")


def _figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the training, in words."""
    found: dict[str, Any] = {"optimizer steps": record["steps"]}
    for name in ("loss", "accuracy", "margin"):
        if name in record:
            first, last = (round(record[name][end], 4) for end in ("first", "last"))
            found[f"{name}, first and last tenth"] = [first, last]
    for when, figures in (record["held_out_figures"] or {}).items():
        for name, value in (figures or {}).items():
            found[f"{name}, held-out rows, {when}"] = round(value, 4)
    found["seconds"] = round(record["seconds"], 1)
    found["tokens"] = record["tokens"]
    return found


def card(record: Mapping[str, Any]) -> str:
    """The text of README.md beside the weights.

    Args:
        record: of the run, plain; see `flr.training.preference`.
    """
    method, base = record["method"], record["policy"]["name"]
    is_adapter = record["options"]["keep_adapter"]
    made_of = {
        "policy": base,
        "identity of the policy": record["policy"]["identity"],
        "data": record["input"],
        "sha256 of the data": record["input_sha256"],
        "rows": record["rows"],
        "held-out data": record["held_out"],
        "sha256 of the held-out data": record["held_out_sha256"],
        "method": method,
        "loss": record["loss_type"],
        "adapter": record["adapter"],
    }
    versions = record["machine"]["versions"]
    how = "its adapter alone" if is_adapter else "the whole model, in fp32 as it was trained"
    lines = [
        "---",
        _front_matter(record, is_adapter=is_adapter) + "---",
        "",
        f"# {_code(base)}, aligned by {method.upper()}",
        "",
        f"Made by `flr align`: {METHODS[method]} by TRL, {record['steps']:,} steps on preference "
        f"data. This folder holds {how}. `align.json` says the same and more, for programs: the "
        "curves, every setting of TRL's, and what `flr check` said of the data.",
        "",
        *_load(is_adapter=is_adapter),
        "## Made of",
        "",
        *_table({name: value for name, value in made_of.items() if value is not None}),
        "## Figures",
        "",
        "Accuracy is the share of pairs whose chosen response gained more, relative to the policy "
        "that it began from; margin is by how much, times beta.",
        "",
        *_table(_figures(record)),
        "## Settings",
        "",
        f"What is not named has the default of TRL {versions['trl']}.",
        "",
        *_table(record["settings"]),
        "## Versions",
        "",
        *_table(versions),
    ]
    return "\n".join(lines)

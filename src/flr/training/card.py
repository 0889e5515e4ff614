"""The card of a trained policy: how it was made, in the form that model hubs read."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {title}", "", "| | |", "| --- | --- |")
    for name, value in rows.items():
        told = _value(value).replace("|", "\\|").replace("\n", " ")
        yield f"| {name} | `{told}` |"
    yield ""


def card(record: Mapping[str, Any], *, is_adapter: bool) -> str:
    """The text of README.md beside the weights.

    Args:
        record: of the run; see `flr.training.preference`.
        is_adapter: whether the folder holds an adapter alone.
    """
    method, base = record["method"], record["policy"]["name"]
    head = {
        "library_name": "peft" if is_adapter else "transformers",
        "tags": ["flr", "trl", method],
    }
    if is_adapter or "/" in base:
        head["base_model"] = base
    loading = "AutoPeftModelForCausalLM, from peft" if is_adapter else "AutoModelForCausalLM"
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=True).strip(),
        "---",
        "",
        f"# {base}, trained by {method.upper()}",
        "",
        f"Made by `flr align` ([follow-up likelihood as reward](https://arxiv.org/abs/2409.13948)) "
        f"with TRL's {method.upper()}Trainer, {record['steps']:,} steps. Load it with {loading}; "
        "the chat template lies in the folder.",
        "",
    ]
    made = {
        "policy": base,
        "sha256 of the policy": record["policy"]["identity"],
        "rows": record["rows"],
        "data": record["input"],
        "sha256 of the data": record["input_sha256"],
    }
    lines += [*_table("Made from", made), *_table("Figures", record["figures"])]
    lines += [
        *_table("Settings of TRL", record["settings"]),
        *_table("Versions", record["versions"]),
    ]
    return "\n".join(lines)

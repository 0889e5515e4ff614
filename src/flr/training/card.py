"""The card of a trained model: how it was made, in the form that model hubs read."""

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


def _front_matter(record: Mapping[str, Any], base: Mapping[str, Any], *, is_adapter: bool) -> str:
    told = {
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["flr", "trl", record["method"]],
    }
    if base["hub_id"]:
        told["base_model"] = base["name"]
    return yaml.safe_dump(told, sort_keys=False)


def _load(use: str, *, is_adapter: bool) -> Iterator[str]:
    auto, imports = "AutoModelForCausalLM", ["from transformers import AutoModelForCausalLM"]
    if is_adapter:
        auto, imports = "AutoPeftModelForCausalLM", ["from peft import AutoPeftModelForCausalLM"]
    yield from ("```python", *imports, "from transformers import AutoTokenizer", "")
    yield f'model = {auto}.from_pretrained("DIR")'
    yield from ('tokenizer = AutoTokenizer.from_pretrained("DIR")', "```", "")
    yield from (f"Or `{use}`.", "")


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


def _made_of(record: Mapping[str, Any], base: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What went into it, without what there was not."""
    found = {
        "model": base["name"],
        "identity of the model": base["identity"],
        "data": record["input"],
        "sha256 of the data": record["input_sha256"],
        "rows": record["rows"],
        "held-out data": record["held_out"],
        "sha256 of the held-out data": record["held_out_sha256"],
        "method": record["method"],
        **more,
        "adapter": record["adapter"],
    }
    return {name: value for name, value in found.items() if value is not None}


def _page(
    record: Mapping[str, Any],
    base: Mapping[str, Any],
    *,
    title: str,
    made_by: str,
    use: str,
    made_of: Mapping[str, Any],
    figures: str,
) -> str:
    """The text of README.md beside the weights.

    Args:
        record: of the run, plain.
        base: of it, the model that was trained.
        title: what became of the model.
        made_by: how, in a sentence or two.
        use: a command that uses it.
        made_of: what went into it.
        figures: what they mean.
    """
    is_adapter = record["options"]["keep_adapter"]
    versions = record["machine"]["versions"]
    how = "its adapter alone" if is_adapter else "the whole model, in fp32 as it was trained"
    lines = [
        "---",
        _front_matter(record, base, is_adapter=is_adapter) + "---",
        "",
        f"# {_code(base['name'])}, {title}",
        "",
        f"{made_by} This folder holds {how}.",
        "",
        *_load(use, is_adapter=is_adapter),
        "## Made of",
        "",
        *_table(made_of),
        "## Figures",
        "",
        figures,
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


def of_preferences(record: Mapping[str, Any]) -> str:
    """The card of an aligned policy.

    Args:
        record: of the run, plain; see `flr.training.preference`.
    """
    base, method = record["policy"], record["method"]
    return _page(
        record,
        base,
        title=f"aligned by {method.upper()}",
        made_by=f"Made by `flr align`: {METHODS[method]} by TRL, {record['steps']:,} steps on "
        "preference data. `align.json` says the same and more, for programs: the curves, every "
        "setting of TRL's, and what `flr check` said of the data.",
        use="flr sample PROMPTS --policy DIR -o OUT.jsonl",
        made_of=_made_of(record, base, loss=record["loss_type"]),
        figures="Accuracy is the share of pairs whose chosen response gained more, relative to the "
        "policy that it began from; margin is by how much, times beta.",
    )


FORMS = {
    "user": "as the user's next turn",
    "role-switched": "as the assistant's, who has asked and was answered",
    None: "not at all: it is plain chat",
}
"""How feedback stands in each form."""


def of_feedback(record: Mapping[str, Any]) -> str:
    """The card of a follow-up model that was tuned on feedback.

    Args:
        record: of the run, plain; see `flr.training.tuning`.
    """
    base, form = record["model"], record["form"]
    return _page(
        record,
        base,
        title="tuned on feedback" if form else "tuned on chat",
        made_by=f"Made by `flr tune`: supervised training by TRL, {record['steps']:,} steps. "
        f"Feedback stands {FORMS[form]}; the loss lies on its tokens alone. `tune.json` says the "
        "same and more, for programs; by it flr knows the form in which the model is to be asked.",
        use="flr score FILE --model DIR -o OUT.jsonl",
        made_of=_made_of(record, base, form=form, opening=record["opening"]),
        figures="The loss is in nats a token of feedback; of held-out rows it is the mean of the "
        "rows' own.",
    )

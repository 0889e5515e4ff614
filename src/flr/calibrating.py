"""Learns weights of a follow-up set from labels: a scored file in, a set with weights out.

    scored rows with labels -> pairs -> half of the prompts: order, what is kept, weights
                                     -> the other half: accuracy before and after, probabilities

Nothing is scored here, and no model is needed. What is written is what was measured: weights are
not fitted again to all prompts.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from flr import files, followups, io, runs
from flr.calibration.choosing import chosen
from flr.calibration.labelled import Labelled, read_labelled, split
from flr.calibration.learning import CalibrateOptions, Learned, learn, of_weight
from flr.calibration.measured import coefficients_in, compared, curve
from flr.calibration.probability import knots
from flr.errors import FollowUpError, OptionError
from flr.rewards import category_shares
from flr.runs import Report
from flr.types import FollowUpSet


def _check_places(source: str, output: Path) -> None:
    """Raises where SET could not be written, or ITEMS is no file."""
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise OptionError(f"-o {output}: a follow-up set is named .yaml")
    files.check_place(output)
    if not Path(source).is_file():
        raise OptionError(
            f"{source}: no such file; a file that flr score --per-followup wrote was expected"
        )
    io.check_place(source, output)


def _scored_with(source: str, made: Mapping[str, Any], options: CalibrateOptions) -> FollowUpSet:
    """The set that a file was scored with, with the weights that were taken then."""
    name = options.set or made.get("options", {}).get("set")
    if not isinstance(name, str):
        raise OptionError(
            f"{source}: no run record lies beside it; give the output of flr score {source} "
            "--per-followup -o OUT as it was written, or name the set that it was scored with: "
            "--set NAME or FILE"
        )
    try:
        found = followups.load(name)
    except FollowUpError as error:
        if options.set:
            raise
        hint = "if the set lies elsewhere now, say where: --set FILE"
        raise FollowUpError(
            f"{source} was scored with the set {name!r}. {error}\n{hint}"
        ) from error
    match made.get("weights"):
        case {**weights} if weights.keys() == set(found.categories):
            category_shares(found.categories, weights)
            return replace(found, weights={name: float(weights[name]) for name in weights})
    return found


def _check_variant(source: str, made: Mapping[str, Any]) -> None:
    if (variant := made.get("reward")) in ("official", "sum"):
        raise OptionError(
            f"{source}: was scored with --reward {variant}; weights are learned for --reward mean, "
            "score with that one"
        )


def _named(made: FollowUpSet, whole: FollowUpSet, source: str) -> FollowUpSet:
    told = f"weights learned by flr calibrate from {Path(source).name!r}, set {whole.name}"
    return replace(
        made,
        name=f"{whole.name}-calibrated",
        source=f"{told} (sha256 {followups.digest(whole)[:12]}): {whole.source}",
    )


def _penalty(value: float) -> float | str:
    """A penalty as plain data, which has no infinity."""
    return value if np.isfinite(value) else "infinity"


def _weights_told(learned: Learned) -> dict[str, Any]:
    """What every category and follow-up weighs, before and after, and what was dropped."""
    whole, made = learned.whole, learned.made
    before = category_shares(whole.categories, whole.weights)
    after = category_shares(made.categories, made.weights)
    sizes = [np.abs(coefficients_in(whole, one)).tolist() for one in (whole, made)]
    told = [
        {"text": f.text, "category": f.category, "polarity": f.polarity, "before": b, "after": a}
        for f, b, a in zip(whole.followups, *sizes, strict=True)
    ]
    return {
        "categories": {
            name: {"before": share, "after": after.get(name, 0.0)} for name, share in before.items()
        },
        "followups": told,
        "dropped": {
            "categories": [name for name in before if name not in after],
            "followups": sum(one["after"] == 0 for one in told),
        },
    }


def _measured(learned: Learned, held_out: Labelled, seed: int) -> dict[str, Any]:
    """What is measured on prompts that nothing was learned from."""
    margins = held_out.differences @ coefficients_in(learned.whole, learned.made)
    return {
        "accuracy": compared(held_out, learned.whole, learned.made, seed),
        "curve": curve(held_out, learned.whole, learned.steps, seed),
        "probability": {"knots": knots(margins, held_out.weights)},
    }


def calibrate_file(source: str, output: Path, options: CalibrateOptions) -> Report:
    """Learns the weights of a follow-up set from a scored file with labels.

    Args:
        source: a file that `flr score --per-followup` wrote.
        output: the set to write, `.yaml`.
        options: see `CalibrateOptions`.

    Returns:
        The record; `computed` is 0 where the same command had been finished.

    Raises:
        InputError: rows that cannot be used.
        OutputError: SET cannot be written, or holds something else.
        UserError: what the options name cannot be found or used, or there is too little to learn.
    """
    _check_places(source, output)
    made = runs.read_record(Path(source))
    _check_variant(source, made)
    scored_with = _scored_with(source, made, options)
    sha256 = runs.file_sha256(Path(source))
    asked = {name: value for name, value in asdict(options).items() if name != "force"}
    told = {"input_sha256": sha256, "options": asked, "versions": runs.versions()}
    run_key = runs.key_of([told, asdict(scored_with)])
    if runs.is_done(output, run_key):
        return Report(runs.read_record(output), computed=0)
    runs.check_free(output, run_key, force=options.force)
    labelled = read_labelled(source, io.load(source), scored_with, options.rating)
    whole, labelled = of_weight(scored_with, labelled)
    train, held_out = split(labelled, options.held_out, options.seed)
    learned = learn(whole, train, options)
    learned = replace(learned, made=_named(learned.made, whole, source))
    runs.begin_output(output, run_key, force=options.force)
    files.write_text(output, followups.to_yaml(learned.made))
    record = {
        "input": source,
        **told,
        "reward": "mean",
        "model": made.get("model"),
        "followup_set": _identity(scored_with),
        "calibrated_set": _identity(learned.made),
        "counts": {**labelled.counts, "learned from": train.prompts, "held out": held_out.prompts},
        "penalties": [asdict(one) | {"penalty": _penalty(one.penalty)} for one in learned.tried],
        "penalty": _penalty(chosen(learned.tried)) if learned.tried else None,
        **_weights_told(learned),
        **_measured(learned, held_out, options.seed),
        "warnings": learned.warnings,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return Report(runs.write_record(output, run_key, record), computed=1)


def _identity(followup_set: FollowUpSet) -> dict[str, str]:
    return {"name": followup_set.name, "sha256": followups.digest(followup_set)}

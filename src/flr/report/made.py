"""How results were made: what the passes did, with which options, and what numbers depend on.

From `results.json` alone; nothing is escaped.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from flr.report.words import NONE, counted


def flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value under its name; what is inside a mapping under its name after a dot."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value)) or NONE
    else:
        yield name, NONE if value is None else str(value)


def _pass_words(done: Mapping[str, Any]) -> str:
    """What a pass did, in one line."""
    parts = [
        counted(done["conversations"], "conversation"),
        f"{done['skipped']:,} of them skipped",
        f"{done['cut']:,} cut to fit the model",
        f"{done['tokens_run']:,} tokens run for {done['tokens_asked']:,} asked",
        f"{done['seconds']:,.1f} seconds",
    ]
    return "; ".join([", ".join(parts), *done["paths"]])


def how_made(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How the results were made, as names and values: command, work, versions, options given."""
    first = {key: results[key] for key in ("flr", "command", "finished")}
    made_with = results["made_with"]
    passes = [(f"pass {name}", _pass_words(done)) for name, done in made_with["passes"].items()]
    options = {name: value for name, value in results["options"].items() if value is not None}
    versions = flat("versions", made_with["versions"])
    return [*flat("", first), *passes, *versions, *flat("options", options)]


def fingerprints(results: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Everything that changes the bits of a piece of work, as names and values, by its name."""
    made_with = results["made_with"]
    found = {f"pass {name}": done["made_with"] for name, done in made_with["passes"].items()}
    for kind in ("sampling", "divergence"):
        found |= {f"{kind} {name}": known for name, known in made_with.get(kind, {}).items()}
    return {name: list(flat("", known)) for name, known in found.items()}

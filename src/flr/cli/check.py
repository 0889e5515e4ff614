"""`flr check`: is a file of preference data what its trainer will understand?"""

from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from flr.errors import CheckFailed
from flr.preferences.checking import check_file

Trainer = Literal[
    "trl-dpo", "trl-kto", "llama-factory", "llama-factory-kto", "openrlhf", "rewardbench"
]


def check(
    source: Annotated[str, Parameter(name="FILE", allow_leading_hyphen=True)],
    /,
    *,
    trainer: Annotated[Trainer, Parameter(name="--for")],
    against: str | None = None,
    tokenizer: str | None = None,
    max_length: int | None = None,
    split: str | None = None,
    limit: int | None = None,
) -> None:
    """Check that a trainer will understand a file of preference data, and lose nothing of it.

    Exit code 0 where all is well, 1 where something is wrong; warnings alone do not count.

    Args:
        source: JSONL, JSON, Parquet or CSV file, - for JSONL on standard input, or a dataset id.
        trainer: who is to read it.
        against: held-out file; its prompts must not be in FILE.
        tokenizer: model whose tokenizer and chat template count tokens; with --max-length.
        max_length: the trainer's limit, tokens of prompt and response.
        split: split of a dataset that has several.
        limit: check only the first rows.
    """
    console = Console(stderr=True)
    report = check_file(
        source,
        trainer,
        against=against,
        tokenizer=tokenizer,
        max_length=max_length,
        split=split,
        limit=limit,
    )
    for finding in report.findings:
        console.print(Text(str(finding), style="red" if finding.level == "error" else "yellow"))
    rows = f"{report.rows:,} row{'s' * (report.rows != 1)}"
    if report.errors:
        kinds = f"{report.errors} kind{'s' * (report.errors != 1)}"
        raise CheckFailed(f"{source}: {kinds} of errors in {rows}")
    console.print(Text(f"{source}: {rows} that {trainer} understands"))

"""`flr doctor`: is this model scored right here, and how fast?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flr.doctor import FLOORS, LEAST_LIMIT, Diagnosis, diagnose
from flr.errors import CheckFailed, OptionError
from flr.options import ScorerOptions
from flr.template_report import TemplateReport


@dataclass(frozen=True, kw_only=True)
class DoctorOptions(ScorerOptions):
    """What is examined."""

    set: str = "short"
    """Follow-up set: a name from `flr followups list`, or a YAML file; some of its categories:
    default:relevance+correctness."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward == "official":
            raise OptionError("--reward official: doctor compares log-likelihoods; leave it out")


def doctor(*, options: Annotated[DoctorOptions, Parameter(name="*")] = DoctorOptions()) -> None:
    """Check that a model is scored right on this machine, and how fast.

    Scores a few conversations as `flr score` does and a sample of their follow-ups one at a time,
    and prints the largest difference, the noise floor (the same follow-ups in other batches), the
    path taken and why, what the chat template does, the rate, and its share of the machine's limit.
    Exit code 1 where the difference is above max(1e-4, 3 times the floor) nats a token.

    Args:
        options: the model, and how it is scored.
    """
    with Console(stderr=True).status("loading and comparing"):
        found = diagnose(options)
    show(Console(highlight=False), found)
    if not found.ok:
        raise CheckFailed(
            f"scoring {found.model} in {found.dtype} differs from each row alone by "
            f"{found.largest_difference:.2g} nats a token, above the limit of {found.limit:.2g}: "
            "run the same with --dtype fp32. A difference that is gone there is rounding, and fp32 "
            "is the dtype to score with; one that stays is an error: please report it"
        )


def show(console: Console, found: Diagnosis) -> None:
    """Prints a diagnosis; no text of a model or template is read as markup."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, words, style in (*_model(found), *_template(found), *_numbers(found)):
        table.add_row(Text(name), Text(words, style))
    console.print(table)


Line = tuple[str, str, str]
"""Name, words, style."""


def _model(found: Diagnosis) -> Iterator[Line]:
    by_path = ", ".join(f"{number} {path}" for path, number in found.requests_by_path.items())
    yield "model", f"{found.model} ({found.identity[:12]}): {found.architecture}", ""
    yield "on", f"{found.device}, {found.dtype}", ""
    yield "path", f"{found.path} ({by_path})", ""


def _template(found: Diagnosis) -> Iterator[Line]:
    for number, fact in enumerate(_facts(found.template)):
        yield "" if number else "template", fact, ""
    whole = found.conversations - found.split
    yield (
        "token rows",
        f"{found.split} conversations from parts, {whole} tokenised whole for every follow-up",
        "",
    )
    for reason in found.left_out:
        yield "left out", repr(reason)[1:-1], "yellow"
    for number, line in enumerate(found.template.example.splitlines(keepends=True)):
        yield "" if number else "example", repr(line), "dim"


def _facts(template: TemplateReport) -> Iterator[str]:
    """What the template does, in words, of other things than placing turns one after the other."""
    if template.preamble:
        yield f"puts a text of its own first: {template.preamble!r}"
    if template.drops_thinking:
        yield "drops the think block of a response once a user turn follows"
    elif template.rewrites_history:
        yield "renders a response otherwise once a user turn follows"
    if template.trims:
        yield "trims white space at the ends of a text"
    if template.refused_roles:
        yield f"refuses the roles {', '.join(template.refused_roles)}"
    if template.lost_roles:
        yield f"leaves out, without an error, the roles {', '.join(template.lost_roles)}"
    if template.dated:
        yield "writes today's date, so that rewards change from day to day"
    yield "begins with {} BOS token{}".format(template.bos or "no", "s" * (template.bos > 1))


def _numbers(found: Diagnosis) -> Iterator[Line]:
    verdict = ("ok", "green") if found.ok else ("above the limit", "bold red")
    yield (
        "difference",
        f"largest {found.largest_difference:.2g}, mean {found.mean_difference:.2g} nats/token, "
        f"of {found.compared} follow-ups scored as usual and each alone",
        "",
    )
    yield (
        "noise floor",
        f"{found.noise_floor:.2g} nats/token: the same, plain, in other batches",
        "",
    )
    limit = f"{found.limit:.2g} nats/token = max({LEAST_LIMIT:g}, {FLOORS} x floor)"
    yield "limit", f"{limit}: {verdict[0]}", verdict[1]
    yield (
        "rate",
        f"{found.asked_rate:,.0f} tokens/s asked, {found.run_rate:,.0f} tokens/s run; one row at a "
        f"time {found.plain_rate:,.0f} tokens/s: {found.speedup:.3g} times as fast",
        "",
    )
    limit = f"products of matrices {found.matrix_rate / 1e9:,.0f} GFLOP/s"
    if found.flops is None or found.share is None:
        reason = "a model of experts or of several kinds of input, or packed weights"
        yield "share", f"not known: {reason}; {limit}", ""
    else:
        yield (
            "share",
            f"{found.share:.0%} of the machine's limit: the model's weights "
            f"{found.flops / 1e9:,.0f} GFLOP/s, {limit}",
            "",
        )

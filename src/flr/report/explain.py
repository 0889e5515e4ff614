"""What explains a reward: the follow-ups that moved most between two responses of one prompt.

From the values of result rows that carry `followups`; no model and no file is opened. With
d_f = l(f | first) - l(f | second) and n_f follow-ups of f's category k and polarity s_f = 1 or -1,

    reward(first) - reward(second) = sum_f share_k * s_f * d_f / n_f                     (1)

A longer or odder response moves all follow-ups of a category together. Equation (1) cancels that
part, so it is taken away before a follow-up's own contribution is told:

    shift_k        = (mean_{f in k, positive} d_f + mean_{f in k, negative} d_f) / 2       (2)
    contribution_f = share_k * s_f * (d_f - shift_k) / n_f                               (3)

and the contributions still sum to the difference of the two rewards.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
from jaxtyping import Float
from jinja2 import Environment, StrictUndefined
from rich.box import SIMPLE
from rich.console import Group
from rich.table import Table
from rich.text import Text

from flr.errors import UserError
from flr.rewards import VARIANTS, category_shares, per_followup
from flr.types import FollowUp, Message

EXCERPT = 280
"""Characters of a prompt or response that the terminal shows; the HTML page shows all."""

BAR_CELLS = 10
"""Terminal cells of the longest bar on each side of zero."""

_GOOD, _BAD = "blue", "dark_orange"

_VISIBLE = str.maketrans(
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: "\u2421"}
    | dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
    | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
)
"""What a terminal or a page would obey, not show: control characters become their pictures;
C1 controls, direction overrides, and lone surrogates (no encoding has them) become U+FFFD."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two responses, or the mean of many.

    Args:
        label: how it is called in the report (`chosen`, `response 1`, `mean of 200 rows`).
        response: its text; None where it is the mean of many.
        reward: its reward.
        by_category: its reward in each category.
        followups: what was scored, in the set's order.
        values: value of each follow-up.
    """

    label: str
    response: str | None
    reward: float
    by_category: Mapping[str, float]
    followups: tuple[FollowUp, ...]
    values: Float[np.ndarray, " followup"]


@dataclass(frozen=True, slots=True)
class Movement:
    """How one follow-up moved from the second side to the first.

    Args:
        followup: the follow-up.
        first: its value after the first response.
        second: its value after the second.
        shift: what its whole category moved by, equation (2).
        contribution: its part of the difference of the rewards, equation (3).
    """

    followup: FollowUp
    first: float
    second: float
    shift: float
    contribution: float

    @property
    def moved(self) -> float:
        """How much likelier it became beside its category; negative where less likely."""
        return self.first - self.second - self.shift


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """Everything that a report shows.

    Args:
        prompt: messages before the response; empty where the two sides share none.
        first: the response that is explained.
        second: what it is held against.
        variant: the variant of the rewards, a name in `rewards.VARIANTS`.
        weights: weight of each category; empty means equal ones.
        source: one line on how the rewards were made (model, set, file); may be empty.
    """

    prompt: tuple[Message, ...]
    first: Side
    second: Side
    variant: str = "mean"
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    source: str = ""

    @property
    def unit(self) -> str:
        """The unit of values and rewards."""
        return next(known.unit for known in VARIANTS if known.name == self.variant)


def _followup_of(place: str, entry: Any) -> tuple[FollowUp, float, int]:
    """One entry of a row's `followups`, checked; `place` names it in errors."""
    match entry:
        case {
            "text": str(text),
            "category": str(category),
            "polarity": 1 | -1 as polarity,
            "logprob": float() | int() as logprob,
            "tokens": int(tokens),
        } if tokens > 0:
            return FollowUp(text, category, int(polarity)), float(logprob), tokens
    raise UserError(
        f"{place}: expected text, category, polarity (1 or -1), logprob (a number) and tokens "
        f"(1 or more), got {repr(entry)[:200]}; make the file with flr score --per-followup"
    )


def _check_categories(followups: Sequence[FollowUp], categories: Iterable[str]) -> None:
    sides = {(followup.category, followup.polarity) for followup in followups}
    expected = {(category, polarity) for category in categories for polarity in (1, -1)}
    if not sides or sides != expected:
        lacking = ", ".join(
            f"{category} ({polarity:+d})" for category, polarity in sorted(expected ^ sides)
        )
        raise UserError(
            "followups: expected both polarities of every category of reward_by_category and no "
            f"other; these differ: {lacking or 'there is none'}"
        )


def read_side(
    label: str,
    response: str | None,
    reward: float,
    by_category: Mapping[str, float],
    followups: Sequence[Any],
    variant: str = "mean",
) -> Side:
    """One side from the fields of a result row.

    Args:
        label: how it is called in the report.
        response: its text.
        reward: the row's reward.
        by_category: the row's reward by category.
        followups: the row's `followups` for this response, as they lie in the file.
        variant: the file's variant. Baselines of `pmi` are not in the file and cancel between
            responses of one prompt, so `pmi` is explained by the means.

    Returns:
        The side, its values in the variant's unit.

    Raises:
        UserError: `followups` that are not of the written form, or not those of `by_category`.
    """
    read = [_followup_of(f"followups[{index}]", entry) for index, entry in enumerate(followups)]
    _check_categories([followup for followup, _, _ in read], by_category)
    sums = np.array([logprob for _, logprob, _ in read], dtype=np.float64)
    tokens = np.array([count for _, _, count in read], dtype=np.int64)
    values = per_followup(sums, tokens, "sum" if variant in ("sum", "official") else "mean")
    return Side(label, response, reward, by_category, tuple(entry[0] for entry in read), values)


def _check_same_set(first: Side, second: Side) -> None:
    if first.followups != second.followups or first.by_category.keys() != second.by_category.keys():
        raise UserError(
            f"{first.label} and {second.label} were scored with different follow-up sets; "
            "score both with one set to compare them"
        )


def mean_side(label: str, sides: Iterable[Side]) -> Side:
    """The mean of many sides, to hold one response against; the sides may come one by one.

    Args:
        label: how the mean is called in the report.
        sides: at least one, all scored with one follow-up set.

    Raises:
        UserError: no side at all, or sides of different sets.
    """
    model, count, total = None, 0, np.zeros(())
    for side in sides:
        model = model or side
        _check_same_set(side, model)
        figures = [side.reward, *(side.by_category[category] for category in model.by_category)]
        total = total + np.concatenate([figures, side.values])
        count += 1
    if model is None:
        raise UserError("no scored response to take the mean of; expected at least one")
    reward, *categories = (total / count)[: 1 + len(model.by_category)].tolist()
    by_category = dict(zip(model.by_category, categories, strict=True))
    values = (total / count)[1 + len(categories) :]
    return Side(label, None, reward, by_category, model.followups, values)


def _shifts(followups: Sequence[FollowUp], moved: Sequence[float]) -> dict[str, float]:
    """Equation (2) for every category."""
    sides: dict[tuple[str, int], list[float]] = {}
    for followup, difference in zip(followups, moved, strict=True):
        sides.setdefault((followup.category, followup.polarity), []).append(difference)
    means = {side: fmean(differences) for side, differences in sides.items()}
    return {category: (means[category, 1] + means[category, -1]) / 2 for category, _ in means}


def movements(first: Side, second: Side, weights: Mapping[str, float]) -> list[Movement]:
    """How every follow-up moved from `second` to `first`, the largest contribution first.

    Args:
        first: the response that is explained.
        second: what it is held against.
        weights: weight of each category; empty means equal ones.

    Returns:
        One movement a follow-up; their contributions sum to the difference of the rewards.

    Raises:
        UserError: sides that were scored with different follow-up sets.
    """
    _check_same_set(first, second)
    followups = first.followups
    categories = tuple(dict.fromkeys(followup.category for followup in followups))
    shares = category_shares(categories, weights or dict.fromkeys(categories, 1.0))
    sizes = Counter((followup.category, followup.polarity) for followup in followups)
    shifts = _shifts(followups, (first.values - second.values).tolist())
    moves = []
    for f, one, other in zip(followups, first.values.tolist(), second.values.tolist(), strict=True):
        moved = one - other - shifts[f.category]
        part = shares[f.category] * f.polarity * moved / sizes[f.category, f.polarity]  # (3)
        moves.append(Movement(f, one, other, shifts[f.category], part))
    return sorted(moves, key=lambda move: -abs(move.contribution))


def _printable(text: str) -> str:
    return text.replace("\r\n", "\n").translate(_VISIBLE)


def _one_line(text: str, longest: int | None = None) -> Text:
    line = " ".join(_printable(text).split())
    return Text(line if longest is None or len(line) <= longest else line[: longest - 1] + "…")


def _signed(number: float, digits: int = 3) -> str:
    return f"{number:+z.{digits}f}"


def _colour(number: float) -> str:
    return (_BAD, "", _GOOD)[1 + int(np.sign(number))]


def _bar(number: float, largest: float) -> Text:
    """A bar to the right of the middle for more than 0, to the left for less."""
    bar = "█" * round(BAR_CELLS * abs(number) / largest) if largest else ""
    left, right = ("", bar) if number > 0 else (bar, "")
    return Text(f"{left:>{BAR_CELLS}}│{right:<{BAR_CELLS}}", _colour(number))


def _texts_table(explained: Explained) -> Table:
    """The last prompt message and the responses, each cut to an excerpt."""
    table = Table.grid(padding=(0, 2))
    if explained.prompt:
        table.add_row(Text("prompt"), _one_line(explained.prompt[-1].content, EXCERPT))
    for side in (explained.first, explained.second):
        if side.response is not None:
            table.add_row(_one_line(side.label), _one_line(side.response, EXCERPT))
    return table


def _rewards_table(explained: Explained) -> Table:
    first, second = explained.first, explained.second
    largest = max(
        abs(first.by_category[name] - second.by_category[name]) for name in first.by_category
    )
    table = Table(title=f"Reward ({explained.unit})", title_justify="left", box=SIMPLE)
    table.add_column("category")
    for header in (first.label, second.label, "difference"):
        table.add_column(_one_line(header), justify="right")
    table.add_column("")
    for name, one in first.by_category.items():
        other = second.by_category[name]
        figures = map(_signed, (one, other, one - other))
        table.add_row(_one_line(name), *figures, _bar(one - other, largest))
    table.add_section()
    figures = map(_signed, (first.reward, second.reward, first.reward - second.reward))
    table.add_row("reward", *figures, style="bold")
    return table


def _movers_table(title: str, moves: Sequence[Movement]) -> Table:
    table = Table(title=_one_line(title), title_justify="left", box=SIMPLE)
    table.add_column("")
    table.add_column("the user's words")
    table.add_column("category")
    table.add_column("moved", justify="right")
    table.add_column("adds", justify="right")
    for move in moves:
        mark = Text("+", _GOOD) if move.followup.polarity > 0 else Text("-", _BAD)
        words, category = _one_line(move.followup.text), _one_line(move.followup.category)
        adds = Text(_signed(move.contribution, 4), _colour(move.contribution))
        table.add_row(mark, words, category, _signed(move.moved), adds)
    return table


def render_terminal(explained: Explained, top: int = 5) -> Group:
    """The report for a terminal: texts, reward by category, the follow-ups that moved most.

    Args:
        explained: what to show.
        top: follow-ups in each of the two lists, likelier and less likely.

    Raises:
        UserError: sides that were scored with different follow-up sets.
    """
    first, second = explained.first, explained.second
    moves = movements(first, second, explained.weights)
    likelier = [move for move in moves if move.moved > 0][:top]
    less_likely = [move for move in moves if move.moved < 0][:top]
    note = (
        "+ is said by a satisfied user, - by a dissatisfied one. moved: beside its category, "
        f"{explained.unit}. adds: to the difference of the rewards."
    )
    return Group(
        *([_one_line(explained.source)] if explained.source else []),
        _texts_table(explained),
        Text(),
        _rewards_table(explained),
        _movers_table(f"Likelier after {first.label} than after {second.label}", likelier),
        _movers_table(f"Less likely after {first.label} than after {second.label}", less_likely),
        Text(note, "dim"),
    )


_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{ first.label }} against {{ second.label }}: what explains the reward</title>
<style>
:root { color-scheme: light dark; --ink: #1d2126; --dim: #59616b; --line: #d8dce1;
  --paper: #ffffff; --tint: #f4f6f8; --good: #1b64a5; --bad: #a54a0c; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e4e7eb; --dim: #a3abb5; --line: #3a4048; --paper: #16191d; --tint: #20242a;
    --good: #74b3ec; --bad: #f0a36b; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 66rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.55 system-ui, sans-serif; }
h1 { font-size: 1.55rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: .25rem 0; }
.dim { color: var(--dim); font-size: .9rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: plaintext;
  margin: .35rem 0 0; }
.card { background: var(--tint); border-radius: .5rem; padding: .8rem 1rem; margin: 0 0 .75rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 0 .75rem; align-items: start; }
.wide { overflow-x: auto; margin: 0 0 1.5rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: start; padding: .4rem 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: start;
  font-weight: normal; vertical-align: baseline; }
thead th { color: var(--dim); font-size: .85rem; }
.words { overflow-wrap: anywhere; min-width: 14rem; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.total > * { font-weight: 600; border-bottom: 0; }
.up { color: var(--good); }
.down { color: var(--bad); }
.bar { position: relative; width: 9rem; height: .75rem;
  background: linear-gradient(var(--dim), var(--dim)) center / 1px 100% no-repeat; }
.bar i { position: absolute; top: .1rem; bottom: .1rem; background: currentColor;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
.bar .up { left: 50%; }
.bar .down { right: 50%; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .card { border: 1px solid var(--line); }
  .wide { overflow: visible; }
  tr, h2, h3, caption { break-inside: avoid; break-after: avoid; } }
</style>
</head>
<body>
{%- macro number(value, coloured=false, digits=3) -%}
<td class="number{% if coloured %} {{ value | direction }}{% endif %}">
{{- value | signed(digits) }}</td>
{%- endmacro %}
{%- macro bar(value, largest) -%}
<td><div class="bar" aria-hidden="true"><i class="{{ value | direction }}" style="width: {{
  '%.1f' % (50 * (value | abs) / largest if largest else 0) }}%"></i></div></td>
{%- endmacro %}
{%- macro text(content) -%}
{% if content %}<div class="text" dir="auto">{{ content }}</div>{% else %}
<p class="dim">Empty.</p>{% endif %}
{%- endmacro %}
<header>
<h1>What explains the reward:
<bdi>{{ first.label }}</bdi> against <bdi>{{ second.label }}</bdi></h1>
{% if source %}<p class="dim" dir="auto">{{ source }}</p>{% endif %}
</header>
<main>
{% if prompt %}
<section aria-labelledby="prompt">
<h2 id="prompt">Prompt</h2>
{% for message in prompt %}
<div class="card"><h3>{{ message.role }}</h3>
{{ text(message.content) }}</div>
{% endfor %}
</section>
{% endif %}
<section aria-labelledby="responses">
<h2 id="responses">Responses</h2>
<div class="two">
{% for side in (first, second) %}
<div class="card"><h3><bdi>{{ side.label }}</bdi></h3>
<p class="dim">reward {{ side.reward | signed }} {{ unit }}</p>
{% if side.response is none %}<p class="dim">A mean of many responses, without a text.</p>
{% else %}{{ text(side.response) }}{% endif %}</div>
{% endfor %}
</div>
</section>
<section aria-labelledby="rewards">
<h2 id="rewards">Reward by category</h2>
<div class="wide">
<table>
<thead><tr><th scope="col">Category</th>
<th scope="col" class="number"><bdi>{{ first.label }}</bdi></th>
<th scope="col" class="number"><bdi>{{ second.label }}</bdi></th>
<th scope="col" class="number">Difference, {{ unit }}</th><td></td></tr></thead>
<tbody>
{% for part in parts %}
<tr><th scope="row"><bdi>{{ part.category }}</bdi></th>
{{ number(part.first) }}{{ number(part.second) }}
{{ number(part.difference, true) }}{{ bar(part.difference, largest_part) }}</tr>
{% endfor %}
<tr class="total"><th scope="row">Reward</th>{{ number(first.reward) }}{{ number(second.reward) }}
{{ number(first.reward - second.reward, true) }}<td></td></tr>
</tbody>
</table>
</div>
</section>
<section aria-labelledby="moved">
<h2 id="moved">The user’s words that moved most</h2>
{% for part in parts %}
<div class="wide">
<table>
<caption><h3><bdi>{{ part.category }}</bdi></h3>
<span class="dim">{{ part.shown | length }} of {{ part.count }} follow-ups; the whole category
moved by {{ part.shift | signed }}, which no reward counts.</span></caption>
<thead><tr><th scope="col">Said by a user who is</th><th scope="col">Follow-up</th>
<th scope="col" class="number"><bdi>{{ first.label }}</bdi></th>
<th scope="col" class="number"><bdi>{{ second.label }}</bdi></th>
<th scope="col" class="number">Moved</th><th scope="col" class="number">Adds</th>
<td></td></tr></thead>
<tbody>
{% for move in part.shown %}
<tr><td>{{ '+ satisfied' if move.followup.polarity > 0 else '− dissatisfied' }}</td>
<th scope="row" class="words" dir="auto">{{ move.followup.text }}</th>
{{ number(move.first) }}{{ number(move.second) }}{{ number(move.moved) }}
{{ number(move.contribution, true, 4) }}{{ bar(move.contribution, largest_move) }}</tr>
{% endfor %}
</tbody>
</table>
</div>
{% endfor %}
</section>
</main>
<footer class="dim">
<p>A follow-up’s value is how likely the user is to say it next, in {{ unit }}. A category’s reward
is the mean over what a satisfied user says minus the mean over what a dissatisfied one says. Moved:
the difference of the two values, less what the whole category moved by. Adds: its part of the
difference of the two rewards; over all follow-ups these sum to it.</p>
</footer>
</body>
</html>
"""


def _direction(number: float) -> str:
    return ("down", "", "up")[1 + int(np.sign(number))]


def _page_signed(number: float, digits: int = 3) -> str:
    return _signed(number, digits).replace("-", "−")


# Every expression is made printable, then escaped; a name that is missing is an error.
_PAGES = Environment(
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    finalize=lambda value: _printable(value) if isinstance(value, str) else value,
)
_PAGES.filters.update(signed=_page_signed, direction=_direction)


def _part(
    explained: Explained, category: str, moves: Sequence[Movement], top: int
) -> dict[str, Any]:
    """What the page shows of one category."""
    own = [move for move in moves if move.followup.category == category]
    one, other = (side.by_category[category] for side in (explained.first, explained.second))
    return {
        "category": category,
        "first": one,
        "second": other,
        "difference": one - other,
        "shift": own[0].shift,
        "count": len(own),
        "shown": own[:top],
    }


def render_html(explained: Explained, top: int = 6) -> str:
    """The report as one HTML page that needs nothing from elsewhere and runs no script.

    Args:
        explained: what to show.
        top: follow-ups of each category.

    Returns:
        The page, all text in it escaped; it can be written as UTF-8 whatever the texts hold.

    Raises:
        UserError: sides that were scored with different follow-up sets.
    """
    moves = movements(explained.first, explained.second, explained.weights)
    parts = [_part(explained, name, moves, top) for name in explained.first.by_category]
    return _PAGES.from_string(_PAGE).render(
        prompt=explained.prompt,
        first=explained.first,
        second=explained.second,
        source=explained.source,
        unit=explained.unit,
        parts=parts,
        largest_part=max(abs(part["difference"]) for part in parts),
        largest_move=max(abs(move.contribution) for move in moves),
    )

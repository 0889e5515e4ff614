"""Examines whether a model is scored right here, and how fast: `flr doctor`.

A few conversations are scored in the way that scoring takes by itself (shared prefixes, where the
model allows it), and a sample of the same requests as simply as can be: each row alone, in full, by
the model's own attention. How far the two may lie apart is measured, not guessed: the same sample
in padded batches of several sizes differs from itself alone by rounding only, and the largest such
difference is the noise floor of this model, dtype and machine.

    difference = max over requests |l_scored - l_alone|                 nats/token
    floor      = max over batches, requests |l_batch - l_alone|         nats/token
    limit      = max(1e-4, 3 * floor)

with l a follow-up's mean log-likelihood over its tokens. Where every row takes the plain path, what
is compared is that path in batches with rows alone. Some processors round a row alike in every
batch; the floor is then far below the rounding of a 16-bit dtype, and the limit strict: the same
model in fp32 tells rounding, which vanishes there, from an error, which stays.

It does not say whether a model is any good as a follow-up model, and it compares log-likelihoods
only, not the raw logits that the reward `official` is made of.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from flr import devices, speed, template_report
from flr.engines.base import Request
from flr.engines.hf import HFEngine
from flr.errors import OptionError, RenderError
from flr.loading import make_scorer, prepare
from flr.options import ScorerOptions
from flr.scoring import Scorer
from flr.sources import engine_of
from flr.template_report import TemplateReport
from flr.types import Conversation, Message

LEAST_LIMIT = 1e-4
"""A difference up to this is never an error, nats/token."""

FLOORS = 3
"""How many noise floors a difference may be."""

COMPARED = 6
"""Follow-ups of each conversation that are also scored alone, evenly spaced over the set."""

SMALL_BUDGET = 128
"""Most tokens a forward pass of a second run, in which long prefixes are kept between passes."""

_READINGS = "\n".join(
    f"{6 + i // 4:02}:{i % 4 * 15:02} pump {i % 3 + 1}: {20 + i * 7 % 13} bar" for i in range(20)
)
_CODE = "def reverse(text: str) -> str:\n    return text[::-1]\n"

CONVERSATIONS = (
    Conversation.of("Which city is the capital of Australia?", "The capital is Canberra."),
    Conversation.of("Which city is the capital of Australia?", "Sydney, of course!"),
    Conversation.of("Which city is the capital of Australia?", ""),
    Conversation.of("hi", "Hello! What can I do for you?"),
    Conversation.of("What is 17 * 23?", "17 * 23 = 391"),
    Conversation.of("Reverse a string in Python, please.", f"Here it is:\n\n```python\n{_CODE}```"),
    Conversation.of("Übersetze: 'good night'", "Gute Nacht \N{CRESCENT MOON}"),
    Conversation.of("Name three rivers in Africa.", "1. Nile\n2. Congo\n3. Amazon"),
    Conversation(
        (
            Message("user", "My cat won't eat \N{CRYING CAT FACE}"),
            Message("assistant", "I'm sorry to hear that! How old is she?"),
            Message("user", "11, and since yesterday…"),
            Message("assistant", "At that age a day is long: call the vet today \N{HOSPITAL}"),
        )
    ),
    Conversation.of(
        f"When was the pressure highest?\n\n{_READINGS}", "Several times: see the lines of 32 bar."
    ),
)
"""Short and long, with several turns, code, emoji, an empty response and a shared prompt."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an examination found. Differences are of a follow-up's mean log-likelihood, nats/token.

    Args:
        path: which path rows take, and why.
        requests_by_path: how many requests of the run went which way.
        largest_difference: between scoring and each row alone.
        mean_difference: the mean of the same differences.
        compared: how many follow-ups were compared.
        noise_floor: largest difference between rows in plain batches and each row alone.
        template: what the chat template does to a conversation.
        conversations: how many were scored.
        split: of how many of them the rows were put together from parts, not tokenised whole.
        left_out: why each of the other conversations could not be rendered.
        asked_rate: tokens of the requests, one full row each, by the seconds of scoring them.
        run_rate: tokens that went through the model, by the same seconds.
        plain_rate: as `asked_rate`, of rows scored alone.
        flops: floating-point operations a second of the model's weights in the same run; None where
            they cannot be counted (`flr.speed.flops`).
        matrix_rate: those of plain products of matrices, measured in the same minute.
        dtype: of the model's weights.
        device: kind of processor.
        architecture: class and number of parameters of the model.
        model: its name as given; empty where it came loaded.
        identity: which bytes it is; empty where it came loaded.
    """

    path: str
    requests_by_path: Mapping[str, int]
    largest_difference: float
    mean_difference: float
    compared: int
    noise_floor: float
    template: TemplateReport
    conversations: int
    split: int
    left_out: tuple[str, ...]
    asked_rate: float
    run_rate: float
    plain_rate: float
    flops: float | None
    matrix_rate: float
    dtype: str
    device: str
    architecture: str
    model: str = ""
    identity: str = ""

    @property
    def limit(self) -> float:
        """The largest difference that rounding explains, nats/token."""
        return max(LEAST_LIMIT, FLOORS * self.noise_floor)

    @property
    def ok(self) -> bool:
        """Whether scoring differs from each row alone by no more than the limit."""
        return self.largest_difference <= self.limit

    @property
    def speedup(self) -> float:
        """How many times faster scoring was than each row alone."""
        return self.asked_rate / self.plain_rate

    @property
    def share(self) -> float | None:
        """What part of the machine's limit scoring reached (`flr.speed`)."""
        return None if self.flops is None else self.flops / self.matrix_rate


@dataclass(frozen=True, slots=True)
class _Asked:
    """The requests of all conversations, one after the other, and which of them are compared."""

    requests: list[Request]
    sample: list[int]
    split: list[bool]
    left_out: tuple[str, ...]


def _ask(scorer: Scorer, conversations: Sequence[Conversation]) -> _Asked:
    """Renders every conversation with every follow-up; one that cannot be rendered is left out."""
    texts = [followup.text for followup in scorer.followup_set.followups]
    spaced = sorted({i * len(texts) // COMPARED for i in range(COMPARED)})
    asked, errors = _Asked([], [], [], ()), list[RenderError]()
    for conversation in conversations:
        try:
            made = scorer.renderer.followups(conversation, texts)
        except RenderError as error:
            errors.append(error)
            continue
        asked.sample.extend(len(asked.requests) + i for i in spaced)
        asked.requests.extend(Request(r.tokens[: r.stop], r.start, r.stop) for r in made.rows)
        asked.split.append(made.split)
    if not asked.split and errors:
        raise errors[0]
    return replace(asked, left_out=tuple(map(str, errors)))


def _means(engine: HFEngine, requests: Sequence[Request]) -> Float[np.ndarray, " request"]:
    """Mean log-likelihood of each continuation over its tokens, nats/token."""
    return np.array([answer.total / answer.tokens for answer in engine.loglikelihoods(requests)])


def _timed(
    engine: HFEngine, requests: Sequence[Request]
) -> tuple[Float[np.ndarray, " request"], float]:
    """The same, and the seconds that it took once the model was warm."""
    _means(engine, requests[:1])
    engine.tally = type(engine.tally)()
    begun = time.perf_counter()
    means = _means(engine, requests)
    return means, time.perf_counter() - begun


def _batch_sizes(requests: Sequence[Request], most: int) -> list[int]:
    """Tokens of padded batches: 2 of the longest row, and 4 and 8 where a forward may hold them."""
    longest = max(len(request.tokens) for request in requests)
    return [2 * longest, *(n * longest for n in (4, 8) if n * longest <= most)]


def _noise_floor(
    engine: HFEngine, sample: Sequence[Request], alone: Float[np.ndarray, " request"]
) -> float:
    """The largest difference that the company of other rows makes on the plain path."""
    sizes = _batch_sizes(sample, engine.batch_tokens)
    batched = [HFEngine(engine.model, share=False, batch_tokens=size) for size in sizes]
    return max(float(np.abs(_means(plain, sample) - alone).max()) for plain in batched)


def _path(engine: HFEngine) -> str:
    """Which path rows take, and why."""
    if engine.sharing.longest is None:
        return f"{engine.describe()}: its attention is plain causal, and a probe agreed"
    return engine.describe()


def examine(scorer: Scorer, conversations: Sequence[Conversation] = CONVERSATIONS) -> Diagnosis:
    """Compares how a scorer scores with each row alone, and times both.

    Args:
        scorer: its engine is an `HFEngine`; its variant of the reward has no say here.
        conversations: at least one.

    Raises:
        RenderError: none of the conversations can be rendered.
        ModelError: the model's log-likelihoods are not finite.
        OptionError: an engine that has no plain path to compare with.
    """
    assert conversations, "something to score"
    engine = scorer.engine
    if not isinstance(engine, HFEngine):
        raise _one_path(engine.name)
    template, asked = template_report.describe(scorer.renderer), _ask(scorer, conversations)
    sample = [asked.requests[i] for i in asked.sample]
    model = engine.model
    scored, seconds = _timed(engine, asked.requests)
    alone, alone_seconds = _timed(HFEngine(model, share=False, batch_tokens=1), sample)
    small = HFEngine(model, batch_tokens=min(SMALL_BUDGET, engine.batch_tokens))
    differences = np.abs([scored[asked.sample] - alone, _means(small, sample) - alone])
    work = speed.flops(model, engine.tally.tokens_run, engine.tally.positions)
    return Diagnosis(
        path=_path(engine),
        requests_by_path=dict(engine.tally.paths),
        largest_difference=float(differences.max()),
        mean_difference=float(differences.mean()),
        compared=len(sample),
        noise_floor=_noise_floor(engine, sample, alone),
        template=template,
        conversations=len(asked.split),
        split=sum(asked.split),
        left_out=asked.left_out,
        asked_rate=engine.tally.tokens_asked / seconds,
        run_rate=engine.tally.tokens_run / seconds,
        plain_rate=sum(len(request.tokens) for request in sample) / alone_seconds,
        flops=None if work is None else work / seconds,
        matrix_rate=speed.matrix_rate(model.dtype, model.device),
        dtype=str(model.dtype).removeprefix("torch."),
        device=devices.describe_device(str(model.device)),
        architecture=f"{type(model).__name__}, {model.num_parameters() / 1e6:.4g} M parameters",
    )


def _one_path(engine: str) -> OptionError:
    return OptionError(f"the engine {engine!r} has one path only; 'hf' was expected")


def diagnose(options: ScorerOptions) -> Diagnosis:
    """Loads the model that the options name and examines it.

    Raises:
        UserError: what the options name cannot be found or used.
    """
    engine = engine_of(options.model)
    if engine != "hf":
        raise _one_path(engine)  # before a model is loaded for it
    parts = prepare(options)
    found = examine(make_scorer(options, parts))
    return replace(found, model=parts.source.name, identity=parts.source.identity)

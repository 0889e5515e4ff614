"""The rule of `flr doctor` on tiny models, with errors of known size put into the engine."""

import math
from collections.abc import Callable
from typing import cast

import pytest

from flr import doctor, followups, speed
from flr.chat import Renderer
from flr.doctor import COMPARED, CONVERSATIONS, SMALL_BUDGET, diagnose, examine
from flr.engines.base import LogLikelihood, Request
from flr.engines.hf import HFEngine
from flr.engines.prefix_tree import Trunk, plan
from flr.engines.toy import ToyEngine
from flr.errors import ContextOverflowError, OptionError
from flr.options import ScorerOptions
from flr.scoring import Scorer
from flr.types import Conversation
from tests.engines.tiny import build
from tests.templates import kind

SHORT = followups.load("short")
ASKED = len(CONVERSATIONS) * len(SHORT.followups)

Error = Callable[[HFEngine, Request], float]
"""What is added to a request's mean log-likelihood, nats/token."""


def renderer(max_tokens: int | None = None) -> Renderer:
    return Renderer(kind("chatml").tokenizer, max_tokens=max_tokens)


def scorer_of(name: str) -> Scorer:
    model = build(name, vocab_size=512, max_position_embeddings=2048)
    return Scorer(HFEngine(model), renderer(), SHORT)


@pytest.fixture(autouse=True)
def _small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SIZES", {"cpu": ((8, 4, 2),)})


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return scorer_of("llama")


def sabotage(monkeypatch: pytest.MonkeyPatch, error: Error) -> None:
    true = HFEngine.loglikelihoods

    def wrong(engine: HFEngine, requests: list[Request]) -> list[LogLikelihood]:
        return [
            LogLikelihood(tuple(one + error(engine, request) for one in answer.per_token))
            for request, answer in zip(requests, true(engine, requests), strict=True)
        ]

    monkeypatch.setattr(HFEngine, "loglikelihoods", wrong)


def shares(engine: HFEngine) -> bool:
    return engine.sharing.longest is None


def test_a_right_engine_passes_on_the_shared_path(scorer: Scorer) -> None:
    found = examine(scorer)
    assert found.ok
    assert found.limit == 1e-4
    assert 0 < found.mean_difference <= found.largest_difference < 1e-5
    assert 0 < found.noise_floor < 1e-5
    assert found.path.startswith("shared for every row: ")
    assert found.requests_by_path == {"shared": ASKED}
    assert found.compared == COMPARED * len(CONVERSATIONS)
    assert (found.conversations, found.split, found.left_out) == (len(CONVERSATIONS),) * 2 + ((),)
    assert (found.dtype, found.device[:3]) == ("float32", "cpu")
    assert found.architecture.startswith("LlamaForCausalLM, 0.")
    assert found.template.example


def test_rates_are_of_one_run(scorer: Scorer) -> None:
    found, again = examine(scorer), examine(scorer)
    tally = scorer.engine.tally
    assert math.isclose(
        found.asked_rate / found.run_rate, tally.tokens_asked / tally.tokens_run, rel_tol=1e-9
    )
    assert again.requests_by_path == {"shared": ASKED}  # not those of both examinations
    assert found.speedup == found.asked_rate / found.plain_rate > 0


def test_the_share_is_of_what_the_weights_multiply(scorer: Scorer) -> None:
    found = examine(scorer)
    tally, model = scorer.engine.tally, cast("HFEngine", scorer.engine).model
    work = speed.flops(model, tally.tokens_run, tally.positions)
    seconds = tally.tokens_run / found.run_rate
    assert work
    assert found.flops
    assert math.isclose(found.flops, work / seconds, rel_tol=1e-9)
    assert found.share == found.flops / found.matrix_rate


def test_conversations_exercise_trunks_and_kept_prefixes(scorer: Scorer) -> None:
    texts = [followup.text for followup in SHORT.followups]
    rows = [row for c in CONVERSATIONS for row in scorer.renderer.followups(c, texts).rows]
    tokens = [row.tokens for row in rows]
    wanted = [slice(row.start - 1, row.stop - 1) for row in rows]
    steps = {budget: plan(tokens, wanted, budget=budget).steps for budget in (SMALL_BUDGET, 4096)}
    assert any(step.keep for step in steps[SMALL_BUDGET])
    trunks = [piece for step in steps[4096] for piece in step.pieces if isinstance(piece, Trunk)]
    assert any(trunk.end > trunk.stop for trunk in trunks)


@pytest.mark.parametrize(("size", "ok"), [(0.25, False), (2e-4, False), (5e-5, True)])
def test_an_error_of_the_shared_path_is_measured(
    monkeypatch: pytest.MonkeyPatch, scorer: Scorer, size: float, ok: bool
) -> None:
    sabotage(monkeypatch, lambda engine, _: size * shares(engine))
    found = examine(scorer)
    assert found.largest_difference == pytest.approx(size, abs=1e-5)
    assert found.mean_difference == pytest.approx(size, abs=1e-5)
    assert found.noise_floor < 1e-5
    assert found.ok is ok


def test_an_error_of_kept_prefixes_alone_is_seen(
    monkeypatch: pytest.MonkeyPatch, scorer: Scorer
) -> None:
    sabotage(
        monkeypatch,
        lambda engine, _: 0.1 * (shares(engine) and engine.batch_tokens <= SMALL_BUDGET),
    )
    found = examine(scorer)
    assert found.largest_difference == pytest.approx(0.1, abs=1e-5)
    assert found.mean_difference == pytest.approx(0.05, abs=1e-5)  # one run of two
    assert not found.ok


def test_one_wrong_request_is_enough(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    made = scorer.renderer.followups(CONVERSATIONS[4], [SHORT.followups[0].text])
    wrong = made.rows[0].tokens[: made.rows[0].stop]
    sabotage(monkeypatch, lambda engine, r: 0.1 * (shares(engine) and r.tokens == wrong))
    found = examine(scorer)
    assert found.largest_difference == pytest.approx(0.1, abs=1e-5)
    assert found.mean_difference == pytest.approx(0.1 / found.compared, abs=1e-5)
    assert not found.ok


@pytest.mark.parametrize(("floors", "ok"), [(2.9, True), (3.1, False)])
def test_limit_is_three_noise_floors(
    monkeypatch: pytest.MonkeyPatch, scorer: Scorer, floors: float, ok: bool
) -> None:
    def error(engine: HFEngine, _: Request) -> float:
        batch = 0.0 if engine.batch_tokens == 1 else 0.02
        return floors * 0.02 if shares(engine) else batch

    sabotage(monkeypatch, error)
    found = examine(scorer)
    assert found.noise_floor == pytest.approx(0.02, abs=1e-5)
    assert found.limit == 3 * found.noise_floor
    assert found.ok is ok


def test_floor_is_the_largest_over_several_batch_sizes(
    monkeypatch: pytest.MonkeyPatch, scorer: Scorer
) -> None:
    sizes = set[int]()

    def error(engine: HFEngine, _: Request) -> float:
        if shares(engine) or engine.batch_tokens == 1:
            return 0.0
        sizes.add(engine.batch_tokens)
        return 0.01 * len(sizes)

    sabotage(monkeypatch, error)
    found = examine(scorer)
    assert len(sizes) >= 2
    assert max(sizes) <= scorer.engine.batch_tokens  # pyright: ignore[reportAttributeAccessIssue]
    assert found.noise_floor == pytest.approx(0.01 * len(sizes), abs=1e-5)


def test_a_model_that_cannot_share_is_compared_in_batches() -> None:
    found = examine(scorer_of("mamba"), CONVERSATIONS[:3])
    assert found.ok
    assert found.path.startswith("plain for every row: ")
    assert found.requests_by_path == {"plain": 3 * len(SHORT.followups)}
    assert found.largest_difference < 1e-5


def test_what_does_not_fit_is_left_out_and_said(scorer: Scorer) -> None:
    long, short = CONVERSATIONS[-1], CONVERSATIONS[0]
    small = Scorer(scorer.engine, renderer(256), SHORT)
    found = examine(small, [long, short])
    assert (found.conversations, len(found.left_out)) == (1, 1)
    assert found.requests_by_path == {"shared": len(SHORT.followups)}
    with pytest.raises(ContextOverflowError):
        examine(small, [long])


def test_rows_tokenised_whole_are_counted(scorer: Scorer) -> None:
    plain = Scorer(scorer.engine, Renderer(kind("plain").tokenizer), SHORT)
    found = examine(plain, [Conversation.of("Say hi.", "Hi!")])
    assert (found.conversations, found.split) == (1, 0)
    assert found.ok


def test_an_engine_of_one_path_is_refused() -> None:
    with pytest.raises(OptionError, match=r"'toy'.*'hf' was expected"):
        examine(Scorer(ToyEngine(), renderer(), SHORT))
    with pytest.raises(OptionError, match=r"'vllm'.*'hf' was expected"):  # no model is looked for
        diagnose(ScorerOptions(model="vllm:no/such"))


def test_fewer_followups_than_are_compared(monkeypatch: pytest.MonkeyPatch, scorer: Scorer) -> None:
    monkeypatch.setattr(doctor, "COMPARED", 100)
    assert examine(scorer, CONVERSATIONS[:1]).compared == len(SHORT.followups)


ARCHITECTURES = {
    "llama": True,
    "qwen2": True,
    "qwen3": True,
    "mistral": False,
    "gemma2": False,
    "gemma3": False,
    "phi3": True,
    "gpt2": True,
    "mamba": False,
}
"""Whether the doctor's conversations, longer than the tiny windows, are shared."""


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_passes_in_fp32(name: str) -> None:
    found = examine(scorer_of(name), CONVERSATIONS[:3])
    assert found.ok
    assert found.largest_difference < 1e-4
    assert ("shared" in found.requests_by_path) == ARCHITECTURES[name]

from pathlib import Path

import numpy as np
import pytest

from flr import followups
from flr.errors import OptionError
from flr.evaluation.arms import Arm, Arms, parse
from flr.evaluation.passes import ClassifierPass, ModelPass
from flr.measuring import Measured, Values, Wanted
from flr.options import ModelOptions
from flr.scoring import value
from tests.evaluation.planted import pairs

SHORT = followups.load("short")
DEFAULT = followups.load("default")
ITEM = pairs().items[0]


@pytest.fixture
def options(tiny_model: Path) -> ModelOptions:
    return ModelOptions(model=str(tiny_model), dtype="fp32", threads=1)


def named(arms: Arms) -> list[str]:
    return [arm.name for arm in arms.arms]


def only_arm(text: str, options: ModelOptions) -> Arm:
    (arm,) = parse(text, options, seed=0).arms
    return arm


def only_pass(arms: Arms) -> ModelPass:
    (found,) = arms.passes.values()
    assert isinstance(found, ModelPass)
    return found


def measured(count: int, *, start: float = 0.0) -> Measured:
    numbers = tuple(start - 0.5 * at - 1 for at in range(count))
    return Measured(
        followups=Values(numbers, (3,) * count),
        baselines=Values(tuple(2 * number for number in numbers), (2,) * count),
        logits=Values(tuple(-number for number in numbers), (3,) * count),
        response=Values((start - 6.0,), (4,)),
    )


def test_every_name_and_its_key(options: ModelOptions) -> None:
    model = options.model
    text = (
        f"flr:short,flr:sum:short,flr:pmi,flr:official:short,direct,length,random,judge:{model},"
        f"dpo:{model}:{model}"
    )
    arms = parse(text, options, seed=0)
    assert named(arms) == [
        "flr:mean:short",
        "flr:sum:short",
        "flr:pmi:default",
        "flr:official:short",
        "direct:mean",
        "direct:sum",
        "length",
        "random",
        f"judge:{model}",
        f"dpo:{model}:{model}",
    ]
    assert arms.reference == "flr:mean:short"
    assert list(arms.passes) == [model, f"judge:{model}"]


def test_a_set_is_a_name_or_a_file(options: ModelOptions, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(followups.to_yaml(SHORT).replace("name: short", "name: mine"), "utf-8")
    arms = parse(f"flr:{path},flr:sum:{path},flr:short", options, seed=0)
    assert named(arms) == ["flr:mean:mine", "flr:sum:mine", "flr:mean:short"]
    assert len(only_pass(arms).parts.texts) == 48


def test_two_sets_of_one_name_are_refused(options: ModelOptions, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(followups.to_yaml(DEFAULT).replace("name: default", "name: short"), "utf-8")
    with pytest.raises(OptionError, match="two follow-up sets are named 'short'"):
        parse(f"flr:short,flr:{path}", options, seed=0)


def test_a_set_may_be_some_categories_of_one(options: ModelOptions, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(followups.to_yaml(SHORT).replace("name: short", "name: mine"), "utf-8")
    text = "flr:mean:default:relevance+correctness,flr:short:following,flr"
    arms = parse(f"{text},flr:sum:{path}:relevance", options, seed=0)
    assert named(arms) == [
        "flr:mean:default:relevance+correctness",
        "flr:mean:short:following",
        "flr:mean:default",
        "flr:sum:mine:relevance",
    ]
    sets = only_pass(arms).parts.followup_sets
    assert [one.categories for one in sets][:2] == [("relevance", "correctness"), ("following",)]


def test_each_of_several_follow_up_models_makes_the_rewards(
    options: ModelOptions, tiny_model: Path
) -> None:
    other = f"{tiny_model}/"
    models = [options.model, other, options.model]
    text = f"flr:short,direct,length,dpo:{other}:{options.model}"
    arms = parse(text, options, seed=0, models=models)
    assert named(arms) == [
        *(f"flr:mean:short@{model}" for model in (options.model, other)),
        *(f"direct:{way}@{model}" for model in (options.model, other) for way in ("mean", "sum")),
        "length",
        f"dpo:{other}:{options.model}",
    ]
    assert list(arms.passes) == [options.model, other]
    for arm in arms.arms[:2]:
        assert arm.passes == (arm.name.partition("@")[2],)
    for one in arms.passes.values():
        assert isinstance(one, ModelPass)
        assert one.parts.wanted == Wanted(followups=True, response=True)


def test_rewards_of_one_model_share_its_pass(options: ModelOptions) -> None:
    arms = parse("flr:short,direct,flr:official:short,flr", options, seed=0)
    asked = only_pass(arms)
    assert asked.parts.followup_sets == (SHORT, DEFAULT)
    assert asked.parts.wanted == Wanted(followups=True, logits=True, response=True)
    assert parse("length,direct", options, seed=0).reference == "length"


def test_a_name_twice_is_one_reward(options: ModelOptions) -> None:
    assert named(parse("length, length ,flr:short,flr:mean:short", options, seed=0)) == [
        "length",
        "flr:mean:short",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected one of flr"),
        ("flr,,length", "no reward ''"),
        ("lenght", "Did you mean 'length'"),
        ("length:3", "no reward 'length:3'"),
        ("direct:mean", "no reward"),
        ("judge", "Write 'judge:MODEL'"),
        ("classifier:", "classifier:MODEL"),
        ("dpo:one", "Write 'dpo:MODEL:REF'"),
        ("pmi", "Did you mean 'flr:pmi'"),
        ("dpo:one:", "dpo:MODEL:REF"),
        ("flr:no-such-set", "no-such-set"),
        ("flr:meen:short", "no reward 'flr:meen:short': .*Did you mean 'mean'"),
        ("flr:nothing:short", "nothing"),
        ("flr:short:relevanc", "Did you mean 'relevance'"),
        ("FLR", r"Write 'flr\[:VARIANT\]"),
    ],
)
def test_what_is_no_reward_is_said(options: ModelOptions, text: str, says: str) -> None:
    with pytest.raises(Exception, match=says) as caught:
        parse(text, options, seed=0)
    assert getattr(caught.value, "exit_code", None) == 2


def test_other_models_are_loaded_without_what_is_the_follow_up_models_own(
    tiny_model: Path, tmp_path: Path
) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{% for m in messages %}{{ m.role + ':' + m.content }}{% endfor %}")
    options = ModelOptions(model=str(tiny_model), chat_template=template, threads=1)
    other = str(tiny_model) + "/"
    arms = parse(f"direct,dpo:{tiny_model}:{other},judge:{tiny_model}", options, seed=0)
    used = {n: p.options.chat_template for n, p in arms.passes.items() if isinstance(p, ModelPass)}
    assert used == {str(tiny_model): template, other: None, f"judge:{tiny_model}": template}


def test_a_classifier_has_a_pass_of_its_own(options: ModelOptions) -> None:
    arms = parse(f"classifier:{options.model}", options, seed=0)
    (one,) = arms.passes.values()
    assert isinstance(one, ClassifierPass)
    assert one.asks(ITEM) == ITEM.conversations
    assert one.fingerprint != only_pass(parse("direct", options, seed=0)).fingerprint


def test_each_set_gets_its_own_part_of_the_answers(options: ModelOptions) -> None:
    both = 24 + 120
    found = [measured(both), measured(both, start=-3.0)]
    for name in ("mean", "sum", "pmi", "official"):
        short, default = parse(f"flr:{name}:short,flr:{name}", options, seed=0).arms
        for arm, followup_set, part in (
            (short, SHORT, slice(0, 24)),
            (default, DEFAULT, slice(24, both)),
        ):
            valued = arm.value(ITEM, [found])
            by_hand = [
                value(one.part(part.start, part.stop), followup_set, name, followup_set.weights)
                for one in found
            ]
            assert valued.values.tolist() == [score.reward for score in by_hand]
            assert {k: v.tolist() for k, v in valued.categories.items()} == {
                k: [score.by_category[k] for score in by_hand] for k in followup_set.categories
            }


def test_direct_is_the_responses_log_likelihood_whole_and_a_token(options: ModelOptions) -> None:
    mean, whole = parse("direct", options, seed=0).arms
    empty = Measured(response=Values((0.0,), (0,)))
    found = [[measured(1), empty]]
    assert whole.value(ITEM, found).values.tolist() == [-6.0, 0.0]
    assert mean.value(ITEM, found).values.tolist() == [-1.5, 0.0]


def test_dpo_is_the_difference_of_two_log_likelihoods(options: ModelOptions) -> None:
    arm = only_arm(f"dpo:{options.model}:{options.model}", options)
    policy, reference = [measured(1), measured(1, start=-2.0)], [measured(1, start=-5.0)] * 2
    assert arm.value(ITEM, [policy, reference]).values.tolist() == [5.0, 3.0]


def test_rewards_of_the_text_need_no_pass(options: ModelOptions) -> None:
    length, random = parse("length,random", options, seed=3).arms
    assert length.passes == random.passes == ()
    texts = [len(one.response) for one in ITEM.conversations]
    assert length.value(ITEM, []).values.tolist() == texts
    again = parse("random", options, seed=3).arms[0].value(ITEM, []).values
    other = parse("random", options, seed=4).arms[0].value(ITEM, []).values
    assert np.array_equal(random.value(ITEM, []).values, again)
    assert not np.array_equal(again, other)


def test_a_judge_compares(options: ModelOptions) -> None:
    arm = only_arm(f"judge:{options.model}", options)
    assert arm.compares
    answers = [Measured(response=Values((x,), (1,))) for x in (-1.0, -9.0, -9.0, -1.0)]
    valued = arm.value(ITEM, [answers]).values
    assert valued.sum() == pytest.approx(1.0)
    assert valued[0] > 0.99

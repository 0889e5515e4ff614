"""The prompts that come with flr, what no response may pass by, and files that are refused."""

import doctest
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, product
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from flr import verifiable
from flr.verifiable import DATA, KINDS, LONGEST, VerifiablePrompt
from flr.verifiable.checks import CHECKS

PROMPTS = verifiable.load()
ONE_OF_EACH = [next(one for one in PROMPTS if one.kind == kind) for kind in KINDS]
REFUSALS = (
    "I'm sorry, I can't help with that.",
    "I cannot answer that question.",
    "As an AI language model, I am not able to do that.",
    "I don't know.",
    "I'm sorry, but I can't assist with that request.",
    "I apologize, but I am unable to help you with this.",
    "As an AI language model, I don't have personal opinions or feelings.",
    "I'm just a computer program, so I don't have a body.",
    "I don't have enough information to answer. Could you tell me more?",
    "No.",
)

one_of_each = pytest.mark.parametrize("prompt", ONE_OF_EACH, ids=lambda one: one.kind)


def _passing(response: str) -> list[str]:
    return [prompt.id for prompt in PROMPTS if prompt.passes(response)]


def test_there_are_about_two_hundred_prompts_of_nine_kinds():
    counts = Counter(prompt.kind for prompt in PROMPTS)
    assert 195 <= len(PROMPTS) <= 220
    assert tuple(counts) == KINDS == tuple(CHECKS)
    assert min(counts.values()) >= 20
    assert verifiable.load() is PROMPTS


def _fooled(responses: Callable[[VerifiablePrompt], Iterable[str]]) -> list[tuple[str, str]]:
    """The prompts that pass one of the responses made for each, with that response."""
    return [(one.id, said) for one in PROMPTS for said in responses(one) if one.passes(said)]


def test_the_examples_are_judged_as_they_should_be():
    assert len(_fooled(lambda prompt: [prompt.good])) == len(PROMPTS)
    assert not _fooled(lambda prompt: [prompt.bad])
    assert max(len(prompt.good.split()) for prompt in PROMPTS) <= 40  # about 60 tokens


def _copies(prompt: VerifiablePrompt) -> list[str]:
    said = prompt.prompt
    written = [said, said.lower(), said.upper(), f'"{said}"', f"Sure! {said}", f"{said}\n\n{said}"]
    return [*written, f"I'm sorry, I'm so sorry.\n\n{said}", " ".join([said] * 10), said * 300]


def _pieces(prompt: VerifiablePrompt) -> Iterator[str]:
    words = prompt.prompt.split()
    for start, end in combinations(range(len(words) + 1), 2):
        yield " ".join(words[start:end])


def _over_and_over(prompt: VerifiablePrompt) -> Iterator[str]:
    for joint in (" ", "\n", "\n\n- "):
        yield joint.join([prompt.good] * 10)
        yield joint.join([prompt.bad] * 10)
    yield prompt.good + " and" * 40


@pytest.mark.parametrize("responses", [_copies, _pieces, _over_and_over])
def test_copies_of_the_prompt_and_the_same_over_and_over_fail(
    responses: Callable[[VerifiablePrompt], Iterable[str]],
):
    assert not _fooled(responses)


@pytest.mark.parametrize("joint", [", ", "\n- "])
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_of_everything_passes_only_where_containing_is_all_that_is_asked(
    kind: str, joint: str
):
    prompts = [one for one in PROMPTS if one.kind == kind]
    everything = joint.join(dict.fromkeys(word for one in prompts for word in _answers(one)))
    passed = [one.passes(everything) for one in prompts]
    assert passed == [kind == "contains"] * len(prompts)


def _answers(prompt: VerifiablePrompt) -> list[str]:
    """All that the arguments of a check name."""
    found = [prompt.good, prompt.bad]
    return [*found, *_leaves(list(prompt.arguments.values()))]


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, list | dict):
        for one in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from _leaves(one)
    else:
        yield str(value)


NOTHING = ["", " ", "\n\n", "\0", "🙂", "🙂" * 100, "...", "-", "- ", "1.", "{}", "``` ```", '""']


@pytest.mark.parametrize("response", NOTHING, ids=repr)
def test_nothing_passes_nowhere(response: str):
    assert not _passing(response)


@settings(max_examples=30)
@given(st.text(st.characters(categories=["P", "S", "Z", "C"]), max_size=50))
def test_what_has_no_word_passes_nowhere(response: str):
    assert not _passing(response)


@pytest.mark.parametrize("response", REFUSALS)
def test_a_refusal_passes_nowhere(response: str):
    """Not in lower case either, nor with the sentence that was asked for at its end."""
    assert not _passing(response)
    assert not _passing(response.lower())
    ending = [one for one in PROMPTS if "sentence" in one.arguments]
    assert len(ending) > 10
    assert not [one.id for one in ending if one.passes(f"{response} {one.arguments['sentence']}")]


def test_a_good_response_to_a_prompt_of_another_kind_hardly_ever_passes():
    pairs = [(one, other) for one, other in product(PROMPTS, PROMPTS) if one.kind != other.kind]
    some = pairs[::7]
    assert sum(one.passes(other.good) for one, other in some) < 0.005 * len(some)


UGLY = {
    "huge": "word " * 400_000,
    "huge and blank": " " * 2_000_000,
    "long word": "a" * 2_000_000,
    "long number": "9" * 2_000_000,
    "right to left": "\u202eتسعة وعشرون\u202c שלום",
    "full width": "４３ ＡＮＳＷＥＲＳ",
    "half a surrogate pair": "\ud83d 43",
    "line ends": "a\r\nb\rc\u2028d\x0be\x85f",
    "brackets": '{"name": "Ana", "age": 31',
    "NaN": '{"name": "Ana", "age": NaN}',
    "deep": "[" * 10_000,
    "deep object": '{"name":' * 10_000 + "1" + "}" * 10_000,
    "patterns": "(?P<a>.*)+[\\" * 200,
    "bullets": "- \n" * 1500,
    "fences": "```" * 1500,
}


@pytest.mark.parametrize("response", UGLY.values(), ids=UGLY)
def test_ugly_responses_fail(response: str):
    assert not _passing(response)


@one_of_each
@given(response=st.text(st.characters(exclude_categories=[]), max_size=200))
def test_any_text_is_judged(prompt: VerifiablePrompt, response: str):
    assert isinstance(prompt.passes(response), bool)


@one_of_each
def test_ugly_surroundings_of_a_good_response(prompt: VerifiablePrompt):
    assert prompt.passes(f"\r\n {prompt.good.replace(chr(10), chr(13) + chr(10))}\r\n")
    assert not prompt.passes(prompt.good + " " * LONGEST)


def test_the_prompt_may_stand_before_a_good_response():
    sums = next(one for one in PROMPTS if one.id == "add-17-25")
    assert sums.passes("What is 17 + 25? It is 42.")
    assert not sums.passes("It is 32. What is 17 + 25?")


def test_no_number_of_a_prompt_is_its_answer():
    for prompt in PROMPTS:
        if prompt.kind == "number":
            assert abs(prompt.arguments["answer"]) not in prompt.arguments.get("given", [])


@given(data=st.data())
def test_judging_has_no_memory(data: st.DataObject):
    prompt = data.draw(st.sampled_from(PROMPTS))
    other = data.draw(st.sampled_from(PROMPTS))
    first = prompt.passes(other.good)
    other.passes(prompt.good)
    assert prompt.passes(other.good) is first


def test_a_prompt_can_be_a_key():
    assert len(set(PROMPTS)) == len(PROMPTS)


def test_the_file_says_whose_it_is():
    content = yaml.safe_load(DATA.read_text("utf-8"))
    assert content["licence"] == "Apache-2.0"
    assert json.dumps(content, ensure_ascii=False).isprintable()


def test_the_documentation_says_what_is_so():
    docs = Path(__file__).parents[2] / "docs" / "verifiable.md"
    text = docs.read_text("utf-8")
    counts = Counter(prompt.kind for prompt in PROMPTS)
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE)
    assert {kind: int(count) for kind, count in rows} == counts
    assert text.count(f" {len(PROMPTS)} |") == 4
    assert f"\n{len(PROMPTS)} prompts" in text
    found = doctest.testfile(str(docs), module_relative=False)
    assert (found.attempted, found.failed) == (5, 0)
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    entry = yaml.safe_load(shown)[0]
    assert entry in yaml.safe_load(DATA.read_text("utf-8"))["prompts"]

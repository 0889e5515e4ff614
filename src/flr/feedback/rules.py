"""A critique in a user's own words, by rules on sentences: no model, English alone.

    the response, the assistant's answer, this reply   ->  your answer
    the assistant  (after by, for, to, ...)            ->  you; else: your answer
    the user's question, the question                  ->  my question
    the user  (before a verb of his)                   ->  I; else: me
    Does not say when.                                 ->  Your answer does not say when.

`the assistant` at the head of a sentence becomes `your answer` and not `you`, so that its verbs,
and those further on, stay as they are. Sentences that speak of scores, rubrics or reference answers
go, as do those in which somebody is left who would not be spoken of to his face (`the model`,
which may be that of a car).
"""

import re
from collections.abc import Callable

from flr.feedback.sentences import sentences
from flr.feedback.wording import addresses, leaks_rating, speaks_about

_DROPPED = re.compile(
    r"\b(?:reference (?:answer|response|solution)|rubrics?|criteri(?:a|on)|ground truth|evaluat\w+"
    r"|judge[sd]?|graders?|raters?)\b",
    re.IGNORECASE,
)
_ANSWER = r"(?:response|answer|reply|output|completion)"
_WHO = r"(?:AI assistant|AI model|language model|assistant|respondent|chatbot|AI)"
_GIVEN = r"(?:provided|given|generated)"
_USER = r"(?:user|requester|asker|customer|person (?:who asked|asking))"
_ASKED = r"(?:question|request|instructions?|prompt|query)"
_ADVERBS = r"(?:\w+ly |also |only |not |then |even |just |never )*"

_HIS_VERB = (
    r"(?:is|has|does|wants|needs|asks|requests|seeks|was|had|did|asked|wanted|needed|requested"
    r"|specified|provided|mentioned|gave|stated|sought|expected|intended|said|would|could|can|might"
    r"|may|will|should)\b"
)
_MY_VERB = {"is": "am", "has": "have", "does": "do"}
_BARE = re.compile(
    r"(?:(?:merely|only|just|really|directly|clearly|thoroughly|briefly)?\s*(?:does|doesn't|"
    r"did|didn't|gives|provides|mentions|addresses|answers|describes|discusses|explains|lists|says|"
    r"talks|recommends|covers|has|is|was|lacks|fails|contains|includes|offers|tells|focuses|refers|"
    r"speaks|seems|appears|states|shows|misses|goes|gets|relates|suggests|ignores)\b)",
    re.IGNORECASE,
)
_POINTING = re.compile(rf"\A(?:It|This)(?= {_ADVERBS}{_BARE.pattern})", re.IGNORECASE)


def _i(match: re.Match[str]) -> str:
    verb = match["verb"]
    plain = _MY_VERB.get(verb, verb[:-1] if verb.endswith("s") and verb != "was" else verb)
    return f"I {match['adverbs']}{plain}"


_BEGINNING = re.compile(r"\A[a-z]|(?<=[.!?]\s)[ymi](?=(?:our|y)\b)")

_STEPS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (rf"\b(?:the|this|that) {_USER}['’]s?(?=\s)", "my"),
    (rf"\b(?:the|this|that) {_USER} (?P<adverbs>{_ADVERBS})(?P<verb>{_HIS_VERB})", _i),
    (rf"\b(?:the|this|that) {_USER}\b(?! \w+s?\b{_ANSWER})", "me"),
    (r"\Athis (?:information|passage|article|advice|section)\b", "your answer"),
    (
        rf"\b(?:the|this|that) (?:(?:{_GIVEN}|above|overall|revised|{_WHO}['’]s?) )*"
        rf"{_ANSWER}\b(?!['’])(?: {_GIVEN}\b(?! (?:a|an|the)\b))?"
        rf"(?: (?:by|from|of) the {_WHO}\b)?",
        "your answer",
    ),
    (rf"\b(?:the|this|that) (?:{_WHO}|{_ANSWER})['’]s?(?=\s)", "your"),
    (rf"\b(by|for|to|from|of|with) (?:the|this|that) {_WHO}\b", r"\1 you"),
    (rf"\b(?:the|this|that) {_WHO}\b", "your answer"),
    (rf"\btheir (?={_ANSWER}\b|explanation\b|reasoning\b)", "your "),
    (
        rf"\b(?:the|this) (?:(?:original|given|specific|actual|posed|main) )*({_ASKED})\b"
        r"(?: (?:asked|posed|given|being asked)\b)?",
        r"my \1",
    ),
)


def _turned(sentence: str) -> str:
    """A sentence with those whom it speaks of put in their places."""
    for pattern, into in _STEPS:
        sentence = re.sub(pattern, into, sentence, flags=re.IGNORECASE)
    return _BEGINNING.sub(lambda match: match[0].upper(), sentence)


def _with_subject(sentence: str) -> str:
    """The first sentence, whose subject is the answer where it has none, or a mere `it`."""
    if _BARE.match(sentence) and not sentence.endswith("?"):
        return f"Your answer {sentence[0].lower()}{sentence[1:]}"
    sentence = re.sub(r"\A(?:An? )?Answer\b", "Your answer", sentence)
    return (
        _POINTING.sub("Your answer", sentence, count=1) if _POINTING.match(sentence) else sentence
    )


def _is_for_judges(sentence: str) -> bool:
    """Whether a sentence speaks of scores, or of what a judge compares with."""
    return leaks_rating(sentence) or _DROPPED.search(sentence) is not None


def rewritten(critique: str, keep: int) -> str:
    """A critique as the user would say it to the assistant.

    Args:
        critique: what somebody said of a response.
        keep: how many sentences at most.

    Returns:
        The first sentences that can be turned; empty where there is none. One in which nobody is
        spoken to stays only right after one that stays.

    Example:
        >>> rewritten("The response ignores the user's budget. It deserves a score of 2.", keep=2)
        'Your answer ignores my budget.'
        >>> rewritten("Does not say when. Too vague.", keep=2)
        'Your answer does not say when. Too vague.'
    """
    kept: list[str] = []
    follows = False
    for sentence in sentences(critique):
        if len(kept) == keep:
            break
        turned = _turned(sentence if follows else _with_subject(sentence))
        stays = not _is_for_judges(sentence) and not speaks_about(turned)
        follows = stays and (follows or addresses(turned))
        if follows:
            kept.append(turned)
    return " ".join(kept)

"""Serves calls from several threads one at a time, all that wait together.

Trainers ask for one response a call and for many at once, each call in a thread of its own, while a
model answers one call at a time, and cheaper together: responses to one prompt share it. So the
thread whose turn it is answers for all threads that wait.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar, final

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Answer]):
    items: Sequence[Item]
    answers: list[Answer] = field(default_factory=list)
    error: BaseException | None = None
    done: bool = False


@final
class Together(Generic[Item, Answer]):
    """A function of many items, called from several threads.

    Args:
        serve: answers items in order; never runs twice at a time.

    Example:
        >>> doubled = Together(lambda numbers: [2 * number for number in numbers])
        >>> doubled([1, 2])
        [2, 4]
    """

    def __init__(self, serve: Callable[[list[Item]], list[Answer]]) -> None:
        self._serve = serve
        self._turn, self._door = Lock(), Lock()
        self._waiting: list[_Call[Item, Answer]] = []

    def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """The answers to these items, in order; an error is that of all calls served with it."""
        call = _Call[Item, Answer](items)
        with self._door:
            self._waiting.append(call)
        with self._turn:
            if not call.done:
                self._answer()
        if call.error is not None:
            raise call.error
        return call.answers

    def _answer(self) -> None:
        with self._door:
            taken, self._waiting = self._waiting, []
        try:
            items = [item for call in taken for item in call.items]
            answers = self._serve(items)
            assert len(answers) == len(items), "every item has its answer"
            rest = iter(answers)
            for call in taken:
                call.answers = [next(rest) for _ in call.items]
        except BaseException as error:
            for call in taken:
                call.error = error
        for call in taken:
            call.done = True

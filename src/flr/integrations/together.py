"""Serves calls from several threads one at a time, all that wait together, in one thread.

Trainers ask for one response a call and for many at once, each call in a thread of its own, while a
model answers one call at a time, and cheaper together: responses to one prompt share it. So one
thread answers for all that wait. It is always the same one: every thread that has ever run a model
keeps a team of threads and working memory for it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar, final

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class _Call(Generic[Item, Answer]):
    items: Sequence[Item]
    answers: Future[list[Answer]] = field(default_factory=Future)


@final
class Together(Generic[Item, Answer]):
    """A function of many items, called from several threads.

    Args:
        serve: answers items in order; never runs twice at a time, and always in one thread.

    Example:
        >>> doubled = Together(lambda numbers: [2 * number for number in numbers])
        >>> doubled([1, 2])
        [2, 4]
    """

    def __init__(self, serve: Callable[[list[Item]], list[Answer]]) -> None:
        self._serve = serve
        self._door = Lock()
        self._waiting: list[_Call[Item, Answer]] = []
        self._thread = ThreadPoolExecutor(1, "together")

    def __call__(self, items: Sequence[Item]) -> list[Answer]:
        """The answers to these items, in order; an error is that of all calls served with it.

        Ctrl-C ends the caller's wait; what is being answered is answered to its end.
        """
        call = _Call[Item, Answer](items)
        with self._door:
            self._waiting.append(call)
        self._thread.submit(self._answer)
        return call.answers.result()

    def _answer(self) -> None:
        """Answers all that wait: none, where they were answered with an earlier call."""
        with self._door:
            taken, self._waiting = self._waiting, []
        if not taken:
            return
        try:
            items = [item for call in taken for item in call.items]
            answers = self._serve(items)
            assert len(answers) == len(items), "every item has its answer"
        except BaseException as error:
            for call in taken:
                call.answers.set_exception(error)
            return
        rest = iter(answers)
        for call in taken:
            call.answers.set_result([next(rest) for _ in call.items])

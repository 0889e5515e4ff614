"""What a server takes: how much may wait, and for how long; and what is counted on the way."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import final

from fastapi import HTTPException
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from flr.integrations.shared import Asked, Reward, Rewarder
from flr.measuring import Skipped

RECENT = 30.0
"""Seconds over which the rate is taken that says when to come again."""


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes.

    Args:
        waiting: most responses that wait or are being scored.
        seconds: longest that a request may take.
        body: most bytes of a request.
    """

    waiting: int = 4096
    seconds: float = 170.0
    body: int = 8 * 2**20


USUAL = Limits()
"""Where nothing else is said."""


class Busy(Exception):  # noqa: N818 - an answer, not a fault
    """More responses wait than may.

    Args:
        seconds: after which there will be room, by the rate of late.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@final
class Waiting:
    """How many responses are accepted and not yet answered; of one event loop.

    Args:
        most: that may be.
    """

    def __init__(self, most: int) -> None:
        self.most, self.now = most, 0
        self._answered: deque[tuple[float, int]] = deque()

    def take(self, count: int) -> None:
        """Room for so many.

        Raises:
            Busy: there is none.
        """
        if self.now + count > self.most:
            raise Busy(self._seconds(self.now + count - self.most))
        self.now += count

    def give(self, count: int) -> None:
        """They are done with, answered or not."""
        self.now -= count
        self._answered.append((time.monotonic(), count))

    def _seconds(self, count: int) -> int:
        """How long it takes to answer so many, by what was answered of late."""
        begin = time.monotonic() - RECENT
        while self._answered and self._answered[0][0] < begin:
            self._answered.popleft()
        done = sum(one for _, one in self._answered)
        return min(60, max(1, ceil(count * RECENT / done))) if done else 5


@final
class Service:
    """Rewards for requests, with the bounds of `Limits` and counted.

    Args:
        rewarder: the follow-up model.
        limits: see there.
    """

    def __init__(self, rewarder: Rewarder, limits: Limits) -> None:
        self.rewarder, self.limits = rewarder, limits
        self.waiting = Waiting(limits.waiting)
        self.registry = CollectorRegistry()
        of = self.registry
        self.requests = Counter("flr_requests", "Requests.", ["path", "status"], registry=of)
        self.responses = Counter("flr_responses", "Responses that were scored.", registry=of)
        self.seconds = Histogram("flr_request_seconds", "Of a request.", ["path"], registry=of)
        gauge = Gauge("flr_waiting", "Responses waiting.", registry=of)
        gauge.set_function(lambda: self.waiting.now)
        # A thread a request that waits: they only wait for each other (`integrations.together`).
        self.threads = ThreadPoolExecutor(limits.waiting)

    async def rewards(self, ask: Callable[[], list[Asked | Skipped]], count: int) -> list[Reward]:
        """The rewards of some responses, in order.

        Args:
            ask: says what is asked; rendering takes time, so it is called in a thread.
            count: how many responses there are.

        Raises:
            Busy: too many wait.
            TimeoutError: not answered within the deadline.
        """
        if count > self.limits.waiting:
            raise HTTPException(413, f"at most {self.limits.waiting} responses are taken")
        self.waiting.take(count)
        work = asyncio.get_running_loop().run_in_executor(
            self.threads, lambda: self.rewarder.rewards(ask())
        )
        # Whoever has waited too long goes; what was begun for them takes its room until its end.
        work.add_done_callback(lambda done: self._end(done, count))
        return await asyncio.wait_for(asyncio.shield(work), self.limits.seconds)

    def _end(self, work: "asyncio.Future[list[Reward]]", count: int) -> None:
        self.waiting.give(count)
        if not work.cancelled() and work.exception() is None:
            self.responses.inc(count)

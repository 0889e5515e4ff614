import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flr.integrations.together import Together


def test_all_that_wait_are_served_together_and_each_gets_its_own():
    served: list[list[int]] = []
    busy, begun = threading.Event(), threading.Event()

    def serve(items: list[int]) -> list[int]:
        served.append(items)
        begun.set()
        busy.wait(10)
        return [-item for item in items]

    together = Together(serve)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(together, [0, 1])
        assert begun.wait(10)
        others = [pool.submit(together, list(range(10 * n, 10 * n + n))) for n in range(1, 9)]
        while len(together._waiting) < 8:
            time.sleep(0.001)
        busy.set()
        assert first.result(10) == [0, -1]
        for n, other in enumerate(others, 1):
            assert other.result(10) == [-(10 * n + one) for one in range(n)]
    assert [len(one) for one in served] == [2, sum(range(1, 9))]


def test_never_two_at_a_time_and_always_in_one_thread():
    inside, most = 0, 0
    threads: set[int] = set()

    def serve(items: list[int]) -> list[int]:
        nonlocal inside, most
        threads.add(threading.get_ident())
        inside += 1
        most = max(most, inside)
        time.sleep(0.001)
        inside -= 1
        return items

    together = Together(serve)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: together([n, n + 1]), range(100)))
    assert found == [[n, n + 1] for n in range(100)]
    assert most == 1
    assert len(threads) == 1


def test_the_thread_ends_with_whom_it_served():
    together = Together(lambda items: [threading.current_thread() for _ in items])
    (thread,) = together([0])
    assert thread.is_alive()
    del together
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_an_error_reaches_all_that_were_served_with_it_and_nothing_after(kind: type):
    busy, begun = threading.Event(), threading.Event()

    def serve(items: list[str]) -> list[str]:
        begun.set()
        busy.wait(10)
        if "bad" in items:
            raise kind("no")
        return items

    together = Together(serve)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together, ["good"])
        assert begun.wait(10)
        others = [pool.submit(together, [word]) for word in ("bad", "near")]
        while len(together._waiting) < 2:
            time.sleep(0.001)
        busy.set()
        assert first.result(10) == ["good"]
        for other in others:
            with pytest.raises(kind):
                other.result(10)
    assert together(["good"]) == ["good"]


def test_too_few_answers_are_an_error_and_not_a_wait():
    together = Together(lambda items: items[1:])
    with pytest.raises(AssertionError, match="every item"):
        together([1, 2])

"""What every peer's program does: reads jobs from its input, times its answer, writes it.

A job is a line of JSON: `{"rows": [[tokens, start], ...]}`, token ids and where the continuation
begins. The answer is a line, too: `{"seconds": ..., "values": [...]}`, the summed log-likelihood of
each continuation, nats. What libraries print goes to the error stream, from when this is imported.
"""

import json
import os
import sys
import time
from collections.abc import Callable

Row = tuple[list[int], int]

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def serve(answer: Callable[[list[Row]], list[float]], versions: dict[str, str]) -> None:
    """Says that it is ready, with versions, and answers until its input ends."""
    print(json.dumps({"versions": versions}), file=_answers, flush=True)
    for line in sys.stdin:
        rows: list[Row] = [(tokens, start) for tokens, start in json.loads(line)["rows"]]
        begun = time.perf_counter()
        values = answer(rows)
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "values": values}), file=_answers, flush=True)

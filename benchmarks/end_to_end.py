"""What `flr score` costs beside the model: start-up, the share of its time inside forwards, memory.

    startup     one row, several times: all of it but the time inside forwards
    share       1,000 rows, two responses each: time inside forwards over all time
    rows        seconds of 22 to 110 rows, two responses each, median of three runs
    responses   64 responses, 1 to 16 of a prompt: seconds of each inside forwards, median of three
                runs. A call of the engine has 8 rows, so it holds more responses, too
    memory      peak of 100 and of 10,000 rows, with a tiny random model: what the rows need
    context     peak of one response after 4,000 tokens, beside that of one after a short prompt

`rows` and `responses` are drawn, too: RESULT-rows.svg and RESULT-responses.svg. Every figure is of
a process of its own, the command line as users type it; forwards are timed where hidden states and
logits are made (`flr.engines.head.Head.read`), but for those by which an engine probes a model when
it is built, which are start-up. Rows are the demo's conversations with a number in each, so that no
prompt is there twice.

    python -m benchmarks.end_to_end [--only startup share ...] -o RESULT.json
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from flr import demo, devices, io, runs
from tests.tiny_model import save_tiny_model

CHILD = """
import json, re, sys, time
from flr.engines.head import Head
from flr.engines.hf import HFEngine
inside, read, built = 0.0, Head.read, HFEngine.__init__
def timed(*given, **named):
    global inside
    begun = time.perf_counter()
    try:
        return read(*given, **named)
    finally:
        inside += time.perf_counter() - begun
def build(*given, **named):
    global inside
    built(*given, **named)
    inside = 0.0
Head.read, HFEngine.__init__ = timed, build
from flr.cli.main import run
code = run(sys.argv[2:])
peak = int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 2**10
told = {"code": code, "seconds": time.time() - float(sys.argv[1]), "inside": inside, "peak": peak}
print(json.dumps(told))
"""


def measured(
    rows: Sequence[Mapping[str, Any]], *options: str, followups: str = "short"
) -> dict[str, Any]:
    """Seconds in all and inside forwards, and the peak (MiB), of `flr score` on some rows."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        io.write(source, rows)
        output = str(Path(folder) / "out.jsonl")
        command = ["score", str(source), "-o", output, "--set", followups, *options]
        child = [sys.executable, "-c", CHILD, str(time.time()), *command]
        told = json.loads(subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout)
    assert told.pop("code") == 0
    return told


def median_of_three(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The same of three runs, each figure on its own."""
    three = [measured(rows) for _ in range(3)]
    return {name: median(one[name] for one in three) for name in three[0]}


def conversations(count: int) -> list[dict[str, Any]]:
    """Rows of two responses each."""
    pairs = [one for one in demo.pairs() if isinstance(one["prompt"], str)]
    return [
        {
            "prompt": f"Request {at}. {pairs[at % len(pairs)]['prompt']}",
            "responses": [pairs[at % len(pairs)][side] for side in ("chosen", "rejected")],
        }
        for at in range(count)
    ]


def startup() -> dict[str, Any]:
    """Of one row, three times; the first of them may unpack the model."""
    runs_of_one = [measured(conversations(1)) for _ in range(3)]
    return {"runs": runs_of_one, "seconds": [one["seconds"] - one["inside"] for one in runs_of_one]}


def share() -> dict[str, Any]:
    """Of 1,000 rows."""
    found = measured(conversations(1000))
    return {**found, "share": found["inside"] / found["seconds"]}


def rows() -> dict[str, Any]:
    """By number of rows: whole rounds of the demo's 22 conversations, so that all are alike."""
    return {str(count): median_of_three(conversations(count)) for count in range(22, 111, 22)}


RESPONSES = 64


def sharing(count: int) -> list[dict[str, Any]]:
    """The same 64 responses of about 100 tokens, `count` to a prompt of about 300."""
    text = " ".join(one[side] for one in demo.pairs() for side in ("chosen", "rejected"))
    said = [text[at * 300 : at * 300 + 500] for at in range(RESPONSES)]
    return [
        {"prompt": f"Request {at}. {text[:1500]}", "responses": said[at : at + count]}
        for at in range(0, RESPONSES, count)
    ]


def responses() -> dict[str, Any]:
    """By number of responses that share a prompt."""
    return {str(count): median_of_three(sharing(count)) for count in (1, 2, 4, 8, 16)}


def drawn(points: Mapping[int, float], across: str, up: str, file: Path) -> None:
    """A line through points, from zero."""
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(list(points), list(points.values()), marker="o")
    axes.set(xlabel=across, ylabel=up, xlim=(0, None), ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    with rc_context({"svg.hashsalt": "flr"}):
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})


def draw(name: str, found: Mapping[str, Any], file: Path) -> None:
    """What `rows` or `responses` found."""
    if name == "rows":
        seconds = {int(count): one["seconds"] for count, one in found.items()}
        drawn(seconds, "Rows of two responses", "Seconds of flr score", file)
    else:
        seconds = {int(count): one["inside"] / RESPONSES for count, one in found.items()}
        drawn(seconds, "Responses that share a prompt", "Seconds in forwards per response", file)


def memory() -> dict[str, Any]:
    """Of 100 rows and of 10,000, tiny model."""
    with tempfile.TemporaryDirectory() as folder:
        save_tiny_model(Path(folder))
        counts = (100, 10_000)
        return {str(count): measured(conversations(count), "--model", folder) for count in counts}


def context() -> dict[str, Any]:
    """Of one response to a prompt of about 4,000 tokens, and of one to a short prompt."""
    text = " ".join(one["chosen"] for one in demo.pairs())
    long = {"prompt": (text * 20)[:18_000], "responses": ["I see."]}
    return {
        "short": measured([{"prompt": "Hello.", "responses": ["I see."]}], followups="default"),
        "long": measured([long], followups="default"),
    }


MEASURES = {
    "startup": startup,
    "share": share,
    "rows": rows,
    "responses": responses,
    "memory": memory,
    "context": context,
}
DRAWN = ("rows", "responses")


def main(arguments: Sequence[str]) -> int:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(MEASURES), choices=list(MEASURES))
    parser.add_argument("--output", "-o", type=Path, required=True)
    given = parser.parse_args(arguments)
    result: dict[str, Any] = {
        "date": date.today().isoformat(),
        "command": f"python -m benchmarks.end_to_end --only {' '.join(given.only)}",
        "machine": f"{platform.machine()}, {devices.describe_device('cpu')}",
        "versions": runs.versions(),
    }
    for name in given.only:
        result[name] = MEASURES[name]()
        print(name, json.dumps(result[name]), flush=True)
        given.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        if name in DRAWN:
            draw(name, result[name], given.output.with_name(f"{given.output.stem}-{name}.svg"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

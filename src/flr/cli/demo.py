"""`flr demo`: the whole path on a small scale, from scoring responses to a policy that was trained.

    score      24 prompts, each with a good response and one that fails in a known way
    bench      does the reward tell them apart, and better than length does?
    mine       the model's own responses to some of the prompts, the best against the worst
    align      a few steps of DPO on those pairs
    compare    the trained policy beside the first one, on the other prompts

Every stage goes through the same door as a user's own data, by the command that is printed; the
folder holds what each would leave behind. It is too small to make a policy better: it shows how.
"""

import shlex
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from flr import io
from flr.benching import BenchOptions, bench
from flr.cli import align as align_door
from flr.cli import bench as bench_door
from flr.cli import compare as compare_door
from flr.cli.demo_scores import show_scores
from flr.cli.explain import console
from flr.cli.progress import bars
from flr.comparing import CompareOptions, compare_policies, named
from flr.demo import pairs
from flr.files import make_folder
from flr.mining import MineOptions, mine_file
from flr.report.mined import text
from flr.score_file import ScoreOptions, score_file
from flr.sources import SMOLLM2
from flr.training.preference import AlignOptions, align_file

TRAINED_ON = 16
"""Prompts that are mined; the others are for the comparison."""


class _Demo:
    """One run of the demo: where it writes, what it prints."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self.out, self.told = console(), Console(stderr=True)
        self.computed = False
        self._stage, self._begun = 0, time.perf_counter()

    def stage(self, title: str, *command: str | Path) -> None:
        """Prints what comes, and how to do the same by hand."""
        self._stage += 1
        self.out.print(Text(f"\n{self._stage} of 5  {title}", "bold"))
        self.out.print(Text(f"       flr {shlex.join(map(str, command))}", "dim"), soft_wrap=True)

    def write(self) -> None:
        """The rows that the stages begin with."""
        make_folder(self.folder)
        prompts = [{"id": pair["id"], "prompt": pair["prompt"]} for pair in pairs()]
        io.write(self.folder / "conversations.jsonl", pairs())
        io.write(self.folder / "prompts.jsonl", prompts[:TRAINED_ON])
        io.write(self.folder / "others.jsonl", prompts[TRAINED_ON:])

    def score(self) -> None:
        """Scores and ranks the conversations."""
        source, output = self.folder / "conversations.jsonl", self.folder / "scored.jsonl"
        options = ["--set", "short", "--per-followup"]
        self.stage(
            "Score 24 prompts, a good and a bad response to each",
            *("score", source, "-o", output, "--model", self.model, *options),
        )
        # The short set: with the default one the first run would take minutes on a small machine.
        given = ScoreOptions(model=self.model, set="short", per_followup=True, force=True)
        with bars(self.told) as progress_of:
            report = score_file(str(source), output, given, progress_of("responses"))
        self.computed |= bool(report.computed)
        show_scores(self.out, output)

    def bench(self) -> None:
        """Holds the reward against trivial ones."""
        source, output = self.folder / "conversations.jsonl", self.folder / "bench"
        reward = "flr:short,direct,length,random"
        self.stage(
            "Bench: does the reward tell good from bad, and better than length does?",
            *("bench", source, "-o", output, "--model", self.model, "--reward", reward),
        )
        given = BenchOptions(model=self.model, reward=reward, force=True)
        with bars(self.told) as progress_of:
            progress = progress_of("conversations")
            report = bench([str(source)], output, given, progress, command="flr demo")
        self.computed |= bool(report.computed)
        bench_door.show(self.out, output, report)

    def mine(self) -> None:
        """Preference pairs from the model's own responses."""
        source, output = self.folder / "prompts.jsonl", self.folder / "pairs.jsonl"
        sampling = ["-n", "4", "--max-new-tokens", "32", "--keep-unfinished", "--set", "short"]
        self.stage(
            f"Mine: {TRAINED_ON} prompts, 4 responses each, the best against the worst",
            *("mine", source, "-o", output, "--policy", self.model, "--model", self.model),
            *sampling,
        )
        given = MineOptions(
            policy=self.model,
            model=self.model,
            set="short",
            n=4,
            max_new_tokens=32,
            keep_unfinished=True,
            force=True,
        )
        with bars(self.told) as progress_of:
            report = mine_file(str(source), output, given, progress_of)
        self.computed |= bool(report.computed)
        self.out.print(Text(text({**report.record, "examples": report.record["examples"][:1]})))

    def align(self) -> None:
        """A few steps of DPO."""
        source, output = self.folder / "pairs.jsonl", self.folder / "policy"
        options = ["--lora", "--max-steps", "6", "--batch-size", "4"]
        self.stage(
            "Align: six steps of DPO on the pairs",
            *("align", source, "--policy", self.model, "-o", output, *options),
        )
        given = AlignOptions(
            policy=self.model, lora=True, max_steps=6, batch_size=4, resume=True, force=True
        )
        with bars(self.told) as progress_of:
            report = align_file(str(source), output, given, progress_of("steps"))
        self.computed |= bool(report.computed)
        align_door.show(self.out, output, report)

    def compare(self) -> None:
        """The trained policy beside the first one."""
        source, output = self.folder / "others.jsonl", self.folder / "compare"
        trained, reward = self.folder / "policy", "flr:short"
        options = ["--reward", reward, "-n", "2", "--max-new-tokens", "32"]
        self.stage(
            f"Compare: the two policies on the other {len(pairs()) - TRAINED_ON} prompts",
            *("compare", self.model, trained, "--prompts", source, "-o", output),
            *("--model", self.model, *options),
        )
        given = CompareOptions(model=self.model, reward=reward, n=2, max_new_tokens=32, force=True)
        policies = named([self.model, str(trained)])
        with bars(self.told) as progress_of:
            report = compare_policies(
                policies, str(source), output, given, progress_of, command="flr demo"
            )
        self.computed |= bool(report.computed)
        compare_door.show(self.out, output, report)

    def close(self) -> None:
        """Says where everything lies, and what to do next."""
        made = "computed now" if self.computed else "computed before; nothing was computed now"
        seconds = time.perf_counter() - self._begun
        self.out.print(Text(f"\nAll of it with {self.model} in {seconds:.0f} seconds ({made})."))
        self.out.print(Text("Next:"))
        for command in (
            f"flr explain {self.folder / 'scored.jsonl'} --row 2 --html why.html",
            "flr score my.jsonl -o my.scored.jsonl --per-followup",
            "flr loop my-prompts.jsonl -o loop",
        ):
            self.out.print(Text(f"    {command}"), soft_wrap=True)
        page = self.folder / "compare" / "report.html"
        self.out.print(Text(f"Open {page} in a browser: the two policies side by side."))


def demo(*, output: Path = Path("flr-demo"), model: str = SMOLLM2) -> None:
    """The whole path on a small scale: score, bench, mine, align, compare.

    Scores 24 prompts, each with a good response and one that fails in a known way; holds the reward
    against length and a coin; mines preference pairs from the model's own responses; trains it on
    them for six steps; compares what came out with what it began with, and writes that as a page.

    Args:
        output: folder for everything; files of an earlier demo are replaced.
        model: a Hugging Face id, a folder, a .gguf file, an adapter folder, or smollm2.
    """
    made = _Demo(output, model)
    made.write()
    for stage in (made.score, made.bench, made.mine, made.align, made.compare):
        stage()
    made.close()

"""How often rewards agree with people, on real data, beside the trivial ways.

Sets, samples, rewards and seeds are fixed here, follow-ups in `src/flr/data`, before anything is
scored. Each study is one `flr bench`, resumed from its own folder in the work folder:

    mtbench-single, vicuna-single    all responses; GPT-4's scores
    feedbackqa                       all passages of 100 questions (300); ratings of people
    hh-helpful-base                  the pairs of 400 prompts, seed 0; with fewer rewards, seed 1
    hh-harmless-base                 the pairs of 200 prompts
    llmbar                           all pairs, natural and adversarial
    robustness                       100 prompts of hh-helpful-base, nine ways of spoiling

    flr            follow-up likelihood: variants mean, sum and official (the published code's own
                   quantity), with the set `default` and with the list of the published code; pmi on
                   the sets with ratings: between two responses to one prompt its margin is that of
                   mean to the last bit but rounding, so on pairs it is not computed again
    direct         the response's own log-likelihood, a token and whole
    length, random, judge:smollm2

    python benchmarks/people.py --data DIR --published FILE --work DIR -o RESULT.json [--only NAME]

DIR holds the sets' files in the shape of their publishers; FILE is `utils.py` of
github.com/e0397123/FLR. RESULT.json gets the figures of all finished studies, RESULT.md a table of
each; nothing of the data is written to them.
"""

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from flr import followups
from flr.benching import BenchOptions, bench
from flr.report.bench.markdown import markdown
from flr.runs import file_sha256

PUBLISHED = "published.yaml"
OURS = "flr,flr:sum,flr:official"
BOTH = f"{OURS},flr:mean:{PUBLISHED},flr:sum:{PUBLISHED},flr:official:{PUBLISHED}"
OTHERS = "direct,length,random,judge:smollm2"
PAIRS = f"{BOTH},{OTHERS}"
RATINGS = f"{BOTH},flr:pmi,flr:pmi:{PUBLISHED},{OTHERS}"


@dataclass(frozen=True)
class Study:
    """One run of `flr bench`."""

    name: str
    dataset: str
    reward: str
    limit: int | None = None
    seed: int = 0
    robustness: bool = False


STUDIES = (
    Study("mtbench-single", "mtbench-single", RATINGS),
    Study("feedbackqa", "feedbackqa", RATINGS, limit=100),
    Study("hh-helpful-base", "hh-helpful-base", PAIRS, limit=400),
    Study("hh-harmless-base", "hh-harmless-base", PAIRS, limit=200),
    Study("llmbar", "llmbar", PAIRS),
    Study("vicuna-single", "vicuna-single", RATINGS),
    Study("robustness", "hh-helpful-base", PAIRS, limit=100, robustness=True),
    Study("hh-helpful-base-seed-1", "hh-helpful-base", "flr,direct,length,random", 400, seed=1),
)


def command(study: Study) -> str:
    """The same study by hand."""
    verb = ["flr", "bench", *(["robustness"] if study.robustness else []), study.dataset]
    limit = ["--limit", str(study.limit)] if study.limit else []
    more = ["--data-dir", "DIR", *limit, "--seed", str(study.seed), "--reward", study.reward]
    return " ".join([*verb, *more, "-o", study.name])


def run(study: Study, data: Path) -> dict[str, Any]:
    """One study, resumed from its folder; the results name no folder of this machine."""

    def tell(done: int, total: int, _: int) -> None:
        print(f"{study.name} {done}/{total}", flush=True)

    options = BenchOptions(
        reward=study.reward, limit=study.limit, seed=study.seed, data_dir=data, force=True
    )
    report = bench(
        [study.dataset],
        Path(study.name),
        options,
        tell,
        robustness=study.robustness,
        command=command(study),
    )
    results = json.loads(json.dumps(report.results))
    return {**results, "options": {**results["options"], "data_dir": "DIR"}}


def write(output: Path, studies: Mapping[str, Any], published: Path) -> None:
    """The figures as JSON, and as tables."""
    result = {
        "date": date.today().isoformat(),
        "command": "python benchmarks/people.py --data DIR --published utils.py --work DIR",
        "followups": {
            "default": followups.digest(followups.load("default")),
            "published": followups.digest(followups.load(PUBLISHED)),
            "published_file_sha256": file_sha256(published),
        },
        "studies": studies,
    }
    output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    tables = [f"# {name}\n\n{markdown(results)}" for name, results in studies.items()]
    output.with_suffix(".md").write_text("\n\n".join(tables), "utf-8")


def main() -> None:
    """Runs every study, or those that are named, and writes the figures of all finished ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", "-o", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=[study.name for study in STUDIES])
    given = parser.parse_args()
    data, published = given.data.resolve(), given.published.resolve()
    output = given.output.resolve()
    given.work.mkdir(parents=True, exist_ok=True)
    os.chdir(given.work)
    text = followups.to_yaml(followups.import_published(published))
    Path(PUBLISHED).write_text(text, "utf-8")
    studies: dict[str, Any] = {}
    for study in STUDIES:
        if not given.only or study.name in given.only:
            studies[study.name] = run(study, data)
            write(output, studies, published)
    print(json.dumps({name: list(one["sets"]) for name, one in studies.items()}))


if __name__ == "__main__":
    main()

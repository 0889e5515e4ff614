"""The real files: items and baseline figures equal what plain Python says of the raw file."""

import gzip
import json
import re
import statistics
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from flr.datasets.loading import available, load
from flr.evaluation.baselines import length
from flr.evaluation.evaluate import evaluate
from flr.evaluation.functions import ask
from tests.datasets.samples import SHARED

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"the shared data folder {SHARED} is absent"
)


def figures(name: str) -> tuple[dict[str, Any], float | None]:
    """What the benchmark says of the length baseline, and the set's majority figure."""
    dataset = load(name, SHARED)
    column = ask(dataset, lambda conversations: [length(one) for one in conversations])
    found = evaluate(dataset, {"length": column})
    return found["rewards"]["length"], found["majority"] and found["majority"]["value"]


def plain_pearson(rows: list[tuple[str, float]]) -> float:
    texts, ratings = zip(*rows, strict=True)
    return statistics.correlation([len(text) for text in texts], ratings)


def plain_majority(values: list[float]) -> float:
    return Counter(values).most_common(1)[0][1] / len(values)


def plain_accuracy(pairs: list[tuple[str, str]]) -> float:
    points = 0.0
    for better, worse in pairs:
        points += 1 if len(better) > len(worse) else 0.5 if len(better) == len(worse) else 0
    return points / len(pairs)


@pytest.mark.parametrize(
    ("name", "folder", "count", "same"),
    [
        ("hh-helpful-base", "helpful-base", 2354, 2),
        ("hh-harmless-base", "harmless-base", 2312, 0),
    ],
)
def test_hh(name, folder, count, same):
    with gzip.open(SHARED / "hh-rlhf" / folder / "test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    dataset = load(name, SHARED)
    assert len(rows) == count == len(dataset.items) + sum(dataset.left_out.values())
    assert sum(dataset.left_out.values()) == same

    def last(text: str) -> str:
        return text.rpartition("\n\nAssistant:")[2].removeprefix(" ")

    pairs = [(last(r["chosen"]), last(r["rejected"])) for r in rows if r["chosen"] != r["rejected"]]
    assert [tuple(c.response for c in item.conversations) for item in dataset.items] == pairs
    found, majority = figures(name)
    assert found["accuracy"]["value"] == pytest.approx(plain_accuracy(pairs), abs=1e-12)
    assert majority is None  # the file puts the preferred one first, always
    questions = [re.split(r"\n\n(?:Human|Assistant): ?", r["chosen"])[1] for r in rows]
    usable = [q for q, r in zip(questions, rows, strict=True) if r["chosen"] != r["rejected"]]
    assert [item.group for item in dataset.items] == usable


def test_llmbar():
    paths = sorted((SHARED / "llmbar").rglob("dataset.json"))
    rows = [row for path in paths for row in json.loads(path.read_text("utf-8"))]
    dataset = load("llmbar", SHARED)
    assert len(rows) == len(dataset.items) == 419
    pairs = [(r[f"output_{r['label']}"], r[f"output_{3 - r['label']}"]) for r in rows]
    found, majority = figures("llmbar")
    assert found["accuracy"]["value"] == pytest.approx(plain_accuracy(pairs), abs=1e-12)
    assert majority == pytest.approx(plain_majority([row["label"] for row in rows]), abs=1e-12)
    by_folder = {path.parent.name.lower(): len(json.loads(path.read_text())) for path in paths}
    by_subset = Counter(item.subset.removeprefix("adversarial-") for item in dataset.items)
    assert by_subset == by_folder


@pytest.mark.parametrize(
    ("name", "file"), [("mtbench-single", "mt_bench_eval"), ("vicuna-single", "vicuna_eval")]
)
def test_judge_single(name, file):
    rows = json.loads((SHARED / "prometheus-eval" / f"{file}.json").read_text("utf-8"))
    dataset = load(name, SHARED)
    labels = [label for item in dataset.items for label in item.labels]
    assert len(rows) == len(labels) == 320
    assert {item.group for item in dataset.items} == {str(row["idx"]) for row in rows}
    raw = Counter(round(fmean(row["gpt4_score"]), 6) for row in rows)
    assert Counter(round(label, 6) for label in labels) == raw
    texts = [
        row["instruction"]
        .split("###Response to evaluate:")[1]
        .split("###Reference Answer")[0]
        .strip()
        for row in rows
    ]
    responses = sorted(c.response for item in dataset.items for c in item.conversations)
    assert responses == sorted(texts)
    ratings = [fmean(row["gpt4_score"]) for row in rows]
    found, majority = figures(name)
    plain = plain_pearson(list(zip(texts, ratings, strict=True)))
    assert found["pearson"]["value"] == pytest.approx(plain, abs=1e-12)
    assert majority == pytest.approx(plain_majority(ratings), abs=1e-12)
    assert not any("###" in m.content for i in dataset.items for m in i.conversations[0].prompt)


def test_feedbackqa():
    paths: list[Path] = sorted((SHARED / "feedbackqa").rglob("feedback_valid.json"))
    rows = [row for path in paths for row in json.loads(path.read_text("utf-8"))]
    dataset = load("feedbackqa", SHARED)
    labels = [label for item in dataset.items for label in item.labels]
    assert len(rows) == len(labels) == 741
    value = {"Bad": 1, "Could be Improved": 2, "Acceptable": 3, "Excellent": 4}
    raw = Counter(fmean(value[rating] for rating in row["rating"]) for row in rows)
    assert Counter(labels) == raw
    ratings = [fmean(value[rating] for rating in row["rating"]) for row in rows]
    texts = [row["passage"]["reference"]["section_content"] for row in rows]
    found, majority = figures("feedbackqa")
    plain = plain_pearson(list(zip(texts, ratings, strict=True)))
    assert found["pearson"]["value"] == pytest.approx(plain, abs=1e-12)
    assert majority == pytest.approx(plain_majority(ratings), abs=1e-12)
    assert {item.group for item in dataset.items} == {row["question"] for row in rows}
    # The source named in a passage is the folder that its file lies in.
    folders = Counter(item.id.split("/")[1] for item in dataset.items)
    assert Counter(item.subset for item in dataset.items) == folders


def test_what_can_be_read_there():
    found = {spec.name for spec, files in available(SHARED) if files}
    expected = {"hh-helpful-base", "hh-harmless-base", "llmbar"}
    assert found == expected | {"mtbench-single", "vicuna-single", "feedbackqa"}

"""Small files of the shape of every benchmark set, and how to write them in every form."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SHARED = Path(__file__).parents[3] / "shared" / "data"
"""Copies of some of the real sets; tests over them skip where the folder is absent."""

Row = dict[str, Any]


def put(path: Path, rows: Any) -> Path:
    """Writes rows in the form that the file's name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]).lower()
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    data = (lines if suffix.startswith(".jsonl") else json.dumps(rows)).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def judge(prompt: str, response: str, *, reference: bool = True) -> str:
    """The prompt of a judge in the form of prometheus-eval, in our words."""
    return (
        "###Task Description:\nJudge it.\n\n"
        f"###The instruction to evaluate:\n{prompt}\n\n"
        f"###Response to evaluate:\n{response} \n\n"
        + ("###Reference Answer (Score 5):\nA better one.\n\n" if reference else "")
        + "###Score Rubrics:\n[Is it right?]\nScore 1: no\n\n###Feedback: "
    )


def said(*texts: str) -> list[Row]:
    """Messages of user and assistant in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": t} for i, t in enumerate(texts)]


def transcript(*texts: str) -> str:
    """The same as a transcript of hh-rlhf."""
    return "".join(f"\n\n{('Human', 'Assistant')[i % 2]}: {t}" for i, t in enumerate(texts))


HH = [
    {"chosen": transcript("Tea?", "Yes 🍵."), "rejected": transcript("Tea?", "No.")},
    {
        "chosen": transcript("Tea?", "Yes 🍵.", "Green?", "Gladly."),
        "rejected": transcript("Tea?", "Yes 🍵.", "Green?", ""),
    },
    {"chosen": transcript("Why?", "So."), "rejected": transcript("Why?", "So.")},
    {
        "chosen": transcript("Why?", "So.", "Really?", "Yes."),
        "rejected": transcript("Why?", "Ask.", "Whom?", "Me."),
    },
]
SHP = [
    {"history": "h", "human_ref_A": "a", "human_ref_B": "b", "labels": 0, "domain": "baking"},
    {"history": "h", "human_ref_A": "c", "human_ref_B": "d", "labels": 1, "domain": "baking"},
    {"history": "i", "human_ref_A": "e", "human_ref_B": "f", "labels": None, "domain": "baking"},
]
ALPACAFARM = [
    {"instruction": "Add.", "input": "1, 2", "output_1": "3", "output_2": "4", "preference": 1},
    {"instruction": "Sing.", "input": "", "output_1": "La", "output_2": "Lo", "preference": 2},
    {"instruction": "Sing.", "input": "", "output_1": "La", "output_2": "La", "preference": 2},
    {"instruction": "Sing.", "input": "", "output_1": "Li", "output_2": "La", "preference": None},
]
SAFE_RLHF = [
    {
        "prompt": "p",
        "response_0": "a",
        "response_1": "b",
        "better_response_id": 1,
        "safer_response_id": 0,
    }
]
MTBENCH_HUMAN = [
    {
        "question_id": 81,
        "model_a": "x",
        "model_b": "y",
        "winner": winner,
        "judge": "author_0",
        "conversation_a": said("q1", "a1", "q2", "a2"),
        "conversation_b": said("q1", "b1", "q2", "b2"),
        "turn": turn,
    }
    for winner, turn in (("model_a", 1), ("model_b", 2), ("tie", 1), ("tie (inconsistent)", 2))
]
REWARDBENCH = [
    {"prompt": "p", "chosen": "a", "rejected": "b", "subset": "math-prm", "id": 7},
    {"prompt": "p", "chosen": "c", "rejected": "d", "subset": "hep-cpp", "id": 8},
]
REWARDBENCH_2 = [
    {
        "prompt": "p",
        "chosen": ["a"],
        "rejected": ["b", "c", "d"],
        "num_correct": 1,
        "subset": "Math",
        "id": "1",
    },
    {
        "prompt": "q",
        "chosen": ["a", "b"],
        "rejected": ["c"],
        "num_correct": 2,
        "subset": "Ties",
        "id": "ref:0",
    },
    {
        "prompt": "q",
        "chosen": ["a", "b"],
        "rejected": ["b"],
        "num_correct": 2,
        "subset": "Ties",
        "id": "tied:0",
    },
]
PREFERENCE_BENCH = [
    {
        "orig_instruction": "p",
        "orig_response_A": "a",
        "orig_response_B": "b",
        "orig_preference": who,
    }
    for who in ("A", "B")
]
LLMBAR = [
    {"input": "p", "output_1": "a", "output_2": "b", "label": 2},
    {"input": "q", "output_1": "a", "output_2": "b", "label": 1},
]
FLASK = [
    {"instruction": judge("p", response), "human_score": score, "gpt4_score": [1, 1, 1]}
    for response, score in (("a", [4, 5]), ("b", 2), ("c", None), ("d", [3, "?"]), ("e", "[1, 3]"))
]
SINGLE = [
    {
        "idx": idx,
        "response_source": who,
        "category": "writing",
        "instruction": judge(prompt, f"answer of {who}", reference=who != "y"),
        "gpt4_score": score,
        "gpt4_feedback": ["…"] * 3,
    }
    for idx, who, prompt, score in (
        (1, "x", "p", [1, 2, 3]),
        (1, "y", "p", [4, 4, 5]),
        (2, "x", "User: hi\n\nAssistant: 👋\n\nUser: go on", [5, 5, 5]),
        (2, "y", "another dialogue", [5, None, 5]),
    )
]
FEEDBACK_BENCH = [
    {"orig_instruction": "p", "orig_response": response, "orig_score": score}
    for response, score in (("a", "1"), ("b", 5))
]
HELPSTEER = [
    {
        "prompt": "p",
        "response": response,
        "helpfulness": score,
        "correctness": 1,
        "coherence": 1,
        "complexity": 1,
        "verbosity": 1,
    }
    for response, score in (("a", 4), ("b", 0))
]
ULTRAFEEDBACK = [
    {
        "source": "flan",
        "instruction": "p",
        "completions": [
            {
                "model": model,
                "response": f"by {model}",
                "annotations": {
                    "helpfulness": {"Rating": first, "Rationale": "…"},
                    "honesty": {"Rating": second, "Rationale": "…"},
                },
                "overall_score": 10,
            }
            for model, first, second in (("x", "5", "2"), ("y", "N/A", "3"), ("z", "N/A", None))
        ],
    }
]
FEEDBACKQA = [
    {
        "question": "Where?",
        "passage": {
            "source": "CDC",
            "reference": {"page_title": "T", "section_headers": ["H"], "section_content": content},
        },
        "feedback": ["…", "…"],
        "rating": rating,
    }
    for content, rating in (
        ("Here.", ["Bad", "Excellent"]),
        ("There.", ["Could be Improved", "Acceptable"]),
    )
]
WILDBENCH = [
    {
        "session_id": "s1",
        "conversation_input": said("a", "b", "c"),
        "checklist": ["…"],
        "primary_tag": "Math",
    },
    {
        "session_id": "s2",
        "conversation_input": said("d"),
        "checklist": ["…"],
        "primary_tag": "Editing",
    },
]


def outputs(*pairs: tuple[str, str]) -> list[Row]:
    """Rows of one model's outputs in WildBench."""
    return [{"session_id": session, "output": [text], "generator": "?"} for session, text in pairs]


FILES: dict[str, tuple[str, list[Row]]] = {
    "shp": ("SHP/askbaking/test.jsonl", SHP),
    "hh-helpful-base": ("hh/helpful-base/test.jsonl.gz", HH),
    "hh-helpful-online": ("hh/helpful-online/test.jsonl", HH),
    "hh-helpful-rejection": ("hh/helpful-rejection-sampled/test.json.gz", HH),
    "hh-harmless-base": ("hh/harmless-base/test.json", HH),
    "alpacafarm": ("x/alpaca_human_preference.json", ALPACAFARM),
    "safe-rlhf": ("PKU-SafeRLHF/data/Alpaca-7B/test.jsonl", SAFE_RLHF),
    "mtbench-human": (
        "mt_bench_human_judgments/data/human-00000-of-00001.parquet",
        MTBENCH_HUMAN,
    ),
    "rewardbench": ("reward-bench/data/filtered-00000-of-00001.parquet", REWARDBENCH),
    "rewardbench-2": ("reward-bench-2/data/test-00000-of-00001.parquet", REWARDBENCH_2),
    "preference-bench": ("Preference-Bench/data/train-0.parquet", PREFERENCE_BENCH),
    "llmbar": ("LLMBar/Adversarial/GPTInst/dataset.json", LLMBAR),
    "flask": ("prometheus/flask_eval.json", FLASK),
    "mtbench-single": ("prometheus/mt_bench_eval.json", SINGLE),
    "vicuna-single": ("prometheus/vicuna_eval.json", SINGLE),
    "feedback-bench": ("Feedback-Bench/data/train.jsonl", FEEDBACK_BENCH),
    "helpsteer": ("HelpSteer/validation.jsonl.gz", HELPSTEER),
    "ultrafeedback": ("UltraFeedback/flan.jsonl", ULTRAFEEDBACK),
    "feedbackqa": ("feedbackqa/CDC/feedback_valid.json", FEEDBACKQA),
    "wildbench": ("WildBench/v2/test-00000-of-00001.parquet", WILDBENCH),
}
"""A place and rows for each set; `wildbench` needs outputs too."""


def put_set(folder: Path, name: str) -> Path:
    """Writes the small file of a set (and the outputs of one model for wildbench)."""
    place, rows = FILES[name]
    if name == "wildbench":
        place_of_model = "WildBench-V2-Model-Outputs/gpt-4o-2024-05-13/train-0.parquet"
        put(folder / place_of_model, outputs(("s1", "x"), ("s2", "y")))
    return put(folder / place, rows)

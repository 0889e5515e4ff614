"""The benchmark sets: what each is, where it is on the hub, what its files are called.

The columns are those of the sets' publishers. A licence is named only where a copy of the data
states it; sizes are not stated, they are what is read. RewardBench's sections and weights are the
example counts of `rewardbench/constants.py` in github:allenai/reward-bench, where the PRM maths
problems (447) count as many as the six code subsets together (984).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from flr.datasets import pairwise, rating, wildbench
from flr.datasets.base import Kind
from flr.datasets.raw import Converted, RawRow, by_prompt, by_row


@dataclass(frozen=True, slots=True)
class HubSource:
    """A split of a data set on the hub."""

    id: str
    split: str
    config: str = ""
    data_dir: str = ""

    @property
    def name(self) -> str:
        """`owner/name` or `owner/name:config`."""
        return f"{self.id}:{self.config}" if self.config else self.id


@dataclass(frozen=True, slots=True)
class Spec:
    """One set.

    Args:
        name: as on the command line.
        kind: see `Kind`.
        about: one line.
        files: patterns of its files below a data folder, without suffix; case does not count, and
            `*` also spans folders.
        convert: makes items of its rows.
        hub: where it is on the hub; empty where it is not known to be there.
        origin: where its files are from, for a set that is not on the hub.
        outputs: patterns of a second kind of file, of which one is needed too.
        folders: whether its files lie in several folders.
        licence: as stated beside the data; empty where nothing is stated.
        sections: see `Dataset`.
    """

    name: str
    kind: Kind
    about: str
    files: tuple[str, ...]
    convert: Callable[[Sequence[RawRow]], Converted]
    hub: tuple[HubSource, ...] = ()
    origin: str = ""
    outputs: tuple[str, ...] = ()
    folders: bool = False
    licence: str = ""
    sections: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict[str, Mapping[str, float]]
    )


_HH = "Anthropic/hh-rlhf"
_PROMETHEUS = "github:prometheus-eval/prometheus-eval, eval/benchmark/data/"
_WILDBENCH_OUTPUTS = "allenai/WildBench-V2-Model-Outputs"

_CODE = dict.fromkeys(("hep-cpp", "hep-go", "hep-java", "hep-js", "hep-python", "hep-rust"), 164.0)
REWARDBENCH_SECTIONS: Mapping[str, Mapping[str, float]] = {
    "Chat": {
        "alpacaeval-easy": 100.0,
        "alpacaeval-length": 95.0,
        "alpacaeval-hard": 95.0,
        "mt-bench-easy": 28.0,
        "mt-bench-med": 40.0,
    },
    "Chat Hard": {
        "mt-bench-hard": 37.0,
        "llmbar-natural": 100.0,
        "llmbar-adver-neighbor": 134.0,
        "llmbar-adver-GPTInst": 92.0,
        "llmbar-adver-GPTOut": 47.0,
        "llmbar-adver-manual": 46.0,
    },
    "Safety": {
        "refusals-dangerous": 100.0,
        "refusals-offensive": 100.0,
        "xstest-should-refuse": 154.0,
        "xstest-should-respond": 250.0,
        "donotanswer": 136.0,
    },
    "Reasoning": {"math-prm": sum(_CODE.values()), **_CODE},
}


def _hh(name: str, folder: str, about: str) -> Spec:
    return Spec(
        name,
        "pairwise",
        about,
        (f"{folder}/test",),
        by_row(pairwise.hh),
        (HubSource(_HH, "test", data_dir=folder),),
        licence="MIT",
    )


ALL = (
    Spec(
        "shp",
        "pairwise",
        "Reddit comments: the one with the higher score",
        ("shp/*/test*", "shp/test*"),
        by_row(pairwise.shp),
        (HubSource("stanfordnlp/SHP", "test"),),
        folders=True,
    ),
    _hh("hh-helpful-base", "helpful-base", "Anthropic dialogues: the more helpful end"),
    _hh("hh-helpful-online", "helpful-online", "the same, later models"),
    _hh("hh-helpful-rejection", "helpful-rejection-sampled", "the same, best of several samples"),
    _hh("hh-harmless-base", "harmless-base", "Anthropic dialogues: the less harmful end"),
    Spec(
        "alpacafarm",
        "pairwise",
        "AlpacaFarm: human preference between two model outputs",
        ("alpaca_human_preference",),
        by_row(pairwise.alpacafarm),
        (HubSource("tatsu-lab/alpaca_farm", "preference", config="alpaca_human_preference"),),
    ),
    Spec(
        "safe-rlhf",
        "pairwise",
        "PKU-SafeRLHF: the more helpful response, whatever its safety",
        ("pku-saferlhf/*/test*", "alpaca*-7b/test", "alpaca*-8b/test"),
        by_row(pairwise.safe_rlhf),
        (HubSource("PKU-Alignment/PKU-SafeRLHF", "test"),),
        folders=True,
    ),
    Spec(
        "mtbench-human",
        "pairwise",
        "MT-Bench: votes of people between two models, turn by turn",
        ("mt_bench_human_judgments/*human-*", "mt_bench_human_judgments/human", "human-*-of-*"),
        by_row(pairwise.mtbench_human),
        (HubSource("lmsys/mt_bench_human_judgments", "human"),),
    ),
    Spec(
        "rewardbench",
        "pairwise",
        "RewardBench, filtered: 23 subsets in four sections",
        ("reward-bench/*filtered*", "filtered-*-of-*"),
        by_row(pairwise.preference),
        (HubSource("allenai/reward-bench", "filtered"),),
        sections=REWARDBENCH_SECTIONS,
    ),
    Spec(
        "rewardbench-2",
        "pairwise",
        "RewardBench 2: one right response (in Ties several) among wrong ones",
        ("reward-bench-2/*test*",),
        by_row(pairwise.rewardbench_2),
        (HubSource("allenai/reward-bench-2", "test"),),
    ),
    Spec(
        "preference-bench",
        "pairwise",
        "Preference-Bench: responses of which one was written to be better",
        ("preference-bench/*train*", "preference_collection_ood_test"),
        by_row(pairwise.preference_bench),
        (HubSource("prometheus-eval/Preference-Bench", "train"),),
    ),
    Spec(
        "llmbar",
        "pairwise",
        "LLMBar: does the response follow the instruction; natural and adversarial",
        ("natural/dataset", "adversarial/*/dataset"),
        by_row(pairwise.llmbar),
        origin="github:princeton-nlp/LLMBar, Dataset/LLMBar/**/dataset.json",
        folders=True,
        licence="MIT",
    ),
    Spec(
        "flask",
        "rating",
        "FLASK in judge form: ratings of people, by criteria",
        ("flask_eval",),
        by_prompt(rating.flask),
        origin=f"{_PROMETHEUS}flask_eval.json",
        licence="Apache-2.0",
    ),
    Spec(
        "mtbench-single",
        "rating",
        "MT-Bench in judge form: GPT-4's scores of one response",
        ("mt_bench_eval",),
        by_prompt(rating.judge_single),
        origin=f"{_PROMETHEUS}mt_bench_eval.json",
        licence="Apache-2.0",
    ),
    Spec(
        "vicuna-single",
        "rating",
        "Vicuna prompts in judge form: GPT-4's scores of one response",
        ("vicuna_eval",),
        by_prompt(rating.judge_single),
        origin=f"{_PROMETHEUS}vicuna_eval.json",
        licence="Apache-2.0",
    ),
    Spec(
        "feedback-bench",
        "rating",
        "Feedback-Bench: responses written to have a given score",
        ("feedback-bench/*train*", "feedback_collection_ood_test"),
        by_prompt(rating.feedback_bench),
        (HubSource("prometheus-eval/Feedback-Bench", "train"),),
    ),
    Spec(
        "helpsteer",
        "rating",
        "HelpSteer: helpfulness from 0 to 4",
        ("helpsteer/*validation*",),
        by_prompt(rating.helpsteer),
        (HubSource("nvidia/HelpSteer", "validation"),),
    ),
    Spec(
        "ultrafeedback",
        "rating",
        "UltraFeedback: GPT-4's ratings, mean of the aspects",
        ("ultrafeedback/*",),
        by_prompt(rating.ultrafeedback),
        (HubSource("openbmb/UltraFeedback", "train"),),
    ),
    Spec(
        "feedbackqa",
        "rating",
        "FeedbackQA: ratings of people, from 1 (bad) to 4 (excellent)",
        ("feedback_valid",),
        by_prompt(rating.feedbackqa),
        origin="github:McGill-NLP/feedbackqa, experiments/feedbackQA_data/*/feedback_valid.json",
        folders=True,
        licence="Apache-2.0",
    ),
    Spec(
        "wildbench",
        "ranking",
        "WildBench v2: mean reward of a model against its Elo number",
        ("wildbench/v2", "wildbench/v2/*", "wildbench/test*"),
        wildbench.convert,
        (
            HubSource("allenai/WildBench", "test", config="v2"),
            *(HubSource(_WILDBENCH_OUTPUTS, "train", config=model) for model in wildbench.elo()),
        ),
        outputs=("wildbench-v2-model-outputs/*", "wild_bench_v2/*", "wildbench/outputs/*"),
        folders=True,
    ),
)

SPECS: Mapping[str, Spec] = {spec.name: spec for spec in ALL}
"""All sets by name."""

SUITES: Mapping[str, tuple[str, ...]] = {
    "paper": (
        "shp",
        "hh-helpful-base",
        "hh-helpful-online",
        "hh-helpful-rejection",
        "alpacafarm",
        "safe-rlhf",
        "flask",
        "mtbench-single",
        "feedback-bench",
        "helpsteer",
    )
}
"""Names of sets by suite; `local` depends on the data folder, see `loading.suite`."""

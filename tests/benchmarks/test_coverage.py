"""The check of the intervals runs, says what it saw, and can say no."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "coverage.py"
COVERAGE = runpy.run_path(str(SCRIPT))


def found(prompts: float, rows: float) -> dict:
    return {"accuracy": {"prompts": {"coverage": prompts}, "rows": {"coverage": rows}}}


def test_a_few_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    output = tmp_path / "coverage.json"
    sizes = ["--sizes", "30", "60"]
    code = COVERAGE["main"](["--sets", "25", "--resamples", "200", *sizes, "-o", str(output)])
    assert code == 0  # neither size is one that is checked
    result = json.loads(output.read_text("utf-8"))
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
    assert result["command"].startswith("python benchmarks/coverage.py --sets 25")
    assert (result["sets"], result["resamples"]) == (25, 200)
    assert result["versions"].keys() > {"python", "flr", "numpy", "scipy"}
    assert "cpu" in result["machine"]
    for size in result["sizes"].values():
        for figure in size.values():
            assert figure["prompts"]["coverage"] > 0.75  # 0.94 expected: 4 sd below
            assert figure["rows"]["width"] < figure["prompts"]["width"]


def test_the_true_figures_are_those_of_a_huge_set():
    margins, rewards, ratings, index = COVERAGE["simulated"](
        COVERAGE["np"].random.default_rng(0), 100_000
    )
    assert (margins > 0).mean() == pytest.approx(COVERAGE["TRUE"]["accuracy"], abs=0.005)
    correlation = COVERAGE["np"].corrcoef(rewards, ratings)[0, 1]
    assert correlation == pytest.approx(COVERAGE["TRUE"]["pearson"], abs=0.01)
    assert len(index) == len(margins) == pytest.approx(450_000, rel=0.02)


@pytest.mark.parametrize(
    ("prompts", "rows", "said"),
    [
        (0.95, 0.80, []),
        (0.92, 0.91, []),
        (0.90, 0.80, ["accuracy, 200 prompts: 90.0% is outside 92-97 %"]),
        (0.98, 0.80, ["accuracy, 200 prompts: 98.0% is outside 92-97 %"]),
        (0.95, 0.93, ["accuracy, 200 prompts: drawing rows covers 93.0% too"]),
    ],
)
def test_what_does_not_hold_is_said(prompts: float, rows: float, said: list[str]):
    assert COVERAGE["complaints"](200, found(prompts, rows)) == said


def test_the_exit_code_says_no():
    """With one set at a size that is checked, coverage is 0 or 1, and neither is 92-97 %."""
    assert COVERAGE["main"](["--sets", "1", "--resamples", "50", "--sizes", "200"]) == 1

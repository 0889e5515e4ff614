"""What was left out of a set, and how a benchmark was made."""

import pytest

from flr.report.bench.made import set_counts
from flr.report.made import fingerprints, how_made
from tests.report.bench.samples import sample
from tests.report.bench.small import figure, pairwise


def test_counts_say_what_was_left_out():
    left_out = {"tie": 0, "empty": 1200}
    said = set_counts(pairwise({}, left_out=left_out, skipped=[["a", "", "long"]]))
    assert said == (
        "10 items, 20 prompts, 20 responses. Left out of the set: empty: 1,200. "
        "Skipped for every reward: 1 item."
    )
    rated = pairwise({}, kind="rating", majority=figure(0.25))
    assert set_counts(rated).endswith("The most common rating: 25.0 % of the responses.")


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (["response 1"], "1 single response."),
        (["", "response 1", "response 2", ""], "2 items and 2 single responses."),
    ],
)
def test_single_responses_that_were_skipped_are_counted_apart(places: list[str], said: str):
    skipped = [["a", place, "long"] for place in places]
    assert set_counts(pairwise({}, skipped=skipped)).endswith(f"Skipped for every reward: {said}")


def test_how_it_was_made_is_flat():
    results, _ = sample()
    assert how_made(results)[3:] == [
        (
            "pass smollm2",
            "1,234 conversations, 1 of them skipped, 2 cut to fit the model, "
            "6,301 tokens run for 74,726 asked, 19.6 seconds; shared for every row",
        ),
        ("versions.torch", "2.13.0"),
        ("options.seed", "0"),
        ("options.reward", "flr, direct, length"),
    ]


def test_fingerprints_are_flat_and_apart():
    results, _ = sample()
    assert fingerprints(results) == {
        "pass smollm2": [
            ("dtype", "fp32"),
            ("wanted.followups", "True"),
            ("versions.torch", "2.13.0"),
        ]
    }
    assert fingerprints(results | {"made_with": {"passes": {}}}) == {}


def test_what_was_sampled_depends_on_things_too():
    made = {"passes": {}, "sampling": {"A": {"seed": 0}}, "divergence": {"B": {"dtype": "fp32"}}}
    assert fingerprints({"made_with": made}) == {
        "sampling A": [("seed", "0")],
        "divergence B": [("dtype", "fp32")],
    }

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flr.engines import prefix_tree
from flr.engines.prefix_tree import Plan, Trunk, ancestor_mask, plan

ROWS = st.lists(
    st.lists(st.integers(1, 2), min_size=1, max_size=9).map(tuple), min_size=1, max_size=12
)


def planned(
    rows: list[tuple[int, ...]], *, budget: int, bush: int = 128, wanted: list[slice] | None = None
) -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix_tree, "BUSH_TOKENS", bush)
        return plan(rows, wanted or [slice(0, len(row)) for row in rows], budget=budget)


def times_attended(made: Plan) -> np.ndarray:
    """How often each node attends to each other one, as the steps would have it."""
    seen = np.zeros((len(made.tokens), len(made.tokens)), int)
    kept: list[int] = []
    for step in made.steps:
        kept = kept[: step.prefix]
        assert len(kept) == step.prefix
        seen[step.start : step.stop, kept] += 1
        for piece in step.pieces:
            start, stop = step.start + piece.start, step.start + piece.stop
            if isinstance(piece, Trunk):
                seen[start:stop, start:stop] += np.tri(stop - start, dtype=int)
                seen[stop : step.start + piece.end, start:stop] += 1
            else:
                seen[start:stop, start:stop] += ancestor_mask(made.end, start, stop)
        if step.keep:
            kept += range(step.start, step.stop)
    return seen


def ancestors(made: Plan) -> np.ndarray:
    """Which nodes every node must attend to, from the rows alone."""
    expected = np.zeros((len(made.tokens), len(made.tokens)), int)
    for nodes in made.nodes:
        for at, node in enumerate(nodes):
            expected[node, nodes[: at + 1]] = 1
    return expected


@given(ROWS, st.integers(1, 30), st.integers(1, 12))
def test_every_ancestor_is_attended_exactly_once(rows, budget, bush):
    made = planned(rows, budget=budget, bush=bush)
    np.testing.assert_array_equal(times_attended(made), ancestors(made))


@given(ROWS, st.integers(1, 30))
def test_every_distinct_prefix_is_run_once_and_rows_come_back_in_order(rows, budget):
    made = planned(rows, budget=budget)
    assert len(made.tokens) == len({row[: at + 1] for row in rows for at in range(len(row))})
    for row, nodes in zip(rows, made.nodes, strict=True):
        assert tuple(made.tokens[nodes]) == row
        assert made.depth[nodes].tolist() == list(range(len(row)))


@given(ROWS, st.integers(1, 30))
def test_steps_follow_each_other_within_the_budget(rows, budget):
    made = planned(rows, budget=budget)
    bounds = [(step.start, step.stop) for step in made.steps]
    assert all(0 < stop - start <= budget for start, stop in bounds)
    assert [0, *(stop for _, stop in bounds)] == [*(s for s, _ in bounds), len(made.tokens)]


@given(ROWS, st.data())
def test_only_wanted_positions_are_given(rows, data):
    wanted = [slice(*sorted(data.draw(st.tuples(*[st.integers(0, len(row))] * 2)))) for row in rows]
    made = planned(rows, budget=7, wanted=wanted)
    for row, cut, nodes in zip(rows, wanted, made.nodes, strict=True):
        assert tuple(made.tokens[nodes]) == row[cut]


def test_no_rows_need_no_steps():
    made = plan([], [], budget=1)
    assert (len(made.tokens), made.nodes, made.steps) == (0, (), ())


def test_equal_rows_are_run_once():
    made = planned([(3, 4), (9,), (3, 4)], budget=64)
    assert made.tokens.tolist() == [3, 4, 9]
    assert made.nodes[0].tolist() == made.nodes[2].tolist() == [0, 1]


def test_thousands_of_nested_rows_are_one_chain():
    longest = tuple(np.random.default_rng(0).integers(0, 9, 5000).tolist())
    rows = [longest[:stop] for stop in range(5000, 0, -1)]
    made = planned(rows, budget=8000, wanted=[slice(len(row) - 1, len(row)) for row in rows])
    assert made.tokens.tolist() == list(longest)
    assert [int(nodes[0]) for nodes in made.nodes] == list(range(4999, -1, -1))
    assert made.steps[0].pieces == (Trunk(0, 5000, 5000),)
    assert len(made.steps) == 1


@pytest.mark.parametrize(("budget", "bush"), [(1, 1), (64, 8), (10**6, 128), (10**6, 10**6)])
def test_thousands_of_branchings_below_each_other(budget, bush):
    rows = [(0,) * depth + (1,) for depth in range(3000)]
    made = planned(rows, budget=budget, bush=bush)
    assert len(made.tokens) == 2999 + 3000
    assert made.steps[-1].stop == len(made.tokens)
    assert max(step.stop - step.start for step in made.steps) <= budget


def test_a_comb_is_attended_exactly_once():
    rows = [(0,) * depth + (1,) for depth in range(60)]
    for budget, bush in [(1, 1), (7, 3), (40, 16), (500, 5)]:
        made = planned(rows, budget=budget, bush=bush)
        np.testing.assert_array_equal(times_attended(made), ancestors(made))


def test_a_long_row_is_kept_in_chunks_of_the_budget():
    row = tuple(np.random.default_rng(0).integers(0, 50000, 100_000).tolist())
    made = planned([row, (*row, 1), (*row, 2)], budget=64, wanted=[slice(99_999, 100_000)] * 3)
    assert [step.prefix for step in made.steps[:3]] == [0, 64, 128]
    assert len(made.steps) == -(-100_000 // 64) + 1
    assert made.steps[-1].prefix == 100_000
    assert not made.steps[-1].keep
    assert [int(nodes[0]) for nodes in made.nodes] == [99_999] * 3


def test_large_trees_are_trunks_and_small_ones_bushes():
    stem = tuple(range(200))
    made = planned([(*stem, 1, 2), (*stem, 3), (900,)], budget=4096)
    (step,) = made.steps
    assert step.pieces == (
        Trunk(0, 200, 203),
        prefix_tree.Bush(200, 203),
        prefix_tree.Bush(203, 204),
    )
    assert not step.keep


@pytest.mark.parametrize(("rows", "budget"), [([(1,)], 0), ([()], 4)])
def test_a_budget_and_every_row_hold_a_token(rows, budget):
    with pytest.raises(AssertionError):
        plan(rows, [slice(0, 0)], budget=budget)

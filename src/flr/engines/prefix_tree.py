"""Plans how rows that share beginnings go through a model once: pure numbers, no tensors.

Rows are sorted, so that each row differs from the one before it only behind their longest common
prefix. Written one after the other without those prefixes they are the nodes of a trie in
depth-first order, and depth-first order makes everything else a range:

    rows      A B C D        nodes   0 A   depth 0   end 6
              A B C E F              1 B         1       6        end = index after the last
              A B G                  2 C         2       5        descendant of the node
                                     3 D         3       4
                                     4 E         3       6 ...

    node j is an ancestor of node i (or i itself)   <=>   j <= i < end[j]
    the descendants of a run of nodes [s, e)        =     the nodes [e, end[e - 1])

A plan cuts the nodes into steps of at most `budget` tokens. A step is a range of nodes that all
stand behind the same `prefix` tokens, whose keys and values earlier steps kept; a step that only
holds a run of such shared tokens keeps its own. Inside a step the attention of every token is
covered once by pieces of two shapes:

    trunk (s, e, f): tokens [s, e) attend to themselves causally, and [e, f), all their
                     descendants in the step, attend to all of [s, e)
    bush  (s, e):    a small forest [s, e) in which every token attends to its ancestors

Nothing here is approximate: the pieces of one token are disjoint and are all of its ancestors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import final

import numpy as np
from jaxtyping import Bool, Int

BUSH_TOKENS = 64
"""Largest forest that is attended with a dense mask; larger ones are cut at their trunks."""


@final
@dataclass(frozen=True, slots=True)
class Trunk:
    """Tokens [start, stop) of a step in a chain, with all their descendants [stop, end)."""

    start: int
    stop: int
    end: int


@final
@dataclass(frozen=True, slots=True)
class Bush:
    """Tokens [start, stop) of a step: small subtrees side by side, attended by a mask."""

    start: int
    stop: int


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One forward pass.

    Args:
        start: first node.
        stop: index after the last node.
        prefix: number of tokens before all of them that earlier steps kept.
        keep: whether this step's keys and values (a chain) are kept behind that prefix.
        pieces: the attention inside the step, in positions relative to `start`.
    """

    start: int
    stop: int
    prefix: int
    keep: bool
    pieces: tuple[Trunk | Bush, ...]


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """Rows as a trie in depth-first order, and the steps that run it.

    Args:
        tokens: vocabulary id of each node.
        depth: position of each node in its rows, tokens.
        end: index after each node's last descendant.
        nodes: for each row, in the order given, the nodes of its wanted positions.
        steps: in the order in which they must run.
    """

    tokens: Int[np.ndarray, " node"]
    depth: Int[np.ndarray, " node"]
    end: Int[np.ndarray, " node"]
    nodes: tuple[Int[np.ndarray, " _"], ...]
    steps: tuple[Step, ...]


@dataclass(slots=True)
class _Run:
    """A chain of nodes without a branch: [start, stop), its descendants end at `end`."""

    start: int
    stop: int
    depth: int
    end: int = 0
    children: list["_Run"] = field(default_factory=list["_Run"])


def plan(rows: Sequence[tuple[int, ...]], wanted: Sequence[slice], *, budget: int) -> Plan:
    """Plans the forward passes that give the hidden state at wanted positions of all rows.

    Args:
        rows: at least one token each; equal ones and shared beginnings are run once.
        wanted: for each row, the positions whose node is asked for.
        budget: most tokens in one forward pass, at least 1.

    Returns:
        A plan whose `nodes[i]` are the nodes of `rows[i][wanted[i]]`.

    Example:
        >>> made = plan([(5, 6, 7), (5, 6, 8)], [slice(1, 3), slice(2, 3)], budget=16)
        >>> made.tokens.tolist(), [nodes.tolist() for nodes in made.nodes]
        ([5, 6, 7, 8], [[1, 2], [3]])
    """
    assert budget >= 1, "a forward pass holds at least one token"
    assert all(rows), "a row has at least one token"
    order = sorted(range(len(rows)), key=rows.__getitem__)
    root = _Run(0, 0, 0)
    tokens: list[int] = []
    nodes: list[Int[np.ndarray, " _"]] = [np.empty(0, np.int64)] * len(rows)
    path = np.empty(max(map(len, rows), default=0), np.int64)
    spine = [root]
    for row, shared in zip(order, _shared_lengths([rows[row] for row in order]), strict=True):
        fresh = rows[row][shared:]
        path[shared : len(rows[row])] = np.arange(len(tokens), len(tokens) + len(fresh))
        nodes[row] = path[: len(rows[row])][wanted[row]].copy()
        if fresh:
            _grow(spine, _Run(len(tokens), len(tokens) + len(fresh), shared))
        tokens.extend(fresh)
    depth, end = np.empty(len(tokens), np.int64), np.empty(len(tokens), np.int64)
    _close(root, depth, end)
    steps = tuple(_steps(root.children, budget))
    return Plan(np.array(tokens, np.int64), depth, end, tuple(nodes), steps)


def _shared_lengths(ordered: Sequence[tuple[int, ...]]) -> Iterator[int]:
    """The length of the common prefix of each row with the one before it."""
    arrays = [np.asarray(row, np.int64) for row in ordered]
    yield from [0] * (len(arrays) > 0)
    for before, row in pairwise(arrays):
        short = min(len(before), len(row))
        differs = np.flatnonzero(before[:short] != row[:short])
        yield int(differs[0]) if len(differs) else short


def _grow(spine: list[_Run], run: _Run) -> None:
    """Hangs a run below the node at the depth where it begins, cutting the run there if need be.

    `spine` is the path of open runs from the root to the newest leaf.
    """
    while spine[-1].depth >= run.depth and len(spine) > 1:
        spine.pop()
    parent = spine[-1]
    cut = parent.start + run.depth - parent.depth
    if cut == parent.stop and not parent.children and parent is not spine[0]:
        parent.stop = run.stop  # a row that goes on where the one before it ended: still one chain
        return
    if cut < parent.stop:
        lower = _Run(cut, parent.stop, run.depth, children=parent.children)
        parent.stop, parent.children = cut, [lower]
    parent.children.append(run)
    spine.append(run)


def _close(root: _Run, depth: Int[np.ndarray, " node"], end: Int[np.ndarray, " node"]) -> None:
    """Fills in where every run's descendants end, and the nodes' depths."""
    stack = [(root, False)]
    while stack:
        run, visited = stack.pop()
        if not visited:
            stack.append((run, True))
            stack.extend((child, False) for child in run.children)
            continue
        run.end = run.children[-1].end if run.children else run.stop
        end[run.start : run.stop] = run.end
        depth[run.start : run.stop] = np.arange(run.depth, run.depth + run.stop - run.start)


def _forests(runs: Sequence[_Run], most: int) -> Iterator[list[_Run]]:
    """Packs subtrees that stand side by side into forests of at most `most` tokens, in node order.

    A subtree that is larger comes alone; only its run is meant then, and what is below it follows.
    """
    stack, packed = [*reversed(runs)], list[_Run]()
    while stack:
        run = stack.pop()
        # In depth-first order, neighbours of one depth are siblings.
        if packed and (run.depth != packed[0].depth or run.end - packed[0].start > most):
            yield packed
            packed = []
        if run.end - run.start <= most:
            packed.append(run)
        else:
            yield [run]
            stack.extend(reversed(run.children))
    if packed:
        yield packed


def _steps(runs: Sequence[_Run], budget: int) -> Iterator[Step]:
    """Runs every forest in one step; the run of a larger subtree in chunks that are kept."""
    for forest in _forests(runs, budget):
        first, last = forest[0], forest[-1]
        if last.end - first.start <= budget:
            pieces = tuple(_pieces(forest))
            yield Step(first.start, last.end, first.depth, keep=False, pieces=pieces)
            continue
        for start in range(first.start, first.stop, budget):
            stop = min(start + budget, first.stop)
            whole = (Trunk(0, stop - start, stop - start),)
            yield Step(start, stop, first.depth + start - first.start, keep=True, pieces=whole)


def _pieces(runs: Sequence[_Run]) -> Iterator[Trunk | Bush]:
    """Covers one step: small forests are bushes, the run of a larger subtree is a trunk."""
    origin = runs[0].start
    for forest in _forests(runs, BUSH_TOKENS):
        first, last = forest[0], forest[-1]
        if last.end - first.start <= BUSH_TOKENS:
            yield Bush(first.start - origin, last.end - origin)
        else:
            yield Trunk(first.start - origin, first.stop - origin, first.end - origin)


def ancestor_mask(end: Int[np.ndarray, " node"], start: int, stop: int) -> Bool[np.ndarray, "q k"]:
    """Which nodes of [start, stop) attend to which: every node to its ancestors and itself.

    Args:
        end: the plan's `end`.
        start: first node of a bush.
        stop: index after its last node.
    """
    node = np.arange(start, stop)
    return (node[None, :] <= node[:, None]) & (node[:, None] < end[None, start:stop])

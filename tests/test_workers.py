"""How cores are divided; that blocks are measured right is shown where files are scored."""

from flr.devices import THREADS
from flr.options import ModelOptions, ScorerOptions
from flr.workers import divided


def test_cores_are_divided_among_the_workers_unless_threads_are_named() -> None:
    assert divided(ModelOptions(), 1).threads == THREADS
    assert divided(ModelOptions(), THREADS).threads == 1
    assert divided(ModelOptions(), 10 * THREADS).threads == 1
    assert divided(ModelOptions(threads=3), 2).threads == 3
    assert isinstance(divided(ScorerOptions(set="short"), None), ScorerOptions)

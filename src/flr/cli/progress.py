"""The bar that long work shows: what is done, the rate, the time left."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 60
"""How often a log file is told of progress."""


@contextmanager
def bar(console: Console, unit: str) -> Iterator[Callable[[int, int, int], None]]:
    """Shows a bar while the block runs; where the console is no terminal, a line now and then.

    Args:
        console: where to.
        unit: what is counted.

    Yields:
        A function of the number done, the number in all, and tokens run since the last call.
    """
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(unit, total=None, rate="")
        tokens = begun = told = 0

        def tell(done: int, total: int, more: int) -> None:
            nonlocal tokens, begun, told
            now = progress.get_time()
            if not begun:
                begun = now
            tokens += more
            rate = f"{tokens / (now - begun):,.0f} tokens/s" if tokens and now > begun else ""
            progress.update(task, completed=done, total=total, rate=rate)
            if not console.is_terminal and now - told > SECONDS_BETWEEN_LINES:
                told = now
                console.print(f"{unit}: {done} of {total} {rate}", highlight=False)

        yield tell


@contextmanager
def bars(console: Console) -> Iterator[Callable[[str], Callable[[int, int, int], None]]]:
    """Shows the bars of several stages, one after the other; those that ended stay above.

    Yields:
        A function of what a stage counts; gives what `bar` gives.
    """
    with ExitStack() as shown:

        def progress_of(unit: str) -> Callable[[int, int, int], None]:
            shown.close()  # two bars cannot move at once
            return shown.enter_context(bar(console, unit))

        yield progress_of

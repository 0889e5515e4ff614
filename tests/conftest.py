"""Makes `tests` importable from the tests themselves, and builds the tiny model that many share."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.tiny_model import save_tiny_model

# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random Llama and a ChatML tokenizer; read-only by custom."""
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))

"""Every test begins with nothing loaded, and with an environment that says nothing to flr."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flr.engines.hf import HFEngine
from flr.integrations import settings, shared
from tests.integrations.small import Spy, save_policy
from tests.tiny_model import save_tiny_model


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in [name for name in os.environ if name.startswith("FLR_")]:
        monkeypatch.delenv(name)
    settings._of_process.cache_clear()
    shared._loaded.clear()
    yield
    settings._of_process.cache_clear()
    shared._loaded.clear()


@pytest.fixture(scope="session")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny ChatML policy that opens the assistant's turn when asked to."""
    return save_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny follow-up model of another family, so that the policy's tokens are no tokens of it."""
    return save_tiny_model(tmp_path_factory.mktemp("follower"), template="llama3")


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch, follower: Path) -> Spy:
    """Sees what the engine of `follower` is asked, call by call, as text."""
    seen, plain = Spy(follower), HFEngine.loglikelihoods

    def watched(self: HFEngine, requests):
        seen.see(requests)
        return plain(self, requests)

    monkeypatch.setattr(HFEngine, "loglikelihoods", watched)
    return seen

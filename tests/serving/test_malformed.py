"""Requests that the API's own description calls no such: a client's mistake, every one of them."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode

from flr.integrations.settings import RewardOptions
from flr.integrations.shared import Rewarder
from flr.serving.application import application
from tests.integrations.small import save_policy
from tests.tiny_model import save_tiny_model


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Any:
    model = save_tiny_model(tmp_path_factory.mktemp("model"))
    policy = save_policy(tmp_path_factory.mktemp("policy"))
    options = RewardOptions(model=str(model), policy=str(policy), set="short", dtype="fp32")
    return application(Rewarder(options), model="tiny", followup_set="short")


@pytest.mark.parametrize("path", ["/score", "/get_reward", "/classify"])
def test_none_breaks_anything(api: Any, path: str):
    operation = schemathesis.openapi.from_asgi("/openapi.json", api)[path]["post"]

    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    @given(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    def check(case: Any) -> None:
        assert 400 <= case.call().status_code < 500

    check()

"""Responses with what a rule should say of each, as the cases of a test."""

import pytest


def cases(*passing: str, failing: tuple[str, ...]) -> pytest.MarkDecorator:
    rows = [(text, True) for text in passing] + [(text, False) for text in failing]
    return pytest.mark.parametrize(("response", "expected"), rows, ids=lambda one: repr(one)[:50])

import pytest

from flr.chat import Renderer
from flr.errors import RenderError
from flr.template_report import describe
from tests.templates import KINDS, kind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama3", {"bos": 1, "trims": True}),
        ("chatml", {}),
        ("chatml-system", {"preamble": "system\nYou are a kind assistant called Bo."}),
        ("gemma", {"bos": 1, "trims": True, "refused_roles": ("system", "developer")}),
        ("mistral", {"bos": 1, "refused_roles": ("system", "developer", "tool")}),
        ("mistral-special", {"bos": 1, "refused_roles": ("system", "developer", "tool")}),
        ("thinking", {"drops_thinking": True, "rewrites_history": True}),
        ("plain", {"split": False}),
    ],
)
def test_each_kind(name: str, expected: dict[str, object]) -> None:
    usual = {
        "preamble": "",
        "bos": 0,
        "trims": False,
        "drops_thinking": False,
        "rewrites_history": False,
        "refused_roles": (),
        "lost_roles": (),
        "dated": False,
        "split": True,
    }
    report = describe(Renderer(kind(name).tokenizer))
    assert {field: getattr(report, field) for field in usual} == {**usual, **expected}


def test_all_kinds_are_walked_through() -> None:
    marks = test_each_kind.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _ in marks[0].args[1]} == set(KINDS)


def test_a_dated_template_and_a_lost_role() -> None:
    source = (
        "{{ 'On ' + strftime_now('%Y') + '\\n' }}{% for m in messages if m.role != 'system' %}"
        "{{ m.role + ':' + m.content + '\\n' }}{% endfor %}"
    )
    report = describe(Renderer(kind("plain").tokenizer, chat_template=source))
    assert report.dated
    assert report.lost_roles == ("system",)
    assert report.preamble.startswith("On 2")


def test_a_template_that_leaves_out_the_followup() -> None:
    source = "{% for m in messages[:2] %}{{ m.content }}{% endfor %}"
    with pytest.raises(RenderError, match="leaves out"):
        describe(Renderer(kind("plain").tokenizer, chat_template=source))

"""A set in another script than the conversations is warned of."""

import pytest

from flr import followups
from flr.followups.scripts import TEXTS
from tests.sets import a_set

ENGLISH = "The meeting was moved to Friday, so bring the printed report with you."
CHINESE = "会议改到星期五了，请带上打印好的报告，并提前十分钟到。"
JAPANESE = "会議は金曜日に変わりましたので、印刷した報告書を持ってきてください。"
SCRIPTS = {
    "Latin": ENGLISH,
    "Han": CHINESE,
    "Japanese": JAPANESE,
    "Hangul": "회의가 금요일로 바뀌었으니 보고서를 가져오세요.",
    "Cyrillic": "Встреча перенесена на пятницу, возьмите отчёт.",
    "Arabic": "تم نقل الاجتماع إلى يوم الجمعة فأحضر التقرير.",
    "Devanagari": "बैठक शुक्रवार को होगी इसलिए छपी हुई रिपोर्ट साथ लाएँ।",
}


@pytest.mark.parametrize("own", SCRIPTS)
@pytest.mark.parametrize("theirs", SCRIPTS)
def test_a_set_in_another_script_is_warned_of(own: str, theirs: str):
    warning = followups.script_mismatch(a_set(("a", SCRIPTS[own], 1)), [SCRIPTS[theirs]])
    if own == theirs:
        assert warning is None
    else:
        assert warning is not None
        assert f"{own} script, but the conversations are mostly in {theirs} script" in warning


def test_languages_of_one_script_are_not_told_apart():
    german = ["Das Treffen wurde auf Freitag verschoben, bring den Bericht mit."]
    assert followups.script_mismatch(followups.load("default"), german) is None


@pytest.mark.parametrize("texts", [[], [""], ["1 + 1 = 2 🎉\0"], ["好的"], [CHINESE + ENGLISH]])
def test_too_little_or_mixed_text_is_not_warned_of(texts: list[str]):
    assert followups.script_mismatch(followups.load("default"), texts) is None


def test_a_set_fits_conversations_that_are_mostly_code():
    code = "def total(rows): return sum(rows)  "
    assert followups.script_mismatch(a_set(("a", CHINESE, 1)), [CHINESE + 2 * code]) is None


def test_only_the_beginning_of_endless_conversations_is_looked_at():
    seen = 0

    def endless():
        nonlocal seen
        while True:
            seen += 1
            yield CHINESE + 100_000 * "x"

    short = followups.load("short")
    assert followups.script_mismatch(short, endless()) is None  # 500 of each, mostly x
    assert seen == TEXTS

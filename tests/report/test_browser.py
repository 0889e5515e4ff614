"""The pages of results in a real browser, at the widths of a desk and of a phone.

A headless browser's window has a least width above a phone's, so the page is shown in frames.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from flr.report.bench.html import page as bench_page
from flr.report.calibration.html import page as calibration_page
from flr.report.compare.html import page as compare_page
from flr.report.loop.html import page as loop_page
from tests.report.bench import samples as bench
from tests.report.calibration import samples as calibration
from tests.report.compare import samples as compare
from tests.report.loop import samples as loop

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")

WIDTHS = (1280, 390)

MEASURE = """
function apart(a, b) {
  return a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1
    || b.bottom <= a.top + 1;
}
function measured(frame) {
  const page = frame.contentDocument, root = page.scrollingElement, found = [];
  page.querySelectorAll("details").forEach(one => one.open = true);
  for (const svg of page.querySelectorAll("svg")) {
    const box = svg.getBoundingClientRect(), texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map(text => text.getBoundingClientRect());
    boxes.forEach((one, i) => {
      if (one.left < box.left - 1 || one.right > box.right + 1
          || one.top < box.top - 1 || one.bottom > box.bottom + 1)
        found.push("out of its figure: " + texts[i].textContent);
      for (let j = 0; j < i; j++)
        if (!apart(one, boxes[j]))
          found.push("over each other: " + texts[i].textContent + ", " + texts[j].textContent);
    });
  }
  return {page: root.clientWidth, content: root.scrollWidth, texts: found,
    figures: page.querySelectorAll("svg").length};
}
onload = () => {
  const found = [...document.querySelectorAll("iframe")].map(measured);
  document.body.innerHTML = "";
  document.body.appendChild(document.createElement("pre")).textContent = JSON.stringify(found);
};
"""


def opened(rendered: str, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """What each width measures, and the console's lines."""
    frames = "".join(
        f'<iframe style="width: {width}px; border: 0" srcdoc="{escape(rendered)}"></iframe>'
        for width in WIDTHS
    )
    helper = folder / "helper.html"
    helper.write_text(
        f'<!doctype html><meta charset="utf-8"><body>{frames}<script>{MEASURE}</script>', "utf-8"
    )
    command = [str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--enable-logging=stderr", "--hide-scrollbars", "--window-size=1400,1000"]
    command += [f"--user-data-dir={folder / 'profile'}", helper.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    (found,) = re.findall(r"<pre>(.*?)</pre>", done.stdout.decode("utf-8"), re.DOTALL)
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    return json.loads(unescape(found)), [line for line in lines if "CONSOLE" in line]


LONG, SLY = "W" * 400, "שלום \u202e<script>throw 1</script>"

PAGES = {
    "bench": lambda: bench_page(*bench.sample()),
    "bench, one item": lambda: bench_page(*bench.sample(1)),
    "bench, long words": lambda: bench_page(*bench.with_text(LONG)),
    "bench, hostile": lambda: bench_page(*bench.with_text(SLY)),
    "calibration": lambda: calibration_page(calibration.sample()),
    "calibration, long words": lambda: calibration_page(calibration.sample(LONG)),
    "calibration, hostile": lambda: calibration_page(calibration.sample(SLY)),
    "compare": lambda: compare_page(compare.sample()),
    "compare, three": lambda: compare_page(compare.sample(3)),
    "compare, long words": lambda: compare_page(compare.with_text(LONG)),
    "compare, hostile": lambda: compare_page(compare.with_text(SLY)),
    "loop": lambda: loop_page(loop.sample()),
    "loop, long words": lambda: loop_page(loop.sample(LONG)),
    "loop, hostile": lambda: loop_page(loop.sample(SLY)),
}


@pytest.mark.parametrize("made", PAGES.values(), ids=PAGES)
def test_nothing_overflows_and_the_console_is_silent(made: Callable[[], str], tmp_path: Path):
    found, console = opened(made(), tmp_path)
    assert [one["page"] for one in found] == list(WIDTHS)
    for one in found:
        assert one["figures"] >= 2
        assert one["content"] <= one["page"]
        assert one["texts"] == []
    assert console == []


def test_the_check_sees_a_page_that_is_broken(tmp_path: Path):
    broken = (
        '<!doctype html><body style="margin:0"><div style="width:1000px">a</div>'
        '<svg viewBox="0 0 100 20" style="width:100px"><text x="90" y="15">wide words</text>'
        '<text x="88" y="15">over it</text></svg><script>console.error("no")</script>'
    )
    (wide, phone), console = opened(broken, tmp_path)
    assert wide["content"] <= wide["page"]
    assert phone["content"] >= 1000
    assert any("out of its figure: wide words" in text for text in phone["texts"])
    assert any("over each other" in text for text in phone["texts"])
    assert len(console) == len(WIDTHS)

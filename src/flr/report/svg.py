"""Figures drawn by matplotlib as SVG that stands in a page: its colours, its fonts, its escaping.

matplotlib sees no text of data (it would obey `$`, and measure glyphs that its font lacks): a
`Canvas` draws a mark in its place and puts the escaped text in at the end.
"""

import re
from collections.abc import Mapping
from html import escape
from io import StringIO

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import blended_transform_factory

from flr.report.shown import printable

WIDTH = 380
"""Width of a figure in its own units; text of 12 units is readable at 350 pixels and at 540."""

TEXT = 12
"""Size of text, in the same units."""

INK, DIM, LINE = "#000001", "#000002", "#000003"
BLUE, GREEN, VERMILLION = "#000004", "#000005", "#000006"
"""Colours drawn as these numbers, which then become the page's, light or dark."""

OF_PAGE = {
    INK: "var(--ink, #1d2126)",
    DIM: "var(--dim, #59616b)",
    LINE: "var(--line, #d8dce1)",
    BLUE: "var(--blue, #0072b2)",
    GREEN: "var(--green, #009e73)",
    VERMILLION: "var(--vermillion, #d55e00)",
}
"""The last three of the palette of Okabe and Ito (2008); the colours are those where no page is."""

_FRAME = re.compile(
    r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>"
    r"|<defs>\s*</defs>| xmlns(:xlink)?=\"[^\"]*\"| font-family: [^;\"]*;?",
    re.DOTALL,
)
"""What a page does not need, or would have twice."""


def size(number: float, digits: int = 3) -> str:
    """A number at a tick, in few digits.

    Example:
        >>> size(-12000.0), size(0.25), size(-0.0)
        ('−12k', '0.25', '0')
    """
    shown = f"{number / 1000:.{digits}g}k" if abs(number) >= 1000 else f"{number:z.{digits}g}"
    return shown.replace("-", "−")


def round_numbers(low: float, high: float) -> list[float]:
    """A few round numbers between two ends, whole ones where there are any."""
    found = MaxNLocator(4, integer=True, min_n_ticks=1).tick_values(low, high)
    return [float(number) for number in found if low <= number <= high]


class Canvas:
    """One figure in the making.

    Args:
        height: of the whole figure.
        margins: left, top, right and bottom of the axes, same units.
    """

    def __init__(self, height: int, margins: tuple[int, int, int, int]) -> None:
        left, top, right, bottom = margins
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)
        across, up = WIDTH - left - right, height - top - bottom
        box = (left / WIDTH, bottom / height, across / WIDTH, up / height)
        self.axes: Axes = self.figure.add_axes(box)
        self.axes.patch.set_visible(False)
        for side in ("top", "right", "left"):
            self.axes.spines[side].set_visible(False)
        self.axes.spines["bottom"].set_color(LINE)
        self.axes.tick_params(labelsize=TEXT - 1, labelcolor=DIM, color=LINE, length=3)
        self._left_edge = -left / across
        self._texts: list[str] = []

    def write(self, text: str, x: float, y: float, *, side: str = "left") -> None:
        """Put a text of data at a part `x` of the figure's width and the value `y`."""
        self._texts.append(text)
        self.axes.text(
            x,
            y,
            f"@{len(self._texts) - 1}@",
            transform=blended_transform_factory(self.figure.transFigure, self.axes.transData),
            fontsize=TEXT,
            color=INK,
            ha=side,
        )

    def name_axes(self, across: str, up: str) -> None:
        """Title both axes; the vertical one above it, where nobody has to turn their head."""
        self.axes.set_xlabel(across, fontsize=TEXT, color=INK)
        # pad: above the half of a tick's label that stands out of the axes
        self.axes.set_title(up, fontsize=TEXT, color=INK, loc="left", x=self._left_edge, pad=10)

    def key(self, marks: Mapping[str, tuple[str, str]]) -> None:
        """Say above the axes what each mark stands for: colour and marker by name."""
        handles = [
            Line2D([], [], color=colour, marker=marker, markersize=5, linestyle="", label=name)
            for name, (colour, marker) in marks.items()
        ]
        self.axes.legend(
            handles=handles,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.02),
            ncols=len(marks),
            frameon=False,
            fontsize=TEXT,
            labelcolor=INK,
            borderpad=0.2,
            borderaxespad=0.0,
            handletextpad=0.0,
            columnspacing=1.0,
        )

    def _drawn(self) -> str:
        written = StringIO()
        unsaid = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "flr", "path.snap": False}):
            FigureCanvasSVG(self.figure).print_svg(written, metadata=unsaid)
        return written.getvalue()

    def svg(self, title: str, prefix: str) -> str:
        """The finished figure, well-formed and the same for the same input.

        Args:
            title: what it shows, for readers who do not see it.
            prefix: begins its identifiers, unique in the page.
        """
        drawn = _FRAME.sub("", self._drawn()).replace("xlink:href", "href")
        drawn = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{prefix}-", drawn)
        for number, name in OF_PAGE.items():
            drawn = drawn.replace(number, name)
        drawn = re.sub(r"@(\d+)@", lambda mark: escape(printable(self._texts[int(mark[1])])), drawn)
        said = escape(printable(title))
        head = f'<svg role="img" aria-label="{said}" viewBox="0 0 {WIDTH} '
        return re.sub(
            r'<svg [^>]*viewBox="0 0 \d+ ([\d.]+)"[^>]*>',
            lambda found: f'{head}{found[1]}"><title>{said}</title>',
            drawn,
            count=1,
        ).strip()

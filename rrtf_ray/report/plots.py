"""Plots as SVG that is part of the page: in the page's own colours, light or dark, and the same for the same numbers.

matplotlib, imported on first use, draws in stand-in colours, which become the page's (`var(--s1)`, `currentColor`).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from rrtf_ray.report.texts import visible

_TEXT, _LINE = "#0a0b01", "#0a0b02"
_SERIES = ("#0a0b11", "#0a0b12", "#0a0b13", "#0a0b14")
_OF_THE_PAGE = {_TEXT: "currentColor", _LINE: "var(--line)"} | {c: f"var(--s{i})" for i, c in enumerate(_SERIES, 1)}
_DASHES = ("-", "--", ":", "-.")
_WIDTH_IN = 4.6
"""Narrow, so that its texts can be read on a phone."""
_MOST_POINTS = 300


@dataclass(frozen=True, slots=True)
class Interval:
    """One row of a plot of estimates. group: rows of a group have one colour."""

    label: str
    group: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric over the steps of all rounds; NaN is a gap."""

    label: str
    values: tuple[float, ...]


def intervals(rows: Sequence[Interval], name: str, title: str, description: str) -> Markup:
    """Estimates with their intervals, one under the other, on the scale from 0% to 100%."""

    def draw(axes: Any) -> None:
        for at, row in enumerate(rows):
            colour = _SERIES[row.group % len(_SERIES)]
            axes.plot([row.low, row.high], [at, at], color=colour, linewidth=2.5, solid_capstyle="butt")
            axes.plot([row.value], [at], marker="o", color=colour, markersize=6)
            axes.annotate(f"{row.value:.0%}", (row.value, at), (0, 5), textcoords="offset points", ha="center", size=8)
        axes.set_yticks(range(len(rows)), [visible(row.label, 32) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.8)
        axes.set_xlim(-0.04, 1.04)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%", "25%", "50%", "75%", "100%"])

    return _svg(draw, 0.7 + 0.38 * len(rows), name, title, description)


def curves(found: Sequence[Curve], bounds: Sequence[int], name: str, title: str) -> Markup:
    """Metrics over the optimizer steps of all rounds. bounds: the first step of each round but the first."""
    description = "; ".join(_in_words(curve) for curve in found)

    def draw(axes: Any) -> None:
        for number, curve in enumerate(found):
            steps, values = _thinned(curve.values)
            style = {"color": _SERIES[number % len(_SERIES)], "linestyle": _DASHES[number % len(_DASHES)]}
            axes.plot(steps, values, linewidth=1.6, label=curve.label, marker="o" if len(steps) == 1 else "", **style)
        for bound in bounds:
            axes.axvline(bound - 0.5, color=_LINE, linewidth=1, linestyle=":")
        axes.set_xlabel("optimizer step")
        if len(found) > 1:
            axes.legend(frameon=False, fontsize=9)

    return _svg(draw, 2.6, name, title, description)


def _thinned(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Steps, from 1, and values; means of neighbours where there are too many to be drawn."""
    size = -(-len(values) // _MOST_POINTS)
    parts = [values[start : start + size] for start in range(0, len(values), size)]
    steps = [number * size + (len(part) + 1) / 2 for number, part in enumerate(parts)]
    return steps, [_mean(part) for part in parts]


def _mean(part: Sequence[float]) -> float:
    known = [value for value in part if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _in_words(curve: Curve) -> str:
    known = [value for value in curve.values if not math.isnan(value)]
    if not known:
        return f"{curve.label}: no values"
    return f"{curve.label}: from {known[0]:.3g} to {known[-1]:.3g}, least {min(known):.3g}, most {max(known):.3g}"


def _svg(draw: Callable[[Any], None], height_in: float, name: str, title: str, description: str) -> Markup:
    """name: unique on the page, because it begins the plot's ids."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "rrtf",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.formatter.useoffset": False,
        "grid.color": _LINE,
        "grid.linewidth": 0.6,
        "axes.edgecolor": _LINE,
        "axes.axisbelow": True,
    } | dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), _TEXT)
    buffer = io.StringIO()
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _for_the_page(buffer.getvalue(), name, title, description)


def _for_the_page(svg: str, name: str, title: str, description: str) -> Markup:
    """Without prolog, style sheet and size; with the page's colours, names for screen readers and ids of its own."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r"font-family: [^;]*; ", "", body)
    for stand_in, colour in _OF_THE_PAGE.items():
        body = body.replace(stand_in, colour)
    head, _, rest = body.partition(">")
    box = re.search(r'viewBox="[^"]*"', head)
    assert box is not None
    labels = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    opened = f'<svg class="plot" role="img" aria-labelledby="{name}-title {name}-desc" {box.group()}>'
    return Markup(f"{opened}{labels}{rest}")  # its texts were escaped, by matplotlib or above

"""From the contents to one HTML file: tables and plots are prepared here, the templates in page/ only place them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rrtf_ray import __version__
from rrtf_ray.core.metrics import Estimate
from rrtf_ray.core.ranking import signal_between
from rrtf_ray.core.similarity import NEAR
from rrtf_ray.report import audit, changes
from rrtf_ray.report.contents import RunPart, across, all_settings
from rrtf_ray.report.plots import Curve, Interval, curves, intervals
from rrtf_ray.report.texts import visible

_TEMPLATES = Path(__file__).with_name("page")
_PANELS = (
    ("Loss", ("loss", "ft_loss")),
    ("Ranking loss", ("rank_loss",)),
    ("Shares of the pairs", ("ranking_accuracy", "active_pairs")),
    ("Margin", ("margin",)),
    ("Learning rate", ("learning_rate",)),
    ("Gradient norm", ("grad_norm",)),
)
_EDGE = 10
"""Steps at each end that the table of the curves takes the mean of."""


def render(parts: Sequence[RunPart]) -> str:
    """The page. The same runs give the same page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "cap": lambda text, limit: Markup.escape(visible(str(text), limit)),
        "percent": lambda value: "–" if math.isnan(value) else f"{value:.1%}",
        "count": lambda value: f"{value:,}",
        "counted": lambda value, noun: f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}s",
        "points": _points,
        "significant": lambda value: "–" if math.isnan(value) else f"{value:.3g}",
    }
    return environment.get_template("page.html").render(
        version=__version__,
        style=Markup((_TEMPLATES / "style.css").read_text()),
        parts=parts,
        columns=[(part, name) for part in parts for name in part.facts.evaluations],
        measures=_measures(parts),
        gains=_gains(parts),
        flows=_flows(parts),
        seconds=_seconds(parts),
        panels={part.key: _panels(part) for part in parts},
        ends={part.key: _ends(part) for part in parts},
        settings={part.key: list(all_settings(part.facts.settings)) for part in parts},
        different=_different(parts),
        max_examples=changes.MAX_EXAMPLES,
        close=NEAR,
        max_named=audit.MAX_NAMED,
        signal_between=signal_between,
    )


def _shown(value: Any) -> Any:
    """Every text that a template puts into the page comes by here; it is escaped after that."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _points(gain: Estimate) -> str:
    """A difference of shares, in percentage points."""
    return f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]"


def _column(part: RunPart, name: str, parts: Sequence[RunPart]) -> str:
    return name if len(parts) == 1 else f"{part.facts.name}: {name}"


def _measures(parts: Sequence[RunPart]) -> list[tuple[str, list[Estimate | None], Markup]]:
    """(pass@k of a draw, each evaluation's estimate, plot), in the order in which the evaluations have them."""
    found: dict[str, dict[tuple[str, str], Estimate]] = {}
    for part in parts:
        for name, evaluation in part.facts.evaluations.items():
            for how, draw in zip(evaluation.draw_names, evaluation.draws, strict=True):
                for k, estimate in draw.pass_at_k.items():
                    found.setdefault(f"pass@{k}, {how}", {})[part.key, name] = estimate
    columns = [(part, name) for part in parts for name in part.facts.evaluations]
    measures = []
    for number, (title, cells) in enumerate(found.items(), 1):
        rows = [
            Interval(_column(part, name, parts), parts.index(part) if len(parts) > 1 else place, e.value, e.low, e.high)
            for place, (part, name) in enumerate(columns)
            if (e := cells.get((part.key, name)))
        ]
        words = "; ".join(f"{row.label} {row.value:.1%}, from {row.low:.1%} to {row.high:.1%}" for row in rows)
        plot = intervals(rows, f"pass-{number}", f"{title}, with 95% intervals", words)
        measures.append((title, [cells.get((part.key, name)) for part, name in columns], plot))
    return measures


def _gains(parts: Sequence[RunPart]) -> list[tuple[str, str, changes.Moved]]:
    """(model, what it is compared with, comparison)."""
    found = [
        (_column(part, name, parts), _column(part, "base", parts), move)
        for part in parts
        for name, moves in part.moves.items()
        for move in moves
    ]
    for part in parts[1:]:
        with part.facts.notices.instead_of(f"the comparison with {parts[0].facts.name}"):
            names = [_column(p, p.facts.last, parts) for p in (part, parts[0])]
            found += [(names[0], names[1], move) for move in across(parts[0], part)]
    return found


def _flows(parts: Sequence[RunPart]) -> list[tuple[str, list[int | None]]]:
    """(stage, candidates left after it in each round of each run)."""
    rounds = [{stage.name: stage.candidates for stage in round.stages} for part in parts for round in part.rounds]
    names = dict.fromkeys(name for stages in rounds for name in stages)
    return [(name, [stages.get(name) for stages in rounds]) for name in names]


def _seconds(parts: Sequence[RunPart]) -> list[tuple[str, list[float | None]]]:
    stages = dict.fromkeys(stage for part in parts for stage in part.facts.seconds)
    rows = [(stage, [part.facts.seconds.get(stage) for part in parts]) for stage in stages]
    return [*rows, ("total", [sum(part.facts.seconds.values()) for part in parts])] if rows else []


def _panels(part: RunPart) -> list[tuple[str, Markup]]:
    metrics = part.facts.metrics
    rounds = [row.get("round", 0) for row in metrics]
    bounds = [at + 1 for at in range(1, len(rounds)) if rounds[at] != rounds[at - 1]]
    found = []
    for number, (title, keys) in enumerate(_PANELS, 1):
        drawn = [Curve(key, tuple(row.get(key, math.nan) for row in metrics)) for key in keys if _has(metrics, key)]
        if drawn:
            found.append((title, curves(drawn, bounds, f"{part.key}-curve-{number}", title)))
    return found


def _has(metrics: Sequence[dict[str, float]], key: str) -> bool:
    return any(not math.isnan(row.get(key, math.nan)) for row in metrics)


def _ends(part: RunPart) -> list[tuple[int, int, list[tuple[str, float, float]]]]:
    """(round, its steps, (metric, mean of its first steps, mean of its last)) of each round."""
    found = []
    for round in dict.fromkeys(row.get("round", 0) for row in part.facts.metrics):
        rows = [row for row in part.facts.metrics if row.get("round", 0) == round]
        edge = min(_EDGE, max(1, len(rows) // 2))
        keys = [key for _, panel in _PANELS for key in panel if _has(rows, key)]
        means = [(key, _mean(rows[:edge], key), _mean(rows[-edge:], key)) for key in keys]
        found.append((int(round), len(rows), means))
    return found


def _mean(rows: Sequence[dict[str, float]], key: str) -> float:
    known = [row[key] for row in rows if not math.isnan(row.get(key, math.nan))]
    return math.fsum(known) / len(known) if known else math.nan


def _different(parts: Sequence[RunPart]) -> list[tuple[str, list[str]]]:
    """The settings in which several runs differ, run_dir aside."""
    each = [dict(all_settings(part.facts.settings)) for part in parts]
    keys = dict.fromkeys(key for settings in each for key in settings if key != "run_dir")
    rows = [(key, [settings.get(key, "–") for settings in each]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]

"""The table at the end of a run."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from rrtf_ray.config import Config
from rrtf_ray.core.evaluation import Evaluation
from rrtf_ray.progress import console, say


def print_report(
    summary: dict[str, Any],
    evaluations: dict[str, Evaluation],
    answer: tuple[str, float] | None,
    config: Config,
) -> None:
    """Before and after, counts and seconds, and where to look further."""
    if evaluations:
        console.print(_evaluation_table(evaluations))
    if gains := summary.get("gain_over_baseline"):
        settings = ", ".join(f"{key}={value}" for key, value in config.baseline.items())
        say(f"gain over the baseline ({settings}) on the same candidates, points of pass@1 [95% over problems]:")
        for how, gain in gains.items():
            value, low, high = (100 * gain[key] for key in ("value", "low", "high"))
            say(f"  {how}: {value:+.1f} [{low:+.1f}, {high:+.1f}]")
    counts = Table("outcome of a candidate", "count", title="Candidates for training, all rounds")
    for outcome, count in sorted(summary["outcomes"].items(), key=lambda item: -item[1]):
        counts.add_row(outcome, str(count))
    console.print(counts)
    reasons = ", ".join(f"{count} {reason}" for reason, count in summary["not_ranked"].items()) or "none left out"
    say(f"{summary['num_problems']} problems, {summary['num_rankings']} rankings ({reasons})")
    seconds = Table("stage", "seconds", title="Where the time went")
    for stage, value in summary["seconds"].items():
        seconds.add_row(stage, f"{value:.1f}")
    seconds.add_row("total", f"{sum(summary['seconds'].values()):.1f}")
    console.print(seconds)
    if answer:
        say("The tuned model, served, completes the first held-out problem with:")
        say(answer[0].rstrip())
    say(f"run directory: {config.run_dir} (summary.json, metrics.jsonl, evaluations/, logs/)")


def _evaluation_table(evaluations: dict[str, Evaluation]) -> Table:
    names = list(evaluations)
    table = Table("held-out problems", *names, title="Before and after (95% intervals)")
    first = evaluations[names[0]]
    for index, (how, draw) in enumerate(zip(first.draw_names, first.draws, strict=True)):
        for k in draw.pass_at_k:
            cells = [evaluations[name].draws[index].pass_at_k.get(k) for name in names]
            table.add_row(f"pass@{k}, {how}", *(str(cell) if cell else "-" for cell in cells))
    table.add_row("sandbox errors", *(str(evaluations[name].num_errors) for name in names))
    return table

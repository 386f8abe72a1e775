"""`rrtf ablate` from end to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from rrtf_ray.ablation.cells import Measured, PassAtK, Runs
from rrtf_ray.ablation.findings import Row, best_rates, rows_of, says
from rrtf_ray.ablation.settings import AblationConfig
from rrtf_ray.cluster.connecting import connected
from rrtf_ray.errors import ConfigError, InputError, StageError
from rrtf_ray.progress import console, say
from rrtf_ray.store.files import is_local, join, write_json

RESULT = "ablation.json"
Wanted = list[tuple[int, str, str, float | None]]
"""Seed, regime, objective and learning rate (None for the run's own) of the runs to make."""


def check(ablation: AblationConfig, path: str) -> Runs:
    """Every run's configuration, before any is made. path: the ablation's file.

    Raises ConfigError for a setting that a run does not take, InputError for an output that is no local directory.
    """
    if not is_local(ablation.output):
        raise InputError(f"output={ablation.output!r}: an ablation is kept in a local directory; name one")
    base = str(Path(path).parent / ablation.config) if ablation.config else None
    runs = Runs(ablation.model_copy(update={"output": str(Path(ablation.output).absolute())}), base)
    for regime in ablation.regimes:
        for objective in ablation.objectives:
            try:
                runs.config(ablation.seeds[0], regime, objective)
            except ConfigError as error:
                raise ConfigError(f"{path}: regime {regime!r} with objective {objective!r}: {error}") from None
    return runs


def ablate(runs: Runs) -> dict[str, Any]:
    """Make what is missing of all runs, print the table, and return what is written to OUTPUT/ablation.json.

    Raises StageError at the end if a run could not be made; the others are in the table.
    """
    ablation = runs.ablation
    failures: list[str] = []
    with connected(runs.config(ablation.seeds[0]).model_copy(update={"run_dir": ablation.output})):
        rates = _search(runs)
        base = [runs.measure_base(seed) for seed in ablation.seeds]
        wanted: Wanted = [
            (seed, regime, objective, rates.get(objective))
            for regime in ablation.regimes
            for seed in ablation.seeds
            for objective in ablation.objectives
        ]
        measured = _measured(runs, wanted, failures, lambda done: _write(runs, base, done, rates, failures))
    result = _write(runs, base, measured, rates, failures)
    for table in tables(rows_of(measured, ablation.baseline), base, ablation.baseline):
        console.print(table)
    say(f"all figures: {ablation.output}/{RESULT}")
    if failures:
        raise StageError(f"{len(failures)} of {len(wanted)} runs could not be made; the first: {failures[0]}")
    return result


def _search(runs: Runs) -> dict[str, float]:
    """The best learning rate of each objective. One that could not be trained in the search keeps the run's own."""
    search = runs.ablation.search
    if not search.learning_rates:
        return {}
    regime = search.regime or next(iter(runs.ablation.regimes))
    wanted: Wanted = [
        (s, regime, o, rate) for s in search.seeds for o in runs.ablation.objectives for rate in search.learning_rates
    ]
    say(f"learning rates: {len(wanted)} runs in regime {regime!r}")
    rates = best_rates(_measured(runs, wanted, []))
    for objective in runs.ablation.objectives:
        rate = f"{rates[objective]:g}" if objective in rates else "the run's own, as none could be tried"
        say(f"learning rate of {objective}: {rate}")
    return rates


def _measured(
    runs: Runs, wanted: Wanted, failures: list[str], written: Callable[[list[Measured]], Any] | None = None
) -> list[Measured]:
    """written: called with all that is there after each run."""
    found: list[Measured] = []
    shared: set[tuple[int, str]] = set()
    for number, (seed, regime, objective, rate) in enumerate(wanted, 1):
        say(f"[{number}/{len(wanted)}] {regime}, {objective}, seed {seed}")
        try:
            if (seed, regime) not in shared:
                runs.share(seed, regime)
                shared.add((seed, regime))
            found.append(runs.measure(seed, regime, objective, rate))
        except StageError as error:
            failures.append(f"{regime}, {objective}, seed {seed}: {error}")
            say(f"  could not be made: {error}")
        if written:
            written(found)
    return found


def _write(
    runs: Runs, base: list[PassAtK], measured: list[Measured], rates: dict[str, float], failures: list[str]
) -> dict[str, Any]:
    rows = rows_of(measured, runs.ablation.baseline)
    result = {
        "settings": runs.ablation.model_dump(mode="json"),
        "learning_rates": rates,
        "base": dict(zip(map(str, runs.ablation.seeds), base, strict=True)),
        "runs": [asdict(run) for run in measured],
        "rows": [
            asdict(row) | {"says": {figure: says(found) for figure, found in row.differences.items()}} for row in rows
        ],
        "failures": failures,
    }
    write_json(join(runs.ablation.output, RESULT), result)
    return result


def tables(rows: list[Row], base: list[PassAtK], baseline: str) -> list[Table]:
    """One table a regime."""
    found: dict[str, Table] = {}
    figures = list(base[0])
    for row in rows:
        if row.regime not in found:
            found[row.regime] = table = Table(
                "objective",
                *figures,
                "steps",
                "tokens",
                title=f"{row.regime}: mean over {len(row.seeds)} seeds, difference from {baseline} [95% over seeds]",
            )
            table.add_row("(before)", *(f"{sum(b[f] for b in base) / len(base):.1%}" for f in figures), "", "")
        cells = [f"{row.means[figure]:.1%}{_difference(row, figure)}" for figure in figures]
        found[row.regime].add_row(
            row.objective, *cells, f"{row.steps:.0f}", f"{row.response_tokens / 1000:.0f}k", end_section=True
        )
    return list(found.values())


def _difference(row: Row, figure: str) -> str:
    if figure not in row.differences:
        return ""
    found, least = row.differences[figure], row.detectable[figure]
    text = f"\n{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]\n{says(found)}"
    if says(found) == "no difference found" and least:
        text += f" (of {100 * least:.1f} or more)"
    return text

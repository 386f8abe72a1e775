"""What a person sees: the table at the end, and the lists of protocols and suites."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from rrtf_ray.benchmark.protocols import ABOUT, SHIPPED
from rrtf_ray.benchmark.suites import SUITES
from rrtf_ray.core.metrics import Estimate
from rrtf_ray.progress import console, say


def print_result(result: dict[str, Any], output: str) -> None:
    """The figures of `benchmark.json`."""
    console.print(_figures(result))
    console.print(_outcomes(result))
    for draw in result["draws"]:
        if draw["left_out"]:
            say(f"{draw['name']}: {draw['left_out']}")
    if "published" in result:
        say(f"published: {result['published']['source']}, in percent")
    for draw in result["draws"]:
        say(f"{draw['name']}: {output}/{draw['samples']}, {draw['results']}")
    say(f"protocol {result['protocol']['name']}, hash {result['protocol_hash'][:16]}; figures: {output}/benchmark.json")


def _figures(result: dict[str, Any]) -> Table:
    printed = result.get("published", {}).get("pass_at_k", {})
    title = f"{result['model']} on {result['suite']}, {result['num_problems']} problems"
    table = Table("pass@k", "draw", "estimate [95% interval]", *(["published"] if printed else []), title=title)
    for draw in result["draws"]:
        for k, estimate in draw["pass_at_k"].items():
            others = ", ".join(f"{model} {100 * values[k]:.2f}" for model, values in printed.items() if k in values)
            cells = [f"pass@{k}", f"{draw['name']}, n={draw['n']}", str(Estimate(**estimate))]
            table.add_row(*cells, *([others] if printed else []))
    return table


def _outcomes(result: dict[str, Any]) -> Table:
    draws = result["draws"]
    table = Table("outcome", *(draw["name"] for draw in draws), title="Samples")
    for outcome in dict.fromkeys(name for draw in draws for name in draw["outcomes"]):
        table.add_row(outcome, *(str(draw["outcomes"].get(outcome, 0)) for draw in draws))
    counts = ["unknown" if draw["num_truncated"] is None else str(draw["num_truncated"]) for draw in draws]
    table.add_row("truncated responses", *counts)
    return table


def print_lists() -> None:
    """Protocols and suites."""
    protocols = Table("protocol", "what it is", "hash", title="Protocols (--protocol)")
    for name, protocol in SHIPPED.items():
        protocols.add_row(name, ABOUT[name], protocol.hash[:16])
    console.print(protocols)
    suites = Table("suite", "what it is", "formats", title="Suites (--suite)")
    for suite in SUITES.values():
        suites.add_row(suite.name, suite.about, ", ".join(suite.formats) or "any")
    console.print(suites)

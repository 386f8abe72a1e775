"""A comparison as plain values for JSON (`record`), and as tables for a person (`show`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.markup import escape
from rich.table import Table

from rrtf_ray.compare.gate import Gate, worst
from rrtf_ray.compare.records import Arm, Compared, Flip, Flips, Measured, Pair
from rrtf_ray.compare.window import Window
from rrtf_ray.core.metrics import Estimate
from rrtf_ray.progress import console, say
from rrtf_ray.records import Outcome


@dataclass(frozen=True, slots=True)
class Report:
    """All that a comparison found. flips: one for each pair. gates: one for each arm; empty without a policy.

    window: the dates by which problems were chosen; None where they were not.
    """

    arms: tuple[Arm, ...]
    pairs: tuple[Pair, ...]
    compared: tuple[Compared, ...]
    flips: tuple[Flips, ...]
    gates: tuple[Gate, ...]
    notices: tuple[str, ...]
    window: Window | None = None


def record(report: Report) -> dict[str, Any]:
    """What `--output` writes and `--json` prints; docs/comparing.md has the fields."""
    return {
        "kind": "comparison",
        "baseline": report.arms[0].name,
        "inputs": [{"name": arm.name, "seeds": [_input(measured) for measured in arm.seeds]} for arm in report.arms],
        "notices": list(report.notices),
        "window": {name: day or None for name, day in asdict(report.window).items()} if report.window else None,
        "comparisons": [_comparison(compared) for compared in report.compared],
        "pairs": [_pair(pair, flips) for pair, flips in zip(report.pairs, report.flips, strict=True)],
        "gate": _gate(report.gates) if report.gates else None,
    }


def _input(measured: Measured) -> dict[str, Any]:
    suites = [
        {"suite": suite.name, "protocol_hash": suite.protocol_hash, "data_sha256": suite.data}
        for suite in measured.suites
    ]
    return {"path": measured.path, "model": measured.model, "suites": suites}


def _comparison(compared: Compared) -> dict[str, Any]:
    finding = compared.finding
    return {
        "other": compared.other_arm,
        "draw": compared.draw,
        "metric": compared.metric,
        "num_problems": compared.num_problems,
        "baseline_value": compared.baseline.as_dict(),
        "other_value": compared.other.as_dict(),
        "published": dict(compared.published),
        "difference": finding.difference.as_dict(),
        "test": finding.test,
        "p": finding.p,
        "p_adjusted": compared.p_adjusted,
        "detectable": finding.detectable,
        "over_seeds": finding.over_seeds.as_dict() if finding.over_seeds else None,
        "finding": compared.verdict,
    }


def _pair(pair: Pair, flips: Flips) -> dict[str, Any]:
    outcomes: dict[str, dict[str, int]] = {}
    for (mine, its), count in sorted(flips.outcomes.items()):
        outcomes.setdefault(mine.value, {})[its.value] = count
    return {
        "other": pair.other_arm,
        "draw": pair.draw,
        "samples_per_problem": [pair.baseline[0].n, pair.other[0].n],
        "num_common": len(pair.problems),
        "lacking": dict(pair.lacking),
        "sandbox_errors": _errors(pair),
        "num_won": len(flips.won),
        "num_lost": len(flips.lost),
        "num_same": flips.num_same,
        "outcomes": outcomes,
        "flips": [_flip(flip) for flip in (*flips.lost, *flips.won)],
    }


def _errors(pair: Pair) -> dict[str, int]:
    sides = (("baseline", pair.baseline), ("other", pair.other))
    return {name: sum(drawn.num_errors for drawn in side) for name, side in sides}


def _flip(flip: Flip) -> dict[str, Any]:
    plain = asdict(flip)
    won = plain.pop("won")
    return {"change": "won" if won else "lost", **plain}


def _gate(gates: Sequence[Gate]) -> dict[str, Any]:
    return {
        "verdict": worst(gates).value,
        "arms": [
            {
                "other": gate.other_arm,
                "verdict": gate.verdict.value,
                "rules": [
                    {**r.rule.model_dump(mode="json"), "limit": round(r.limit, 6), "verdict": r.verdict.value}
                    for r in gate.rules
                ],
            }
            for gate in gates
        ],
    }


def show(report: Report, num_flips: int) -> None:
    """Tables and sentences. num_flips: programs of so many problems, won and lost each, of each arm's first draw."""
    for notice in report.notices:
        say(notice)
    several = len(report.compared) > len({one.k for one in report.compared})
    for arm in report.arms[1:]:
        compared = [one for one in report.compared if one.other_arm == arm.name]
        _show_arm(report.arms[0], arm, compared, several)
        ours = [(p, f) for p, f in zip(report.pairs, report.flips, strict=True) if p.other_arm == arm.name]
        for pair, flips in ours:
            _show_outcomes(pair, flips)
        for flip in (*ours[0][1].lost[:num_flips], *ours[0][1].won[:num_flips]):
            _show_flip(flip, arm.name)
    for gate in report.gates:
        _show_gate(gate)


def _show_arm(baseline: Arm, arm: Arm, compared: Sequence[Compared], several: bool) -> None:
    """several: more than one comparison of a k was made, so p is adjusted."""
    published = any(one.published for one in compared)
    optional = [name for name, there in (("p, Holm", several), ("published", published)) if there]
    names = [escape(baseline.name), escape(arm.name)]
    title = f"{names[1]} against {names[0]} (95% intervals)"
    table = Table("", *names, "difference", "p", *optional, title=title)
    for one in compared:
        cells = {
            "p, Holm": _p(one.p_adjusted),
            "published": "\n".join(f"{value:.1%} {escape(model)}" for model, value in one.published.items()),
        }
        table.add_row(
            escape(f"{one.metric}, {one.draw}"),
            str(one.baseline),
            str(one.other),
            points(one.finding.difference),
            _p(one.finding.p),
            *(cells[name] for name in optional),
        )
    console.print(table)
    for one in compared:
        say(f"{one.metric}, {one.draw}: {_sentence(one)}")


def points(difference: Estimate) -> str:
    """`+1.2 [-0.3, +2.7]`, in percentage points."""
    value, low, high = (f"{100 * number:+.1f}" for number in (difference.value, difference.low, difference.high))
    return f"{value} [{low}, {high}]"


def _p(value: float) -> str:
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def _sentence(one: Compared) -> str:
    how = f"{one.finding.test} on {one.num_problems} problems"
    if one.finding.over_seeds:
        how += f"; over seeds {points(one.finding.over_seeds)} (Student's t)"
    if one.verdict != "no difference found":
        return f"{one.verdict} ({how})"
    if one.finding.detectable is None:
        return f"no difference found ({how}), and none however large would be: compare more problems"
    return (
        f"no difference found ({how}); one of {100 * one.finding.detectable:.1f} points or more would be found in 80% "
        "of such comparisons"
    )


def _show_outcomes(pair: Pair, flips: Flips) -> None:
    lacking = [f"{path} lacks {number}" for path, number in pair.lacking.items()]
    say(
        f"{pair.draw}: {len(pair.problems)} common problems{''.join(f', {text}' for text in lacking)}; "
        f"{len(flips.won)} won, {len(flips.lost)} lost, {flips.num_same} the same"
    )
    if any(errors := _errors(pair).values()):
        say(f"{pair.draw}: sandbox errors, which are left out: {' and '.join(map(str, errors))}")
    mine, its = ([o for o in Outcome if o in {pair[side] for pair in flips.outcomes}] for side in (0, 1))
    title = escape(f"Outcomes, {pair.draw}: from the baseline's to {pair.other_arm}'s")
    table = Table("baseline", *(o.value for o in its), title=title)
    for row in mine:
        table.add_row(row.value, *(str(flips.outcomes[row, column]) for column in its))
    console.print(table)


def _show_flip(flip: Flip, other: str) -> None:
    change = "won" if flip.won else "lost"
    say(f"\n{change}: {flip.problem_id} ({flip.baseline_rate:.0%} of samples passed, now {flip.other_rate:.0%})")
    failing = flip.baseline if flip.won else flip.other
    whose = "the baseline" if flip.won else other
    say(f"{whose}'s program: {failing.outcome.value}{f', {failing.detail}' if failing.detail else ''}")
    if flip.prompt.strip() not in flip.baseline.program:
        say(flip.prompt.rstrip())
    if flip.diff:
        say(flip.diff)
    elif flip.baseline.program:
        say("the two programs are the same: their tests do not always end in the same way")


def _show_gate(gate: Gate) -> None:
    table = Table("rule", "tier", "accepted drop", "difference", "verdict", title=f"Gate: {escape(gate.other_arm)}")
    for ruled in gate.rules:
        table.add_row(
            escape(f"{ruled.rule.metric}, {ruled.rule.draw}"),
            ruled.rule.tier,
            f"{100 * ruled.limit:.1f}",
            points(ruled.compared.finding.difference),
            ruled.verdict.value,
        )
    console.print(table)
    say(f"gate: {gate.verdict.value} ({gate.other_arm})")

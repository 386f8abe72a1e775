"""Which draws of two arms correspond, on which problems, and whether they may be compared at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rrtf_ray.compare.records import Arm, Drawn, Measured, Pair
from rrtf_ray.errors import InputError

ALLOW = "--allow-different-protocols"
_SHOWN = 5


def refuse_differences(arms: list[Arm], allowed: bool) -> list[str]:
    """Lines that say what differs between the inputs' protocols, problems and numbers of samples.

    Raises InputError with the first of them unless it is `allowed`. An input that does not say how it was made differs
    from none; a line says so where others do.
    """
    first, *rest = [measured for arm in arms for measured in arm.seeds]
    found = [line for measured in rest for line in _differences(first, measured)]
    if found and not allowed:
        raise InputError(
            f"{found[0]}; the difference between such figures is not the models' alone. Make both in the same way, or "
            f"give {ALLOW}"
        )
    says, silent = (
        [m.path for m in (first, *rest) if any(bool(suite.protocol_hash) is wanted for suite in m.suites)]
        for wanted in (True, False)
    )
    if says and silent:
        found.append(f"{', '.join(silent)}: does not say how it was sampled and judged; it is taken to be the same")
    return found


def _differences(a: Measured, b: Measured) -> list[str]:
    """Of the draws that correspond; each difference once."""
    found: list[str] = []
    for mine, its in corresponding(a, b):
        one, other = mine.suite, its.suite
        if one.protocol_hash and other.protocol_hash and one.protocol_hash != other.protocol_hash:
            changes = [f"hashes {one.protocol_hash[:12]} and {other.protocol_hash[:12]}"]
            if one.protocol and other.protocol:
                changes = list(_changes(_measuring(one.protocol), _measuring(other.protocol)))
            more = f" and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
            if changes:
                found.append(f"{a.path} and {b.path} have different protocols ({', '.join(changes[:_SHOWN])}{more})")
        if one.data and other.data and one.data != other.data:
            shown = f"data_sha256 {one.data[:12]} and {other.data[:12]}"
            found.append(f"{a.path} and {b.path} have different problems ({shown})")
        if mine.n != its.n:
            found.append(f"{a.path} has {mine.n} samples a problem and {b.path} has {its.n} (draw {mine.name})")
    return list(dict.fromkeys(found))


def _measuring(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Without what does not change how a model is measured: seeds of one model differ in nothing else."""
    return {name: value for name, value in protocol.items() if name not in ("name", "seed")}


def _changes(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`sample.max_tokens: 160 and 256`, for each setting that differs."""
    for name in sorted({*a, *b}):
        mine, its = a.get(name), b.get(name)
        if isinstance(mine, Mapping) and isinstance(its, Mapping):
            yield from _changes(mine, its, f"{prefix}{name}.")
        elif mine != its:
            yield f"{prefix}{name}: {mine!r} and {its!r}"


def corresponding(a: Measured, b: Measured) -> list[tuple[Drawn, Drawn]]:
    """The draws of both, on the same suite, that were sampled with the same parameters, or else have the same name.

    Two inputs of one draw each correspond where one does not say how it was sampled.
    """
    if len(a.draws) == len(b.draws) == 1 and None in (a.draws[0].temperature, b.draws[0].temperature):
        return [(a.draws[0], b.draws[0])]
    found = []
    for mine in a.draws:
        fitting = [draw for draw in b.draws if draw.suite.name == mine.suite.name]
        known = [d for d in fitting if mine.temperature is not None and _parameters(d) == _parameters(mine)]
        # With the same parameters twice, the one with as many samples.
        known.sort(key=lambda draw: draw.n != mine.n)
        named = [draw for draw in fitting if draw.name == mine.name]
        found += [(mine, its) for its in (known or named)[:1]]
    return found


def _parameters(draw: Drawn) -> tuple[float | None, float | None]:
    # Greedy decoding takes the likeliest token, whatever top_p is.
    return draw.temperature, draw.top_p if draw.temperature else None


def pairs_of(baseline: Arm, other: Arm) -> list[Pair]:
    """The draws that all seeds of both arms have. Raises InputError where there is none, or no problem in common."""
    first = baseline.seeds[0]
    pairs = []
    for draw in first.draws:
        drawn = [_counterpart(first, draw, measured) for arm in (baseline, other) for measured in arm.seeds]
        if all(drawn):
            pairs.append(_pair(baseline, other, draw, [d for d in drawn if d]))
    if not pairs:
        named = [f"{m.path} has {', '.join(d.name for d in m.draws)}" for arm in (baseline, other) for m in arm.seeds]
        raise InputError(f"no draw is in all inputs: {'; '.join(named)}. Sample with the same temperature and top_p")
    return pairs


def left_out(arms: Sequence[Arm], pairs: Sequence[Pair]) -> list[str]:
    """A line for each draw that is in no pair."""
    compared = {id(drawn) for pair in pairs for drawn in (*pair.baseline, *pair.other)}
    return [
        f"{measured.path}: the draw {drawn.name} is not in the others, and is left out"
        for arm in arms
        for measured in arm.seeds
        for drawn in measured.draws
        if id(drawn) not in compared
    ]


def _counterpart(first: Measured, draw: Drawn, measured: Measured) -> Drawn | None:
    return next((its for mine, its in corresponding(first, measured) if mine is draw), None)


def _pair(baseline: Arm, other: Arm, draw: Drawn, drawn: list[Drawn]) -> Pair:
    every = dict.fromkeys(id_ for its in drawn for id_ in its.samples)
    common = tuple(id_ for id_ in every if all(id_ in its.samples for its in drawn))
    paths = [measured.path for arm in (baseline, other) for measured in arm.seeds]
    if not common:
        examples = "; ".join(
            f"{path} has {next(iter(its.samples), 'none')!r}" for path, its in zip(paths, drawn, strict=True)
        )
        raise InputError(f"no problem is in all inputs ({examples}); compare results on the same problems")
    lacking = {
        path: len(every) - len(its.samples)
        for path, its in zip(paths, drawn, strict=True)
        if len(its.samples) < len(every)
    }
    split = len(baseline.seeds)
    return Pair(other.name, draw.name, tuple(drawn[:split]), tuple(drawn[split:]), common, lacking)

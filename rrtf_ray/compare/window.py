"""Problems by the date on which they were published: those outside a window are left out, those that a model may have
seen in training are counted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rrtf_ray.compare.records import Arm, Measured, Pair, Suite
from rrtf_ray.errors import InputError

Dates = Mapping[str, Mapping[str, str]]
"""By suite and problem id, YYYY-MM-DD."""


@dataclass(frozen=True, slots=True)
class Window:
    """since, until: the first and the last day that count. cutoff: the last day of the models' training data.

    All YYYY-MM-DD; empty for no limit. Raises InputError where the window ends before it begins.
    """

    since: str = ""
    until: str = ""
    cutoff: str = ""

    def __post_init__(self) -> None:
        if self.until and self.since > self.until:
            raise InputError(f"--since {self.since} is after --until {self.until}; give the earlier day as --since")

    def holds(self, date: str) -> bool:
        """Whether a problem of this date counts; one without a date only where the window has no ends."""
        if not date:
            return not self.since and not self.until
        return self.since <= date and (not self.until or date <= self.until)

    def __str__(self) -> str:
        if self.since and self.until:
            return f"from {self.since} to {self.until}"
        return f"since {self.since}" if self.since else f"until {self.until}"


def cut(arms: Sequence[Arm], window: Window) -> tuple[list[Arm], list[str]]:
    """The arms with the problems that the window holds, and lines that say what was left out.

    A draw of which nothing is left is gone, and so are others' figures once a problem is: they are of all problems.
    Raises InputError for an input without any dates, and for one of which nothing is left.
    """
    inputs = [measured for arm in arms for measured in arm.seeds]
    dates = _dates(inputs)
    dated = [dates[name].get(id_, "") for name, id_ in _problems(inputs)]
    outside = sum(bool(date) and not window.holds(date) for date in dated)
    undated = 0 if window.holds("") else dated.count("")
    lines = []
    if window.since or window.until:
        left = len(dated) - outside - undated
        lines.append(
            f"published {window}: {left} of {len(dated)} problems; {outside} outside that window and {undated} without "
            "a date are left out"
        )
    whole = not outside and not undated
    return [replace(arm, seeds=tuple(_cut(one, window, dates, whole) for one in arm.seeds)) for arm in arms], lines


def _dates(inputs: Sequence[Measured]) -> Dates:
    """What all inputs together know. Raises InputError for one that knows nothing."""
    found: dict[str, dict[str, str]] = {}
    for measured in inputs:
        for suite in measured.suites:
            found[suite.name] = {**suite.dates, **found.get(suite.name, {})}
        if not any(suite.dates for suite in measured.suites):
            raise InputError(f"{measured.path}: {_why_undated(measured)}")
    return found


def _why_undated(measured: Measured) -> str:
    if any(suite.protocol_hash for suite in measured.suites):
        return (
            "its problems have no dates, so no window can be cut. Import them again from a format that has dates, and "
            "measure again into another directory (samples that are there: `rrtf benchmark --samples`)"
        )
    return (
        "a file of results holds no dates of problems, so no window can be cut. Score its samples with `rrtf benchmark "
        "--samples`, on problems that have dates, and compare the output directories"
    )


def _problems(inputs: Sequence[Measured]) -> list[tuple[str, str]]:
    """(suite, problem id) of all inputs, each once."""
    drawn = [draw for measured in inputs for draw in measured.draws]
    return list(dict.fromkeys((draw.suite.name, id_) for draw in drawn for id_ in draw.samples))


def _cut(measured: Measured, window: Window, dates: Dates, whole: bool) -> Measured:
    draws = []
    for draw in measured.draws:
        known = dates[draw.suite.name]
        suite = replace(draw.suite, dates=known, published=draw.suite.published if whole else {})
        samples = {id_: its for id_, its in draw.samples.items() if window.holds(known.get(id_, ""))}
        if samples:
            draws.append(replace(draw, suite=suite, samples=samples))
    if not draws:
        found = sorted(date for suite in measured.suites for date in suite.dates.values())
        raise InputError(
            f"{measured.path}: none of its problems was published {window}; their dates are from {found[0]} to "
            f"{found[-1]}. Choose a window in which there are some"
        )
    return replace(measured, draws=tuple(draws))


def warnings(pairs: Sequence[Pair], window: Window) -> list[str]:
    """A line where compared problems may have been in the models' training data; nothing without a cut-off."""
    compared = {(_suite(pair).name, id_): _suite(pair).dates.get(id_, "") for pair in pairs for id_ in pair.problems}
    dates = list(compared.values())
    seen = sum(bool(date) and date <= window.cutoff for date in dates)
    undated = dates.count("")
    if not window.cutoff or not (seen or undated):
        return []
    more = f", and {undated} have no date" if undated else ""
    return [
        f"WARNING: {seen} of {len(dates)} compared problems were published on or before {window.cutoff}, where the "
        f"training data ends{more}: the models may have seen them"
    ]


def _suite(pair: Pair) -> Suite:
    return pair.baseline[0].suite

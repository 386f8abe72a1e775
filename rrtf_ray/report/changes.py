"""Problems that one model solved and the other did not, with the two programs and their differences.

In: two evaluations on the same problems and the groups behind them. Out: counts, and examples for the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from difflib import SequenceMatcher

from rrtf_ray.core.evaluation import DrawResult, draw_name
from rrtf_ray.core.metrics import Estimate, paired_difference
from rrtf_ray.records import Candidate, Group, Outcome, Source

MAX_EXAMPLES = 50
"""Of each kind, fixed and broken; the rest is counted."""
_MAX_LINES = 120
_MAX_LINE = 300
_MAX_CHARACTERS = 6000
_TOKEN = re.compile(r"\w+|\s+|.")


@dataclass(frozen=True, slots=True)
class Moved:
    """How the problems of one draw moved. better, worse: the share of passing candidates rose or fell, but neither
    from none nor to none. gain: the paired difference of the shares."""

    draw: str
    num_problems: int
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    better: int
    worse: int
    gain: Estimate


Piece = tuple[str, bool]
"""A part of a line, and whether it differs."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the two programs beside each other; None where one has no such line."""

    same: bool
    left: tuple[Piece, ...] | None
    right: tuple[Piece, ...] | None


@dataclass(frozen=True, slots=True)
class Side:
    """One model's program."""

    candidate_id: str
    outcome: str
    detail: str
    completion: str


@dataclass(frozen=True, slots=True)
class Change:
    """One problem that was fixed or broken."""

    problem_id: str
    prompt: str
    before: Side
    after: Side
    rows: tuple[Row, ...]


def moved(before: DrawResult, after: DrawResult, among: Set[str] | None = None) -> Moved | None:
    """The comparison of one draw over the problems that both judged; None where there are none, or where the two were
    not sampled alike. among: only these problems."""
    both = sorted(
        before.per_problem.keys() & after.per_problem.keys() & (after.per_problem.keys() if among is None else among)
    )
    if (before.temperature, before.top_p) != (after.temperature, after.top_p):
        return None
    if not both:
        return None
    pairs = [(id_, before.per_problem[id_], after.per_problem[id_]) for id_ in both]
    fixed = tuple(id_ for id_, b, a in pairs if b == 0 < a)
    broken = tuple(id_ for id_, b, a in pairs if a == 0 < b)
    rose, fell = sum(a > b for _, b, a in pairs), sum(a < b for _, b, a in pairs)
    gain = paired_difference([b for _, b, _ in pairs], [a for _, _, a in pairs])
    return Moved(draw_name(after.temperature), len(both), fixed, broken, rose - len(fixed), fell - len(broken), gain)


def changes_of(ids: Sequence[str], before: Iterable[Group], after: Iterable[Group], num_first: int) -> list[Change]:
    """The first MAX_EXAMPLES of `ids`, with the two models' programs.

    num_first: how many students belong to the first draw, which the ids are of. Of each model the first of them that
    passes is shown, else the first.
    """
    wanted = set(ids[:MAX_EXAMPLES])
    old, new = (_sides(groups, wanted, num_first) for groups in (before, after))
    found = []
    for id_ in ids[:MAX_EXAMPLES]:
        if id_ in old and id_ in new:
            (prompt, left), (_, right) = old[id_], new[id_]
            found.append(Change(id_, prompt, left, right, tuple(diff(left.completion, right.completion))))
    return found


def _sides(groups: Iterable[Group], wanted: set[str], num_first: int) -> Mapping[str, tuple[str, Side]]:
    found = {}
    for group in groups:
        if group.problem.id not in wanted:
            continue
        students = [c for c in group.candidates if c.source is Source.STUDENT][:num_first]
        judged = [c for c in students if c.verdict and c.verdict.outcome is not Outcome.SANDBOX_ERROR]
        passed = [c for c in judged if c.verdict and c.verdict.outcome is Outcome.PASSED]
        if judged:
            found[group.problem.id] = (group.problem.prompt, _side((passed or judged)[0]))
    return found


def _side(candidate: Candidate) -> Side:
    assert candidate.verdict is not None
    # A response without code is shown as it is: that is what the model wrote.
    text = candidate.completion if candidate.program else candidate.response
    return Side(candidate.id, candidate.verdict.outcome.value, candidate.verdict.detail, text)


def diff(before: str, after: str) -> list[Row]:
    """The lines of two programs side by side, and within lines that changed the words that did."""
    left, right = _lines(before), _lines(after)
    rows: list[Row] = []
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        olds, news = left[a:b], right[c:d]
        for number in range(max(len(olds), len(news))):
            old = olds[number] if number < len(olds) else None
            new = news[number] if number < len(news) else None
            if tag == "equal" or old is None or new is None:
                rows.append(Row(tag == "equal", _whole(old), _whole(new)))
            else:
                rows.append(Row(False, *_pieces(old, new)))
    return rows


def _lines(text: str) -> list[str]:
    """The lines that the page has room for, and a last one that says what there was in all."""
    text = text.rstrip()
    lines = [line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}…" for line in text[:_MAX_CHARACTERS].split("\n")]
    total = text.count("\n") + 1
    if total > _MAX_LINES or len(text) > _MAX_CHARACTERS:
        return [*lines[:_MAX_LINES], f"… cut off: {total:,} lines and {len(text):,} characters in all"]
    return lines


def _whole(line: str | None) -> tuple[Piece, ...] | None:
    return None if line is None else ((line, False),)


def _pieces(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """The words of two lines, marked where they differ; nothing is marked in lines that have little in common."""
    olds, news = _TOKEN.findall(old), _TOKEN.findall(new)
    matcher = SequenceMatcher(None, olds, news, autojunk=False)
    if matcher.ratio() < 0.4:
        return ((old, False),), ((new, False),)
    left, right = [], []
    for tag, a, b, c, d in matcher.get_opcodes():
        left.append(("".join(olds[a:b]), tag != "equal"))
        right.append(("".join(news[c:d]), tag != "equal"))
    return tuple(p for p in left if p[0]), tuple(p for p in right if p[0])

"""The samples to judge, how they are put together for the workers, and the rows that come of them. Pure."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rrtf_ray.core.extraction import extract_for
from rrtf_ray.core.metrics import Estimate, mean_pass_at_k
from rrtf_ray.errors import DataError
from rrtf_ray.execution import whole_program
from rrtf_ray.problems.samples import ProblemIndex, SampleRow
from rrtf_ray.records import Outcome, Problem, TestStatus, Verdict
from rrtf_ray.verify.diagnosis import Reasons

WINDOW = 512
"""Samples of one problem go to a worker together if they are in the same window of the file."""
BATCH = 32
"""At most this many at once: workers share the load, and an interruption costs little."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One program to judge.

    place: file and line. task_id: as the file of samples has it (the problem's id for a row without one).
    index: its place among the samples of its problem, from 0. text, whole: see SampleRow.
    digest: of the text and of what it is judged by; it shows whether a kept result is still valid.
    """

    place: str
    problem_id: str
    task_id: str | int
    index: int
    text: str
    whole: bool
    digest: str

    @property
    def name(self) -> str:
        return f"task_id {self.task_id!r}, index {self.index}"

    def program(self, problem: Problem) -> str:
        """The source to run; empty where there is no code."""
        return whole_program(problem, self.text) if self.whole else extract_for(problem, self.text).program


def samples_of(rows: Iterable[SampleRow], problems: ProblemIndex, judged_by: str) -> list[Sample]:
    """All samples in the order of their file. judged_by: identifies the problems and the limits.

    Raises DataError naming file and line where a row belongs to no problem.
    """
    counts: Counter[str] = Counter()
    samples: list[Sample] = []
    for row in rows:
        problem_id = problems.find(row)
        if problem_id is None:
            raise row.row.error(problems.why_not(row))
        task_id = problem_id if row.task_id is None else row.task_id
        for text in row.texts:
            digest = _digest(judged_by, str(row.whole), text)
            samples.append(Sample(row.row.place, problem_id, task_id, counts[problem_id], text, row.whole, digest))
            counts[problem_id] += 1
    return samples


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def batches_of(problem_ids: Sequence[str], start: int = 0) -> Iterator[list[int]]:
    """Positions from `start` on as batches of one problem each, in the order of their first positions."""
    for begin in range(start, len(problem_ids), WINDOW):
        together: dict[str, list[int]] = {}
        for position in range(begin, min(begin + WINDOW, len(problem_ids))):
            together.setdefault(problem_ids[position], []).append(position)
        cut = [group[i : i + BATCH] for group in together.values() for i in range(0, len(group), BATCH)]
        yield from sorted(cut)


def row_of(sample: Sample, verdict: Verdict) -> dict[str, Any]:
    """The row of the results file."""
    return {
        "task_id": sample.task_id,
        "index": sample.index,
        "outcome": verdict.outcome.value,
        "passed": verdict.outcome is Outcome.PASSED,
        "num_passed": sum(status is TestStatus.PASSED for status in verdict.tests),
        "num_tests": len(verdict.tests),
        "tests": [status.value for status in verdict.tests],
        "detail": verdict.detail,
        "elapsed_s": round(verdict.seconds, 4),
        "judged_inside": verdict.inside,
        "unprotected": list(verdict.unprotected),
        "digest": sample.digest,
    }


def check_kept(place: str, row: Any, sample: Sample) -> None:
    """Raise DataError unless `row` (at `place` in an earlier results file) is a result of this very sample."""
    remedy = "begin anew with --overwrite, or give another --output"
    if not isinstance(row, dict) or not {"task_id", "index", "outcome", "digest"} <= row.keys():
        raise DataError(f"{place}: is not a result that `rrtf verify` wrote; {remedy}")
    if (row["task_id"], row["index"]) != (sample.task_id, sample.index):
        raise DataError(
            f"{place}: is the result of task_id {row['task_id']!r}, index {row['index']!r}, but the sample in its "
            f"place ({sample.place}) is {sample.name}; {remedy}"
        )
    if row["digest"] != sample.digest:
        raise DataError(
            f"{place}: {sample.name} was judged from another text, by another problem file or with another time limit "
            f"than now ({sample.place}); {remedy}"
        )
    if row["outcome"] not in tuple(Outcome):
        raise DataError(f"{place}: the outcome {row['outcome']!r} is none of {', '.join(Outcome)}; {remedy}")


@dataclass(slots=True)
class Tally:
    """What all rows come to.

    outcomes: how many samples had each. counts: (judged, passed) by problem id; a SANDBOX_ERROR is not judged.
    first_error: the first SANDBOX_ERROR's cause. unprotected: what some verdicts were made without.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    first_error: str = ""
    unprotected: set[str] = field(default_factory=set)
    reasons: Reasons = field(default_factory=Reasons)

    def add(self, problem_id: str, row: Mapping[str, Any]) -> None:
        """Count one row of the results file."""
        outcome = Outcome(row["outcome"])
        self.outcomes[outcome] += 1
        self.unprotected.update(row.get("unprotected", ()))
        if outcome is Outcome.SANDBOX_ERROR:
            self.first_error = self.first_error or str(row.get("detail", ""))
            return
        self.reasons.add(problem_id, outcome, str(row.get("detail", "")))
        judged, passed = self.counts.get(problem_id, (0, 0))
        self.counts[problem_id] = (judged + 1, passed + (outcome is Outcome.PASSED))

    @property
    def num_samples(self) -> int:
        return self.outcomes.total()

    @property
    def num_errors(self) -> int:
        return self.outcomes[Outcome.SANDBOX_ERROR]

    def pass_at_k(self, ks: Iterable[int]) -> tuple[dict[int, Estimate], str]:
        """The estimates that the counts allow (every judged problem has k samples), and why others are left out."""
        if not self.counts:
            return {}, "pass@k is left out: no sample was judged"
        fewest = min(self.counts, key=lambda id_: self.counts[id_][0])
        least = self.counts[fewest][0]
        wanted = sorted(set(ks))
        estimates = {k: mean_pass_at_k(list(self.counts.values()), k) for k in wanted if k <= least}
        missing = [k for k in wanted if k > least]
        if not missing:
            return estimates, ""
        short = sum(judged < missing[0] for judged, _ in self.counts.values())
        names = ", ".join(f"pass@{k}" for k in missing)
        why = f"{short} of {len(self.counts)} problems have fewer than {missing[0]} judged samples"
        return estimates, f"{names} left out: {why} ({fewest} has {least})"

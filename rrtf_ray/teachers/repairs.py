"""Repairs: failing programs that a teacher is shown, and the candidates that its answers become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from rrtf_ray.core.groups import Draft, candidate_of
from rrtf_ray.identity import program_digest
from rrtf_ray.records import Candidate, Group, Outcome, Source
from rrtf_ray.teachers.asking import Reply
from rrtf_ray.teachers.reading import fault_of

_FAILING = (
    Outcome.FAILED,
    Outcome.RUNTIME_ERROR,
    Outcome.COMPILE_ERROR,
    Outcome.TIMEOUT,
    Outcome.OUT_OF_MEMORY,
)


def to_repair(group: Group, most: int) -> list[Candidate]:
    """Up to `most` distinct failing programs of the student: those nearest to right first, in the order of outcomes."""
    failing: dict[str, Candidate] = {}
    for c in group.candidates:
        if c.source is Source.STUDENT and c.program.strip() and c.verdict and c.verdict.outcome in _FAILING:
            failing.setdefault(program_digest(c.program), c)
    return sorted(failing.values(), key=_nearest)[:most]


def _nearest(candidate: Candidate) -> tuple[float, int]:
    assert candidate.verdict is not None
    return -candidate.verdict.pass_ratio, _FAILING.index(candidate.verdict.outcome)


def with_repairs(group: Group, answers: Sequence[tuple[Candidate, Reply]], model: str) -> Group:
    """The group with what the answers have of new programs, as further teachers' candidates without verdicts.

    answers: each failing candidate with the teacher's reply. model: the teacher and its model.
    """
    known = {program_digest(c.program) for c in group.candidates if c.program}
    number = sum(c.source is Source.TEACHER for c in group.candidates)
    added: list[Candidate] = []
    for failing, reply in answers:
        if reply.fault or fault_of(group.problem, reply.text, reply.finish_reason):
            continue
        draft = Draft(reply.text, reply.finish_reason, source=Source.TEACHER)
        candidate = candidate_of(f"t{number}", model, group.problem, draft, repairs=failing.id)
        if (digest := program_digest(candidate.program)) not in known:
            known.add(digest)
            number += 1
            added.append(candidate)
    end = next((i for i, c in enumerate(group.candidates) if c.source is Source.HUMAN), len(group.candidates))
    return replace(group, candidates=(*group.candidates[:end], *added, *group.candidates[end:]))


def differ_in_one_place(one: str, other: str) -> bool:
    """Whether two programs differ in exactly one run of lines."""
    matcher = SequenceMatcher(None, one.rstrip().split("\n"), other.rstrip().split("\n"), autojunk=False)
    return sum(tag != "equal" for tag, *_ in matcher.get_opcodes()) == 1

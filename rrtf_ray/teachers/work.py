"""What teachers do with a row, whoever they are: one class a role. A row in, a row out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rrtf_ray.config import TeacherConfig
from rrtf_ray.core.groups import has_teacher
from rrtf_ray.core.pairing import Pair, pairs_of
from rrtf_ray.core.ranking import digest_of
from rrtf_ray.records import Comparison, Group, Judgements, Outcome, Problem
from rrtf_ray.teachers.asking import Teacher
from rrtf_ray.teachers.judging import choice_in
from rrtf_ray.teachers.prompts import answer_question, judge_question, repair_question
from rrtf_ray.teachers.reading import response_of
from rrtf_ray.teachers.repairs import to_repair, with_repairs


class Work(Protocol):
    """What a teacher does. takes, gives: the records of its rows."""

    @property
    def takes(self) -> type: ...

    @property
    def gives(self) -> type: ...

    async def of(self, row: Any, teacher: Teacher, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Answers:
    """Problems get a teacher's answers. name: the teacher's. fraction, seed: which problems have a teacher at all."""

    name: str
    config: TeacherConfig
    fraction: float
    seed: int
    takes = Problem
    gives = Problem

    async def of(self, problem: Problem, teacher: Teacher) -> Problem:
        if not has_teacher(problem.id, self.fraction, self.seed):
            return problem
        draws = enumerate(self.config.draws)
        questions = [answer_question(problem, self.config, i, k) for i, draw in draws for k in range(draw.n)]
        replies = await asyncio.gather(*map(teacher.ask, questions))
        model = model_of(self.name, self.config)
        answers = tuple(response_of(problem, reply, model) for reply in replies)
        return replace(problem, answers=problem.answers + answers)


@dataclass(frozen=True, slots=True)
class Repairs:
    """Executed groups get a teacher's repairs of failing programs, which are not executed yet."""

    name: str
    config: TeacherConfig
    fraction: float
    seed: int
    takes = Group
    gives = Group

    async def of(self, group: Group, teacher: Teacher) -> Group:
        if not has_teacher(group.problem.id, self.fraction, self.seed):
            return group
        failing = to_repair(group, self.config.repairs_per_problem)
        questions = [repair_question(group.problem, candidate, self.config) for candidate in failing]
        replies = await asyncio.gather(*map(teacher.ask, questions))
        return with_repairs(group, list(zip(failing, replies, strict=True)), model_of(self.name, self.config))


@dataclass(frozen=True, slots=True)
class Judging:
    """Executed groups become a judge's comparisons of programs that tests cannot order."""

    config: TeacherConfig
    takes = Group
    gives = Judgements

    async def of(self, group: Group, teacher: Teacher) -> Judgements:
        pairs = pairs_of(group)[: self.config.pairs_per_problem]
        compared = await asyncio.gather(*(self._compared(group, pair, teacher) for pair in pairs))
        wanted = {digest for pair in pairs for digest in (pair.first, pair.second)}
        codes = {digest: code for digest, code in _codes(group).items() if digest in wanted}
        return Judgements(group.problem.id, group.problem.prompt, tuple(codes.values()), tuple(compared))

    async def _compared(self, group: Group, pair: Pair, teacher: Teacher) -> Comparison:
        codes, config, started = _codes(group), self.config, time.monotonic()
        left, right = codes[pair.first], codes[pair.second]
        forward, backward = await asyncio.gather(
            teacher.ask(judge_question(group.problem, left, right, config)),
            teacher.ask(judge_question(group.problem, right, left, config)),
        )
        passing = {digest_of(c) for c in group.candidates if c.verdict and c.verdict.outcome is Outcome.PASSED}
        return Comparison(
            left=pair.first,
            right=pair.second,
            left_first=choice_in(forward.text),
            right_first=choice_in(backward.text),
            passing={pair.first, pair.second} <= passing,
            at=time.time(),
            seconds=time.monotonic() - started,
        )


def model_of(name: str, config: TeacherConfig) -> str:
    """Who wrote it: the teacher's name, and its model's."""
    return f"{name}:{config.model}"


def _codes(group: Group) -> dict[str, str]:
    """The programs by digest."""
    return {digest_of(candidate): candidate.code for candidate in group.candidates}

"""The stages in which teachers work: answers before the first sampling, repairs and judgements after each execution.

Teachers work one after the other, each in a plan of its own, so that those with engines share the devices in turn. Like
every stage, each is skipped if its rows are complete, and continues where it was interrupted.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, TeacherConfig
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.feedback.place import database_url
from rrtf_ray.progress import say
from rrtf_ray.records import Comparison, Group, Outcome, Problem, Split, Vote, VoteSource
from rrtf_ray.stages.actors import execute_step
from rrtf_ray.stages.produce import produce, verdict_cache
from rrtf_ray.stages.stream import LIGHT
from rrtf_ray.stages.tally import Tally
from rrtf_ray.stages.teacher_actors import teacher_step
from rrtf_ray.store.models import check_model, model_identity
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir
from rrtf_ray.teachers.budget import shown
from rrtf_ray.teachers.judging import Trust, trust_of, vote_of
from rrtf_ray.teachers.ledger import Ledger
from rrtf_ray.teachers.preflight import ledger_path, with_role
from rrtf_ray.teachers.prompts import RUBRIC
from rrtf_ray.teachers.repairs import differ_in_one_place
from rrtf_ray.teachers.work import Answers, Judging, Repairs, model_of

_ASKED = {"model", "kind", "draws", "max_tokens", "form", "system", "parameters"}
"""The settings that decide what a teacher says; how fast and at what price it does may change from start to start."""


def problems_to_sample(config: Config, run: RunDir) -> RowStore[Problem]:
    """The train problems with the answers of the teachers that have this role; they are asked where need be."""
    problems = run.problems(Split.TRAIN)
    for name, teacher in with_role(config, "answer"):
        answered = run.answered(name)
        settings = teacher_settings(name, teacher, instruction=teacher.instruction) | _share(config)
        work = Answers(name, teacher, config.sample.teacher_fraction, config.seed)
        _ask(config, name, f"answer {name}", problems, answered, work, settings)
        problems = answered
    return problems


def executed_groups(config: Config, run: RunDir, round: int) -> RowStore[Group]:
    """Where execution puts its groups: teachers that repair stand between it and the round's groups."""
    return run.executed(round) if with_role(config, "repair") else run.groups(round)


def repair(config: Config, run: RunDir, round: int) -> Tally | None:
    """Bring the round's groups to completion: the executed ones with the repairs of the teachers that have this role,
    each executed before the next teacher works. Returns what is in them then; None without such teachers."""
    teachers = with_role(config, "repair")
    tally = None
    source = executed_groups(config, run, round)
    for number, (name, teacher) in enumerate(teachers, start=1):
        sink = run.groups(round) if number == len(teachers) else run.executed(round, name)
        settings = source.settings() | teacher_settings(name, teacher, role="repair", most=teacher.repairs_per_problem)
        work = Repairs(name, teacher, config.sample.teacher_fraction, config.seed)
        tally = _ask(config, name, f"repair {name} {round}", source, sink, work, settings | _share(config))
        say(f"  {_repairs_in(sink, model_of(name, teacher))}")
        source = sink
    return tally


def judge(config: Config, run: RunDir, round: int) -> None:
    """Votes of the teachers that judge, on programs of the round that tests cannot order, in the run's database."""
    for name, teacher in with_role(config, "judge"):
        groups, sink = run.groups(round), run.judgements(round, name)
        settings = groups.settings() | teacher_settings(name, teacher, role=RUBRIC, most=teacher.pairs_per_problem)
        _ask(config, name, f"judge {name} {round}", groups, sink, Judging(teacher), settings)
        with closing(FeedbackDatabase(database_url(config.feedback, config.run_dir))) as database:
            say(f"  {_stored(sink, database, name, teacher)}")


def ranks_at_once(config: Config) -> bool:
    """Whether groups may be ranked as they are executed: no teacher works in between."""
    return not (with_role(config, "repair") or with_role(config, "judge"))


def _ask(
    config: Config,
    name: str,
    stage: str,
    source: RowStore[Any],
    sink: RowStore[Any],
    work: Answers | Repairs | Judging,
    settings: dict[str, Any],
) -> Tally:
    """One teacher's stage, and what it has spent by then."""
    teacher = config.teachers[name]
    steps = []
    if not sink.is_complete():
        check_teacher(name, teacher)
        steps.append(teacher_step(config, name, work))
        if isinstance(work, Repairs):
            steps.append(execute_step(config.execute, verdict_cache(config)))
    tally = produce(config, source, sink, steps, settings, stage)
    say_spent(config, name)
    return tally


def say_spent(config: Config, name: str) -> None:
    """What an endpoint has cost so far, and what went wrong last."""
    teacher = config.teachers[name]
    if teacher.kind == "endpoint":
        with closing(Ledger(ledger_path(config, name), model_of(name, teacher))) as ledger:
            say(f"  {name} so far: {shown(ledger.spent(), teacher)}")
            for fault, detail in ledger.notes().items():
                say(f"  {name}, last {fault.value}: {detail}")


def check_teacher(name: str, teacher: TeacherConfig) -> None:
    """What a teacher of our own needs."""
    if teacher.kind == "vllm":
        check_model(teacher.model, teacher.engine.max_model_len, f"teachers.{name}.engine.max_model_len")
        require(
            f"teachers.{name}.min_engines",
            cpus=teacher.min_engines * teacher.cpus_per_engine + 2 * LIGHT,
            gpus=teacher.min_engines * teacher.gpus_per_engine,
            largest_cpus=teacher.cpus_per_engine,
            largest_gpus=teacher.gpus_per_engine,
        )


def teacher_settings(name: str, teacher: TeacherConfig, **more: Any) -> dict[str, Any]:
    """All that a teacher's replies depend on, under its name."""
    asked = teacher.model_dump(mode="json", include=_ASKED) | more
    if teacher.kind == "vllm":
        engine = teacher.engine.model_dump(mode="json", exclude={"tensor_parallel_size", "kv_cache_memory_bytes"})
        asked |= {"engine": engine, "model_files": model_identity(teacher.model)}
    return {f"teachers.{name}": asked}


def _share(config: Config) -> dict[str, Any]:
    return {"teacher_fraction": config.sample.teacher_fraction, "seed": config.seed}


def _repairs_in(groups: RowStore[Group], model: str) -> str:
    """How many repairs a teacher made, and how many of them are right."""
    made = passing = near = 0
    for group in groups.read():
        by_id = {candidate.id: candidate for candidate in group.candidates}
        for candidate in group.candidates:
            if candidate.repairs and candidate.model == model:
                made += 1
                if candidate.verdict and candidate.verdict.outcome is Outcome.PASSED:
                    passing += 1
                    near += differ_in_one_place(by_id[candidate.repairs].program, candidate.program)
    return f"{made} repairs, {passing} pass all tests, {near} of them differ from the failing program in one place"


def _stored(judged: RowStore[Any], database: FeedbackDatabase, name: str, teacher: TeacherConfig) -> Trust:
    """Put a judge's votes into the database, those that are not there; how it did."""
    votes: list[Vote] = []
    comparisons: list[Comparison] = []
    for row in judged.read():
        found = [vote_of(row, comparison, name, teacher.model) for comparison in row.comparisons]
        mine = [vote for vote in found if vote is not None]
        if mine:
            database.add_problem(row.problem_id, row.prompt, row.programs)
            database.add(mine)
        votes += mine
        comparisons += row.comparisons
    people = [vote for vote in database.votes({v.problem_id for v in votes}) if vote.source is VoteSource.PERSON]
    return trust_of(comparisons, votes, people)

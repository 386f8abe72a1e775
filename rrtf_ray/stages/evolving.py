"""`rrtf evolve` from end to end: rounds of a streaming plan in which teachers write and sandboxes judge.

OUTPUT/_work/round-01/tasks/    what is to be written
OUTPUT/_work/round-01/judged/   drafts with what became of them
OUTPUT/                         the problem set, lineage.jsonl and rejected.jsonl, written when all rounds are done
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import ray

from rrtf_ray.cluster.connecting import connected
from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, ExecuteConfig
from rrtf_ray.evolve.apart import Known, copies, known_problem, known_seed
from rrtf_ray.evolve.asking import Solving, Writing
from rrtf_ray.evolve.records import ASKED_AGAIN, Draft, JudgedDraft, Rejected, Seed, Task
from rrtf_ray.evolve.results import Counts, none_accepted, write_results
from rrtf_ray.evolve.seeds import seed_of, seeds_of_instructions, seeds_of_problems, some_of, tasks_of
from rrtf_ray.evolve.settings import EvolveConfig
from rrtf_ray.evolve.trusting import HASH_SEEDS, Rules, judge
from rrtf_ray.identity import fingerprint
from rrtf_ray.problems import format_of, load
from rrtf_ray.progress import console, say
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.produce import produce
from rrtf_ray.stages.stream import LIGHT, Step
from rrtf_ray.stages.teacher_actors import teacher_step
from rrtf_ray.stages.teaching import check_teacher, say_spent, teacher_settings
from rrtf_ray.store.files import MANIFEST, absolute, join, remove
from rrtf_ray.store.rows import RowStore
from rrtf_ray.teachers.preflight import check_teachers

_TASKS_PER_PART = 500


class JudgeActor:
    """Drafts in, judged drafts out, one at a time, in sandboxes with different hash seeds."""

    def __init__(self, config: ExecuteConfig, rules: Rules) -> None:
        limits = Limits(wall_s=config.wall_s, cpu_s=config.cpu_s, memory_mb=config.memory_mb)
        self._rules = rules
        self._sandboxes = [
            Sandbox(limits, isolation=config.isolation, preload=config.preload, hash_seed=seed) for seed in HASH_SEEDS
        ]

    def __call__(self, table: pa.Table) -> pa.Table:
        return to_table([judge(draft, self._sandboxes, self._rules) for draft in from_table(Draft, table)], JudgedDraft)


def evolve(evolution: EvolveConfig) -> Counts:
    """Bring all rounds to completion, write what they give, and show it.

    Raises:
        InputError: settings or files that cannot be used; nothing was asked.
        StageError: a teacher that is down or out of budget, where its settings say stop; or nothing was accepted.
    """
    evolution = evolution.model_copy(update={"output": absolute(evolution.output)})
    config = evolution.run_config()
    check_teachers(config)
    seeds = read_seeds(evolution)
    held_out = [known_problem(problem) for source in evolution.against for problem in load(format_of(source), source)]
    say(f"{len(seeds)} seeds" + (f", {len(held_out)} held-out problems to stay apart from" if held_out else ""))
    with connected(config):
        judged, accepted = _rounds(evolution, config, seeds, held_out)
    rows = (row for round in judged for row in round)
    about = {"rounds": evolution.rounds, "seed": evolution.seed, "against": list(evolution.against)}
    counts = write_results(evolution.output, rows, accepted, about)
    console.print(counts.table(), markup=False)
    if not accepted:
        raise none_accepted(evolution.output, counts)
    say(f"{len(accepted)} problems written to {evolution.output}, with lineage.jsonl and rejected.jsonl")
    return counts


def read_seeds(evolution: EvolveConfig) -> list[Seed]:
    """The seeds of the first round. Raises InputError where there are none, or they cannot be read."""
    if evolution.problems is not None:
        return some_of(seeds_of_problems(evolution.problems), evolution.num_seeds, f"problems={evolution.problems}")
    assert evolution.instructions is not None
    found = seeds_of_instructions(evolution.instructions)
    return some_of(found, evolution.num_seeds, f"instructions={evolution.instructions}")


def _rounds(
    evolution: EvolveConfig, config: Config, seeds: list[Seed], held_out: list[Known]
) -> tuple[list[Iterator[JudgedDraft]], list[JudgedDraft]]:
    """All rows of each round, and those that are problems in the end."""
    known = [known_seed(seed) for seed in seeds]
    rounds: list[Iterator[JudgedDraft]] = []
    accepted: list[JudgedDraft] = []
    for number in range(1, evolution.rounds + 1):
        store = _round(evolution, config, seeds, number)
        new = sorted((row for row in store.read() if row.problem is not None), key=lambda row: row.id)
        problems = [known_problem(row.problem) for row in new if row.problem is not None]
        found = copies(problems, held_out, known, evolution.max_held_out_similarity, evolution.max_similarity)
        rounds.append(_final(store, found))
        kept = [row for row in new if row.id not in found]
        say(f"  round {number}: {len(kept)} accepted, {len(found)} near copies of others")
        accepted += kept
        known += [one for one in problems if one.id not in found]
        seeds = [seed_of(row.problem, row.draft.task.lineage.seed) for row in kept if row.problem is not None]
        if not seeds:
            break
    return rounds, accepted


def _final(store: RowStore[JudgedDraft], found: dict[str, Rejected]) -> Iterator[JudgedDraft]:
    for row in store.read():
        if (copy := found.get(row.id)) is not None:
            row = replace(row, rejection=copy.reason, detail=copy.detail, problem=None)
        yield row


def _round(evolution: EvolveConfig, config: Config, seeds: list[Seed], number: int) -> RowStore[JudgedDraft]:
    """The rows of a round, complete."""
    tasks = RowStore(_place(evolution, number, "tasks"), Task, "id")
    judged = RowStore(_place(evolution, number, "judged"), JudgedDraft, "id")
    if _reopened(judged):
        for later in range(number + 1, evolution.rounds + 1):  # their seeds are about to change
            remove(_place(evolution, later))
    _write_tasks(evolution, tasks, seeds, number)
    rules = Rules(
        evolution.agree,
        evolution.min_inputs,
        evolution.max_inputs,
        evolution.min_mutation_score,
        evolution.max_similarity,
    )
    limits = evolution.execute.model_dump(mode="json", include={"wall_s", "cpu_s", "memory_mb", "preload"})
    settings: dict[str, Any] = {
        "evolve": evolution.model_dump(
            mode="json", include={"seed", "solutions", "agree", *Rules.__dataclass_fields__}
        ),
        "execute": limits,
    }
    for name, teacher in config.teachers.items():
        settings |= teacher_settings(name, teacher, instruction=teacher.instruction)
    steps = [] if judged.is_complete() else _steps(evolution, config, rules)
    produce(config, tasks, judged, steps, settings, f"evolve {number}")
    for name in config.teachers:
        say_spent(config, name)
    return judged


def _place(evolution: EvolveConfig, number: int, *more: str) -> str:
    return join(evolution.work_dir, f"round-{number:02d}", *more)


def _reopened(judged: RowStore[JudgedDraft]) -> bool:
    """Take the rows out that this start may find otherwise; whether there were any."""
    again: set[str] = set()
    for table in judged.columns("id", "rejection"):
        pairs = zip(table["id"].to_pylist(), table["rejection"].to_pylist(), strict=True)
        again |= {id_ for id_, reason in pairs if reason in ASKED_AGAIN}
    if again:
        say(f"{len(again)} drafts that had no answer, or were not judged, are made again")
        remove(join(judged.uri, MANIFEST))
        judged.drop(again)
    return bool(again)


def _write_tasks(evolution: EvolveConfig, store: RowStore[Task], seeds: list[Seed], number: int) -> None:
    wanted = list(tasks_of(seeds, evolution.per_seed, evolution.operations, evolution.kind, number, evolution.seed))
    chosen = {"problems", "instructions", "num_seeds", "seed", "per_seed", "kind", "operations", "against"}
    settings = {"evolve": evolution.model_dump(mode="json", include=chosen)}
    key = fingerprint(settings, [[task.id, task.lineage.operation, task.parent.statement] for task in wanted])
    store.begin(key, settings)
    if store.is_complete():
        return
    for part, start in enumerate(range(0, len(wanted), _TASKS_PER_PART)):
        store.write(wanted[start : start + _TASKS_PER_PART], f"{part:05d}")
    store.finish({"rows": len(wanted), "fingerprint": key})


def _steps(evolution: EvolveConfig, config: Config, rules: Rules) -> list[Step]:
    """The teachers, one after the other, and the judges."""
    execute = config.execute
    steps = []
    for number, (name, teacher) in enumerate(config.teachers.items()):
        check_teacher(name, teacher)
        work = (Solving if number else Writing)(
            name, teacher, evolution.solutions, evolution.max_similarity, evolution.seed
        )
        steps.append(teacher_step(config, name, work))
    engines = [teacher for teacher in config.teachers.values() if teacher.kind == "vllm"]
    require(
        "execute.min_workers with the teachers' engines",
        # One more for Ray Data's own tasks, which cut the rows into blocks.
        cpus=1 + execute.min_workers + sum(t.min_engines * t.cpus_per_engine for t in engines) + 2 * LIGHT,
        gpus=sum(t.min_engines * t.gpus_per_engine for t in engines),
        largest_cpus=1,
    )
    pool = ray.data.ActorPoolStrategy(
        min_size=execute.min_workers, max_size=execute.max_workers, max_tasks_in_flight_per_actor=4
    )
    arguments = {"fn_constructor_kwargs": {"config": execute, "rules": rules}, "batch_size": None}
    return [*steps, Step(JudgeActor, {**arguments, "compute": pool, "num_cpus": 1})]

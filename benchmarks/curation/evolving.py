"""The filters of `rrtf evolve`, on a scripted teacher that makes every kind of mistake.

    evolve_bad_accepted    drafts with a mistake that were accepted; of a kind whose mistake need not cost the problem,
                           those with an expected value that the right program does not return
    evolve_bad_kinds, evolve_bad_drafts
                           kinds of mistakes, and how many drafts with one were judged
    evolve_good_kept       share of the good drafts that are accepted

Bad drafts are made of the demo's problems: `--drafts` of each kind, and an eighth of that of the kinds (DEAR) that only
trying the whole problem out can find out, which takes seconds for each. Good ones are problems of HumanEval and MBPP as
an able teacher would write them: their statement, their reference four times with other looks, and up to 24 inputs,
their own and some like them; those whose inputs are weak all the same count as good here. Everything goes through the
endpoint's client and a real server, and is judged as `rrtf evolve` judges.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks.curation.scripted_teacher import (
    BAD,
    COPIED,
    HARMLESS,
    SOLUTIONS,
    Right,
    ScriptedTeacher,
    good,
    rights_of,
)
from rrtf_ray.behaviour.telling import same
from rrtf_ray.config import Draw, TeacherConfig
from rrtf_ray.evolve.apart import copies, known_problem
from rrtf_ray.evolve.asking import Writing
from rrtf_ray.evolve.records import Draft, JudgedDraft, Rejection, Task
from rrtf_ray.evolve.trusting import HASH_SEEDS, Rules, judge
from rrtf_ray.problems import load
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.records import Problem, TestKind
from rrtf_ray.sandbox import Limits, Sandbox, Value, ValueOutcome
from rrtf_ray.sandbox.forms import literal
from rrtf_ray.teachers.endpoint import EndpointTeacher
from rrtf_ray.teachers.keys import Key
from rrtf_ray.teachers.ledger import Ledger
from tests.teachers.server import serving

GOALS = {"evolve_bad_accepted": "0", "evolve_good_kept": ">= 0.9"}
DEAR = {*COPIED, *HARMLESS, "weak_inputs"}
RULES = Rules(agree=3, min_inputs=5, max_inputs=30, min_mutation_score=0.9, max_similarity=0.75)
LIMITS = Limits(cpu_s=3.0, wall_s=10.0)


def measure(data: Path, drafts: int) -> dict[str, Any]:
    """The figures, with so many drafts of each kind of mistake (but see DEAR), and half as many good ones."""
    train, held_out = generate_problems(num_train=drafts, num_held_out=drafts, seed=0)
    with Sandbox(LIMITS) as sandbox:
        bases = list(rights_of(train, sandbox, drafts))
        taken = list(rights_of(held_out, sandbox, drafts))
        public = chain(*(load("auto", str(data / "problems" / name)) for name in ("HumanEval.jsonl", "mbpp.jsonl")))
        fine = list(rights_of(public, sandbox, (drafts + 1) // 2))
    teacher = ScriptedTeacher()
    kinds: dict[str, str] = {}
    tasks: list[Task] = []
    made: dict[str, Right] = {}
    for kind, make in (BAD | HARMLESS).items():
        rights = taken if kind in COPIED else bases
        for right in rights[: max(1, drafts // 8)] if kind in DEAR else rights:
            task = teacher.add(make(right, len(teacher.cases)))
            kinds[task.id], made[task.id] = kind, right
            tasks.append(task)
    for right in fine:
        task = teacher.add(good(right, len(teacher.cases)))
        kinds[task.id], made[task.id] = "good", right
        tasks.append(task)
    rows = judged(written(teacher, tasks))
    return figures(rows, kinds, made, held_out)


def written(teacher: ScriptedTeacher, tasks: Sequence[Task], **settings: Any) -> list[Draft]:
    """What the teacher makes of the tasks, through a real server."""
    draw = Draw(n=1, temperature=0.8)

    async def ask(url: str, folder: str) -> list[Draft]:
        config = TeacherConfig(model="scripted", base_url=url, draws=(draw,), concurrency=32, **settings)
        ledger = Ledger(f"{folder}/teachers.sqlite", "big:scripted")
        endpoint = EndpointTeacher("big", config, Key(""), ledger)
        work = Writing("big", config, SOLUTIONS, RULES.max_similarity, 0)
        try:
            return await asyncio.gather(*(work.of(task, endpoint) for task in tasks))
        finally:
            await endpoint.close()

    with serving(teacher.say) as script, tempfile.TemporaryDirectory() as folder:
        return asyncio.run(ask(script.url, folder))


def judged(drafts: Sequence[Draft]) -> list[JudgedDraft]:
    """Each draft with what becomes of it; in processes, as `rrtf evolve` has its judges."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count() or 1, context, initializer=_end_with_parent) as pool:
        return list(pool.map(_judge, drafts, chunksize=4))


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _judge(draft: Draft) -> JudgedDraft:
    return judge(draft, _sandboxes(), RULES)


@cache
def _sandboxes() -> tuple[Sandbox, ...]:
    """Of this process; they end with it."""
    return tuple(Sandbox(LIMITS, hash_seed=seed) for seed in HASH_SEEDS)


def figures(
    rows: Sequence[JudgedDraft], kinds: dict[str, str], made: dict[str, Right], held_out: Sequence[Problem]
) -> dict[str, Any]:
    """What became of each kind."""
    accepted = [row for row in rows if row.problem is not None]
    known = [known_problem(problem) for problem in held_out]
    found = copies([known_problem(row.problem) for row in accepted if row.problem], known, [], 0.5, 1.0)
    held = {id_ for id_, copy in found.items() if copy.reason is Rejection.COPY_OF_HELD_OUT}
    kept = [row for row in accepted if row.id not in held]
    wrong: Counter[str] = Counter()
    with Sandbox(LIMITS) as sandbox:
        for row in kept:
            assert row.problem is not None
            kind = kinds[row.id]
            if kind in BAD or not right_values(row.problem, made[row.id], sandbox):
                wrong[kind] += 1
    goods = [id_ for id_, kind in kinds.items() if kind == "good"]
    reasons = {kind: Counter[str]() for kind in kinds.values()}
    for row in rows:
        reason = found[row.id].reason if row.id in held else row.rejection
        reasons[kinds[row.id]][reason.value if reason else "accepted"] += 1
    return {
        "evolve_bad_accepted": wrong.total(),
        "evolve_bad_kinds": len(BAD | HARMLESS),
        "evolve_bad_drafts": len(rows) - len(goods),
        "evolve_good": len(goods),
        "evolve_good_kept": round(sum(kinds[row.id] == "good" for row in kept) / len(goods), 3),
        "evolve_reasons": {kind: dict(counts.most_common()) for kind, counts in reasons.items()},
    }


def right_values(problem: Problem, right: Right, sandbox: Sandbox) -> bool:
    """Whether the right program returns the expected values of all tests."""
    tests = [test for test in problem.tests if test.kind is TestKind.VALUE]
    calls = [tuple(literal(test.code)) for test in tests]
    values = sandbox.values(right.program, right.name, calls)
    wanted = [Value(ValueOutcome.RETURNED, test.expected) for test in tests]
    return all(map(same, values, wanted))

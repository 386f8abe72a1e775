"""Seeds, and the tasks of a round. In: a problem set or a file of instructions. Out: what teachers are to write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from rrtf_ray.audit.trying import sample_of
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.evolve.operations import chosen
from rrtf_ray.evolve.records import Lineage, Operation, Seed, Task
from rrtf_ray.execution import reference_program
from rrtf_ray.identity import fingerprint, stable_seed
from rrtf_ray.problems import format_of, load
from rrtf_ray.problems.source import Row, read_rows
from rrtf_ray.records import Problem, ProblemKind
from rrtf_ray.store.files import exists, join

LINEAGE = "lineage.jsonl"
"""Beside the parts of a problem set: where each problem comes from, and its card."""


def seeds_of_problems(source: str) -> list[Seed]:
    """The problems of a set, with the ancestors that a `lineage.jsonl` in it names.

    Raises:
        DataError: a row that is no problem, or a lineage that leads back to itself.
    """
    place = join(source, LINEAGE)
    origins = read_origins(place) if exists(place) else {}
    return [seed_of(problem, origins.get(problem.id, problem.id)) for problem in load(format_of(source), source)]


def seed_of(problem: Problem, origin: str) -> Seed:
    """A problem as a seed. Raises DataError for an infilling problem, whose prompt is half a program."""
    if problem.suffix:
        raise DataError(f"problem {problem.id!r} is an infilling problem (it has a suffix) and no seed; leave it out")
    return Seed(problem.id, problem.prompt, problem.kind, origin, problem.language, reference_program(problem))


def seeds_of_instructions(source: str) -> list[Seed]:
    """Raises DataError, with file and line, for a row without an instruction, and for an id that is there twice."""
    found: dict[str, Seed] = {}
    for number, row in enumerate(read_rows(source), 1):
        text = row.text("instruction").strip()
        if not text:
            raise row.error("the field 'instruction' is empty; write one or remove the row")
        if more := row.text("input", "").strip():
            text = f"{text}\n\n{more}"
        id_ = row.id("id", default=f"instruction/{number}")
        if id_ in found:
            raise row.error(f"the id {id_!r} is there twice; rename or remove one")
        found[id_] = Seed(id_, text, ProblemKind.FUNCTION, id_)
    return list(found.values())


def some_of(seeds: Sequence[Seed], most: int | None, source: str) -> list[Seed]:
    """At most so many seeds, always the same. Raises InputError where there are none."""
    if not seeds:
        raise InputError(f"{source} has no seeds to make problems of; check the path, or import problems into it")
    wanted = sample_of((seed.id for seed in seeds), most or len(seeds))
    return [seed for seed in seeds if seed.id in wanted]


def tasks_of(
    seeds: Iterable[Seed], per_seed: int, operations: Sequence[Operation], kind: str, round: int, seed: int
) -> Iterator[Task]:
    """What is to be written in a round. kind: of the new problems, or `seed` for that of their seed."""
    for parent in seeds:
        for number in range(per_seed):
            operation = chosen(operations, stable_seed(seed, "operation", parent.id, number))
            own = fingerprint(seed, parent.id, parent.statement, number)[:10]
            lineage = Lineage(parent.origin, parent.id, operation, "", round)
            made = parent.kind if kind == "seed" else ProblemKind(kind)
            yield Task(f"{parent.origin}~{own}", parent, made, lineage)


def read_origins(place: str) -> dict[str, str]:
    """For each problem of a lineage file, its first ancestor by the file's own parents.

    Raises DataError, with file and line, for a row that is none and for a problem that descends from itself.
    """
    rows: dict[str, Row] = {}
    for row in read_rows(place):
        rows[row.text("id")] = row
        row.text("parent")
    parents = {id_: row.text("parent") for id_, row in rows.items()}
    return {id_: _origin(id_, parents, rows) for id_ in parents}


def _origin(id_: str, parents: Mapping[str, str], rows: Mapping[str, Row]) -> str:
    seen = [id_]
    while (parent := parents.get(seen[-1])) is not None:
        if parent in seen:
            raise rows[id_].error(
                f"the lineage is circular ({json.dumps([*seen, parent])}): a problem cannot descend from itself; "
                "correct the parents, or remove the file to take all problems as first seeds"
            )
        seen.append(parent)
    return rows[seen[-2]].text("seed", seen[-1]) if len(seen) > 1 else seen[-1]

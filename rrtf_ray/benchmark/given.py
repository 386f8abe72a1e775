"""A benchmark of samples that were made elsewhere: only the sandbox runs, by the machinery of `rrtf verify`."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rrtf_ray.benchmark.directory import Directory
from rrtf_ray.benchmark.figures import DrawFigures
from rrtf_ray.benchmark.protocols import BenchmarkDraw, Protocol
from rrtf_ray.errors import DataError, InputError, StageError
from rrtf_ray.problems.samples import ProblemIndex, SampleRow, read_samples
from rrtf_ray.progress import say
from rrtf_ray.records import Problem
from rrtf_ray.sandbox import Sandbox
from rrtf_ray.store.files import read_bytes, writing
from rrtf_ray.verify.command import MAX_ERROR_SHARE, judge
from rrtf_ray.verify.rows import Sample, samples_of


def check_files(samples: Sequence[str], protocol: Protocol) -> None:
    """Raise InputError unless there is one file for each draw."""
    if len(samples) != len(protocol.draws):
        names = ", ".join(f"{draw.name} (n={draw.n})" for draw in protocol.draws)
        raise InputError(
            f"{len(samples)} files of samples for the {len(protocol.draws)} draws of the protocol {protocol.name!r}; "
            f"give --samples once for each, in this order: {names}"
        )


def identity_of_samples(path: str) -> str:
    """Changes with the file's content. Raises InputError where it cannot be read."""
    return hashlib.sha256(read_bytes(path)).hexdigest()


def score(
    samples: Sequence[str],
    protocol: Protocol,
    directory: Directory,
    judged_by: str,
    open_sandbox: Callable[[], Sandbox],
    *,
    limited: bool,
    workers: int | None,
) -> list[DrawFigures]:
    """Judge what is missing, and write the draws' files.

    limited: only the first problems are wanted, and samples of others are left out. workers: None for one a CPU.

    Raises:
        DataError: a row that cannot be used, or a problem with more or fewer samples than the protocol's n.
        StageError: too many samples could not be judged.
    """
    known = {problem.id: problem for problem in directory.problems.read()}
    index = ProblemIndex(known.values())
    # All files before the first program runs: a fault in the last one is reported at once.
    found = [
        _of(path, draw, protocol, known, index, judged_by, limited)
        for path, draw in zip(samples, protocol.draws, strict=True)
    ]
    return [
        _judged(todo, draw, directory, known, open_sandbox, workers)
        for todo, draw in zip(found, protocol.draws, strict=True)
    ]


def _of(
    path: str,
    draw: BenchmarkDraw,
    protocol: Protocol,
    known: dict[str, Problem],
    index: ProblemIndex,
    judged_by: str,
    limited: bool,
) -> list[Sample]:
    rows = list(read_samples(path))
    kept = list(_found(rows, index)) if limited else rows
    if len(kept) < len(rows):
        say(f"{path}: {len(rows) - len(kept)} rows are of problems beyond --limit and are left out")
    # By the problems' own ids, whatever the file's spelling: samples and results of all files can be joined.
    todo = [replace(sample, task_id=sample.problem_id) for sample in samples_of(kept, index, judged_by)]
    counts = Counter(sample.problem_id for sample in todo)
    wrong = [id_ for id_ in known if counts[id_] != draw.n]
    if wrong:
        raise DataError(
            f"{path}: problem {wrong[0]!r} has {counts[wrong[0]]} samples, but the protocol {protocol.name!r} draws "
            f"n={draw.n} for each ({len(wrong)} of {len(known)} problems differ); give the missing ones, or a "
            "--protocol FILE.yaml with the n that was drawn"
        )
    return todo


def _found(rows: Sequence[SampleRow], index: ProblemIndex) -> Iterator[SampleRow]:
    return (row for row in rows if index.find(row) is not None)


def _judged(
    todo: list[Sample],
    draw: BenchmarkDraw,
    directory: Directory,
    known: dict[str, Problem],
    open_sandbox: Callable[[], Sandbox],
    workers: int | None,
) -> DrawFigures:
    with writing(directory.at(directory.samples(draw.name))) as stream:
        for sample in todo:
            field = "solution" if sample.whole else "completion"
            row = {"task_id": sample.problem_id, "index": sample.index, field: sample.text}
            stream.write(json.dumps(row).encode() + b"\n")
    results = directory.at(directory.results(draw.name))
    tally = judge(todo, known, open_sandbox, results, workers=workers)
    if tally.num_errors > MAX_ERROR_SHARE * tally.num_samples:
        raise StageError(
            f"{tally.num_errors} of {tally.num_samples} samples could not be judged, more than {MAX_ERROR_SHARE:.0%}: "
            f"{tally.first_error}; see `rrtf doctor`, then remove {results} and start again"
        )
    return DrawFigures(draw, tally)

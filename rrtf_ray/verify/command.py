"""`rrtf verify` from end to end: read and check everything, run what is left to run, show the results."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from rich.table import Table

from rrtf_ray.errors import DataError, InputError, StageError
from rrtf_ray.problems import format_of, load, read_manifest
from rrtf_ray.problems.samples import ProblemIndex, read_samples
from rrtf_ray.problems.source import is_hub, read_rows
from rrtf_ray.progress import bar, console, say
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.store.files import read_bytes
from rrtf_ray.verify.diagnosis import diagnosis
from rrtf_ray.verify.results import default_output, results_file
from rrtf_ray.verify.rows import Sample, Tally, batches_of, row_of, samples_of
from rrtf_ray.verify.workers import judged

MAX_ERROR_SHARE = 0.05
"""With more SANDBOX_ERRORs than this, pass@k says little, and the command fails."""


def verify(
    problems: str,
    samples: str,
    *,
    output: str | None = None,
    overwrite: bool = False,
    format: str | None = None,
    workers: int | None = None,
    timeout_s: float = 3.0,
    memory_mb: int = 1024,
    output_kb: int = 16 * 1024,
    preload: Sequence[str] = (),
    ks: Sequence[int] = (1, 10, 100),
) -> None:
    """Judge every sample, write a row for each to `output`, and print counts and pass@k.

    problems: a file, URI or data set of ours; format: its format, None to tell it from the first row.
    samples: see rrtf_ray.problems.samples. output: None for `<samples>.results.jsonl`; what is there is continued.
    workers: None for one a CPU. timeout_s: processor time of a program, in seconds; by the clock it has 4 times that.
    memory_mb, output_kb: see Limits. preload: modules that programs may import besides the standard library.

    Raises:
        InputError: a file, a row or a value that cannot be used; nothing was run.
        StageError: a worker failed, or more than 5% of the samples could not be judged. Finished rows are kept.
        SandboxError: the sandbox cannot work on this machine.
    """
    limits = Limits(cpu_s=timeout_s, wall_s=4 * timeout_s, memory_mb=memory_mb, output_kb=output_kb)
    open_sandbox = partial(Sandbox, limits, preload=tuple(preload))
    output = output or default_output(samples)
    _check_output(output, problems, samples)
    rows = list(read_samples(samples))
    format = format_of(problems) if format in (None, "auto") else format
    known = {problem.id: problem for problem in load_shown(format, problems)}
    todo = samples_of(rows, ProblemIndex(known.values()), judged_by(problems, format, limits, preload))
    if not todo:
        raise DataError(f"{samples}: holds no samples; check that the export completed")
    say(
        f"{len(known)} problems ({format}), {len(todo)} samples; limits: {limits.cpu_s:g} s of processor time, "
        f"{limits.wall_s:g} s by the clock, {memory_mb} MiB of memory, {output_kb} KiB of output"
    )
    tally = judge(todo, known, open_sandbox, output, overwrite=overwrite, workers=workers)
    _report(tally, len(known), len({sample.problem_id for sample in todo}), ks)
    for line in diagnosis(tally.reasons, tally.counts, known, open_sandbox):
        say(line)
    say(f"results: {output}")
    if tally.num_errors > MAX_ERROR_SHARE * tally.num_samples:
        raise StageError(
            f"{tally.num_errors} of {tally.num_samples} samples could not be judged, more than "
            f"{MAX_ERROR_SHARE:.0%}: {tally.first_error}; see `rrtf doctor`, then start again with --overwrite"
        )


def judge(
    samples: Sequence[Sample],
    problems: Mapping[str, Problem],
    open_sandbox: Callable[[], Sandbox],
    output: str,
    *,
    overwrite: bool = False,
    workers: int | None = None,
) -> Tally:
    """Write a row for each sample to `output`, in their order, and count them; what is there is continued.

    problems: by id. workers: None for one a CPU. Raises as `verify` does, but for the share of errors.
    """
    tally = Tally()
    with results_file(
        output, samples, lambda sample, row: tally.add(sample.problem_id, row), overwrite=overwrite
    ) as results:
        kept = results.num_rows
        if kept:
            say(f"{kept} results of an earlier start are kept ({output})")
        batches = batches_of([sample.problem_id for sample in samples], kept)
        workers = workers or os.cpu_count() or 1
        with each_warning_once(), bar("verify", len(samples), done=kept) as shown:
            for batch, verdicts in judged(batches, samples, problems, open_sandbox, workers):
                for position, verdict in zip(batch, verdicts, strict=True):
                    results.add(position, samples[position], row_of(samples[position], verdict))
                shown.advance(len(batch), f"{tally.outcomes[Outcome.PASSED]} passed")
    return tally


def _check_output(output: str, *inputs: str) -> None:
    for path in inputs:
        if os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path):
            raise InputError(f"--output {output} is an input of this command; name another file")


def load_shown(format: str, problems: str) -> Iterator[Problem]:
    """`problems.load`, with a bar where references have to run first."""
    if format not in ("evalplus", "evoeval"):
        yield from load(format, problems)
        return
    total = sum(1 for _ in read_rows(problems))
    say(f"{total} references run first, to make the expected values (`rrtf problems import` does that once for all)")
    with bar("references", total) as shown:
        for problem in load(format, problems):
            yield problem
            shown.advance()


def judged_by(problems: str, format: str, limits: Limits, preload: Sequence[str]) -> str:
    """What verdicts depend on besides the samples."""
    return f"{identity_of(problems, format)} {format} {limits} {sorted(preload)}"


def identity_of(problems: str, format: str) -> str:
    """Changes with the content of the problems (of a data set of the Hub, with its name)."""
    if is_hub(problems):
        return problems
    if format == "parquet" and not problems.endswith(".parquet"):
        return str(read_manifest(problems).get("sha256"))
    return hashlib.sha256(read_bytes(problems)).hexdigest()


def _report(tally: Tally, num_problems: int, num_sampled: int, ks: Sequence[int]) -> None:
    outcomes = Table("outcome", "samples", "share", title="Samples")
    for outcome, count in tally.outcomes.most_common():
        outcomes.add_row(outcome.value, str(count), f"{count / tally.num_samples:.1%}")
    console.print(outcomes)
    estimates, left_out = tally.pass_at_k(ks)
    if estimates:
        table = Table("metric", "estimate [95% interval]", title=f"pass@k, {len(tally.counts)} problems")
        for k, estimate in estimates.items():
            table.add_row(f"pass@{k}", str(estimate))
        console.print(table)
    if left_out:
        say(left_out)
    if num_sampled < num_problems:
        say(f"{num_problems - num_sampled} of {num_problems} problems have no samples and are left out of pass@k")
    if tally.num_errors:
        say(f"{tally.num_errors} samples ended as sandbox_error and are not judged; the first: {tally.first_error}")
    if tally.unprotected:
        say(f"some programs ran without {', '.join(sorted(tally.unprotected))}; see `rrtf doctor`")


@contextlib.contextmanager
def each_warning_once() -> Iterator[None]:
    """Every worker has a sandbox, and all sandboxes say the same of this machine."""
    said: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        new = text not in said
        said.add(text)
        return new

    logger = logging.getLogger("rrtf_ray.sandbox")
    logger.addFilter(is_new)
    try:
        yield
    finally:
        logger.removeFilter(is_new)

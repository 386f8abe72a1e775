"""`rrtf problems audit` from end to end: read, try every problem, show the worst, write the filtered copy."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from rich.table import Table

from rrtf_ray.audit.filtering import Kept, write_copy
from rrtf_ray.audit.findings import Finding, ProblemAudit
from rrtf_ray.audit.looking import look
from rrtf_ray.audit.trying import sample_of
from rrtf_ray.errors import InputError
from rrtf_ray.problems import format_of, read_manifest
from rrtf_ray.problems.dataset import canonical
from rrtf_ray.problems.samples import ProblemIndex, read_samples
from rrtf_ray.progress import bar, console, say
from rrtf_ray.records import Problem
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.schemas import to_row
from rrtf_ray.store.files import is_folder
from rrtf_ray.verify.command import each_warning_once, identity_of, load_shown
from rrtf_ray.verify.rows import samples_of
from rrtf_ray.verify.workers import in_threads

HASH_SEEDS = (0, 1, 2)
_SHOWN = 20


def audit(
    problems: str,
    *,
    sample: int | None = None,
    samples: str | None = None,
    output: str | None = None,
    seconds: float = 600.0,
    min_score: float = 0.5,
    workers: int | None = None,
    timeout_s: float = 3.0,
    memory_mb: int = 1024,
    output_kb: int = 16 * 1024,
    preload: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Audit a problem set and show what was found.

    problems: a data set of ours, or a file of any format. sample: how many problems, always the same ones; None for
    all. samples: programs that people have, see rrtf_ray.problems.samples. output: a folder for the filtered copy,
    which is written when all problems were looked at; what an earlier start found is kept there. seconds: no problem is
    begun later. min_score: the least score of a problem that is in the copy. The rest: as for `rrtf verify`.

    Raises:
        InputError: a value that cannot be used.
        DataError: a file or a row that cannot be used; nothing was run.
        SandboxError: the sandbox cannot work on this machine.
    """
    if not 0 <= min_score <= 1:
        raise InputError(f"--min-score {min_score:g} is no score; give a number from 0 to 1")
    if output and os.path.realpath(output) == os.path.realpath(problems):
        raise InputError(f"--output {output} is the problem set itself; name another folder")
    with _lines_to_stderr(as_json):
        limits = Limits(cpu_s=timeout_s, wall_s=4 * timeout_s, memory_mb=memory_mb, output_kb=output_kb)
        format = format_of(problems)
        everything = {problem.id: problem for problem in load_shown(format, problems)}
        wanted = sample_of(everything, sample or len(everything))
        chosen = {id_: problem for id_, problem in everything.items() if id_ in wanted}
        programs = _programs(samples, everything) if samples else {}
        keys = {id_: _key(problem, programs.get(id_, ()), limits, preload) for id_, problem in chosen.items()}
        with Kept(output, keys) as kept:
            if kept.audits:
                say(f"{len(kept.audits)} problems were looked at by an earlier start ({output})")
            todo = [problem for id_, problem in chosen.items() if id_ not in kept.audits]
            opened = partial(_sandboxes, limits, tuple(preload))
            until = time.monotonic() + seconds
            with each_warning_once(), bar("audit", len(chosen), done=len(kept.audits)) as shown:
                for found in _looked_at(todo, programs, opened, until, workers or os.cpu_count() or 1):
                    kept.add(found)
                    shown.advance(1, f"{sum(map(bool, (one.reasons for one in kept.audits.values())))} with a finding")
            audits = kept.audits
        if as_json:
            print(json.dumps(_summary(audits, len(chosen), len(everything))))
        else:
            _show(audits, len(chosen), len(everything))
        left = len(chosen) - len(audits)
        if left:
            say(
                f"{left} of {len(chosen)} problems were not looked at: {seconds:g} s were over. Give more (--seconds)"
                + (f"; those of {output} are kept" if output else "")
            )
        if output and left:
            say(f"the copy in {output} is not written before all problems were looked at; start again to go on")
        elif output:
            made_from = read_manifest(problems)["format"] if is_folder(problems) else format
            num = write_copy(chosen, audits, output, min_score, problems, made_from, identity_of(problems, format))
            say(f"{num} of {len(chosen)} problems have a score of {min_score:g} or more: {output}")


@contextmanager
def _lines_to_stderr(yes: bool) -> Iterator[None]:
    """Standard output is left to the result that a program reads."""
    console.stderr = yes
    try:
        yield
    finally:
        console.stderr = False


def _looked_at(
    problems: Sequence[Problem],
    programs: Mapping[str, Sequence[str]],
    opened: Callable[[], AbstractContextManager[list[Sandbox]]],
    until: float,
    workers: int,
) -> Iterator[ProblemAudit]:
    def work(sandboxes: list[Sandbox], waiting: Iterator[Problem]) -> Iterator[ProblemAudit]:
        for problem in waiting:
            if time.monotonic() > until:
                return
            yield look(problem, programs.get(problem.id, ()), sandboxes)

    return in_threads(problems, opened, work, workers)


@contextmanager
def _sandboxes(limits: Limits, preload: tuple[str, ...]) -> Iterator[list[Sandbox]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Sandbox(limits, preload=preload, hash_seed=seed)) for seed in HASH_SEEDS]


def _programs(samples: str, problems: Mapping[str, Problem]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for one in samples_of(read_samples(samples), ProblemIndex(problems.values()), ""):
        found[one.problem_id].append(one.program(problems[one.problem_id]))
    return found


def _key(problem: Problem, programs: Sequence[str], limits: Limits, preload: Sequence[str]) -> str:
    """Changes with all that an audit of the problem depends on."""
    about = json.dumps([list(programs), str(limits), sorted(preload), HASH_SEEDS])
    return hashlib.sha256(canonical(to_row(problem)) + about.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _worst_first(audits: Mapping[str, ProblemAudit]) -> list[ProblemAudit]:
    return sorted(audits.values(), key=lambda one: (one.score, one.id))


def _summary(audits: Mapping[str, ProblemAudit], num_asked: int, num_problems: int) -> dict[str, object]:
    counts = Counter(reason for one in audits.values() for reason in one.reasons)
    return {
        "num_problems": num_problems,
        "num_asked": num_asked,
        "num_looked_at": len(audits),
        "num_without_finding": sum(not one.reasons for one in audits.values()),
        "reasons": {reason.value: counts[reason] for reason in Finding},
        "problems": [one.row() for one in _worst_first(audits)],
    }


def _show(audits: Mapping[str, ProblemAudit], num_asked: int, num_problems: int) -> None:
    worst = [one for one in _worst_first(audits) if one.reasons]
    if worst:
        table = Table("problem", "score", "why", title=f"The worst {min(_SHOWN, len(worst))} of {len(audits)} problems")
        for one in worst[:_SHOWN]:
            why = "; ".join(f"{reason.value}: {text}" for reason, text in one.reasons.items())
            table.add_row(one.id, f"{one.score:.2f}", why if len(why) <= 200 else f"{why[:200]} ...")
        console.print(table, markup=False)
    counts = Counter(reason for one in audits.values() for reason in one.reasons)
    totals = Table("finding", "problems", "share", title=f"{len(audits)} of {num_problems} problems looked at")
    for reason, number in counts.most_common():
        totals.add_row(reason.value, str(number), f"{number / len(audits):.1%}")
    totals.add_row("no finding", str(len(audits) - len(worst)), f"{1 - len(worst) / max(1, len(audits)):.1%}")
    console.print(totals)
    mutants, killed = (sum(getattr(one, name) for one in audits.values()) for name in ("num_mutants", "killed"))
    apart = sum(one.told_apart or 0 for one in audits.values())
    say(
        f"{mutants} faults were put into the references: tests notice {killed}; of the {mutants - killed} others "
        f"{apart} differ from the reference on a call that was tried, the rest may be its equals"
    )
    for why, number in Counter(why for one in audits.values() for why in one.not_looked_at).most_common():
        say(f"not looked at, {number} problems: {why}")

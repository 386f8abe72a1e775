"""`rrtf problems dedup`, `decontaminate` and `select`: reading, writing and what is printed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.leaks import Evaluated
from rrtf_ray.curation.repeats import find_repeats
from rrtf_ray.curation.selection import BANDS, UNJUDGED, Rule, Selection, round_of, select
from rrtf_ray.curation.showing import counts, headline, side_by_side
from rrtf_ray.errors import InputError
from rrtf_ray.problems import load, read_manifest, read_problems, write_problems
from rrtf_ray.problems.catalogue import AUTO
from rrtf_ray.records import Problem
from rrtf_ray.store.files import absolute, exists, join, remove_temporary, writing
from rrtf_ray.store.run_dir import RunDir

LEFT_OUT = "left_out.jsonl"
"""In a clean copy: a line for each problem that is not in it, with the reason and both prompts."""
_LARGE = 5000
"""Problems from which on further processes are worth their start."""


@dataclass(frozen=True, slots=True)
class How:
    """threshold: of near copies. parts: what is compared. same_numbers: near copies have the same numbers. show: print
    so many pairs side by side."""

    threshold: float
    parts: tuple[str, ...]
    same_numbers: bool
    show: int

    def as_json(self) -> dict[str, Any]:
        """For the lineage."""
        return {"threshold": self.threshold, "by": list(self.parts), "same_numbers": self.same_numbers}


class Shown:
    """Collects copies with their prompts: as lines of a file, and the first few to print."""

    def __init__(self, show: int, write: Callable[[bytes], Any] | None) -> None:
        self._show = show
        self._write = write
        self.pairs: list[tuple[Copy, str, str]] = []
        self.copies: list[Copy] = []

    def add(self, copy: Copy, prompt: str, of_prompt: str) -> None:
        self.copies.append(copy)
        if len(self.pairs) < self._show:
            self.pairs.append((copy, prompt, of_prompt))
        if self._write:
            line = _as_json(copy) | {"prompt": prompt, "of_prompt": of_prompt}
            self._write(json.dumps(line, ensure_ascii=True).encode() + b"\n")

    def print(self) -> None:
        for copy, prompt, of_prompt in self.pairs:
            print(headline(copy))
            print(side_by_side(prompt, of_prompt))
        rest = len(self.copies) - len(self.pairs)
        if rest and self.pairs:
            print(f"... and {rest} more (--show N prints more of them)")


def dedup(directory: str, output: str, how: How, *, as_json: bool) -> int:
    """Write a copy of a data set without repetitions; returns the exit code."""
    _check_output(directory, output)
    total = read_manifest(directory)["num_problems"]
    copies = find_repeats(
        read_problems(directory),
        threshold=how.threshold,
        parts=how.parts,
        same_numbers=how.same_numbers,
        processes=(os.cpu_count() or 1) if total > _LARGE else 1,
    )
    by_id = {copy.id: copy for copy in copies}
    wanted = {copy.of for copy in copies}
    with _left_out(output) as file:
        shown = Shown(how.show, file.write)

        def kept() -> Iterator[Problem]:
            prompts: dict[str, str] = {}
            for problem in read_problems(directory):
                if problem.id in wanted:
                    prompts[problem.id] = problem.prompt
                if copy := by_id.get(problem.id):
                    shown.add(copy, problem.prompt, prompts[copy.of])
                else:
                    yield problem

        manifest = _write_clean(kept(), output, directory, {"command": "dedup", **how.as_json()}, copies)
    if as_json:
        _print_json(total, manifest["num_problems"], copies, output)
        return 0
    shown.print()
    clusters = len({copy.kept for copy in copies})
    what = f": {counts(copies)}; {clusters} clusters" if copies else ""
    print(f"{len(copies)} of {total} problems repeat an earlier one{what}")
    print(f"{manifest['num_problems']} problems written to {output}")
    return 0


def decontaminate(directory: str, against: Sequence[str], output: str | None, how: How, *, as_json: bool) -> int:
    """Find the problems of a data set that are in others; returns 1 if there are any and no clean copy is asked for."""
    total = read_manifest(directory)["num_problems"]
    if output:
        _check_output(directory, output)
    sets = ((name, load(AUTO, name)) for name in against)
    evaluated = Evaluated(sets, threshold=how.threshold, parts=how.parts, same_numbers=how.same_numbers)
    shown = Shown(how.show, None)

    def clean() -> Iterator[Problem]:
        for problem, copy, place in evaluated.copies_in(read_problems(directory)):
            if copy and place:
                shown.add(copy, problem.prompt, place.prompt)
            else:
                yield problem

    if output:
        with _left_out(output) as file:
            shown = Shown(how.show, file.write)
            rule = {"command": "decontaminate", "against": list(against), **how.as_json()}
            _write_clean(clean(), output, directory, rule, shown.copies)
    else:
        for _ in clean():
            pass
    left = total - len(shown.copies)
    if as_json:
        _print_json(total, left, shown.copies, output)
    else:
        shown.print()
        what = f": {counts(shown.copies)}" if shown.copies else ""
        print(f"{len(shown.copies)} of {total} problems are in {', '.join(against)}{what}")
        if output:
            print(f"{left} problems written to {output}")
    return 1 if shown.copies and not output else 0


def select_from(run_dir: str, round: int | None, output: str, rule: Rule, *, as_json: bool) -> int:
    """Write the problems of a run that a rule chooses as a data set; returns the exit code."""
    run = RunDir(run_dir)
    if not exists(run.at("config.yaml")):
        raise InputError(f"{run_dir} is no run directory (it has no config.yaml); check --from")
    round = round_of(run, round)
    found = select(run.groups(round).read(), rule)
    if not as_json:
        print(_table(found, round))
    if not found.problems:
        raise InputError(
            f"no problem of round {round} of {run_dir} fits the rule; widen --pass-rate or --outcome, or choose "
            "another round. Nothing was written"
        )
    lineage = {"command": "select", "run": run_dir, "round": round, "rule": rule.as_json()}
    manifest = write_problems(found.problems, output, source=run_dir, about={"lineage": lineage})
    if as_json:
        bands = {band: found.bands[band] for band in (*BANDS, UNJUDGED)}
        print(json.dumps({"round": round, "bands": bands, "fitting": found.fitting, "selected": len(found.problems)}))
    else:
        print(f"{manifest['num_problems']} problems written to {output}")
    return 0


def _table(found: Selection, round: int) -> str:
    lines = [f"{'pass rate in round ' + str(round):<24}{'problems':>10}{'selected':>10}"]
    for band in (*BANDS, UNJUDGED):
        if found.bands[band] or band != UNJUDGED:
            lines.append(f"{band:<24}{found.bands[band]:>10}{found.chosen[band]:>10}")
    return "\n".join(lines)


@contextmanager
def _left_out(output: str) -> Iterator[Any]:
    """The file of what is left out; an error leaves nothing of it."""
    try:
        with writing(join(output, LEFT_OUT)) as file:
            yield file
    except BaseException:
        remove_temporary(output)
        raise


def _check_output(directory: str, output: str) -> None:
    if absolute(directory).rstrip("/") == absolute(output).rstrip("/"):
        raise InputError(f"--output {output} is the data set that is read; name another directory")


def _write_clean(
    problems: Iterator[Problem], output: str, directory: str, rule: dict[str, Any], copies: list[Copy]
) -> dict[str, Any]:
    first = next(problems, None)
    if first is None:
        raise InputError(f"all problems of {directory} would be left out; nothing was written to {output}")
    before = read_manifest(directory)
    lineage = {"from": directory, "sha256": before["sha256"], **rule}

    def all_of_them() -> Iterator[Problem]:
        yield first
        yield from problems

    return write_problems(
        all_of_them(), output, format_name=before["format"], source=before["source"], about={"lineage": lineage}
    )


def _as_json(copy: Copy) -> dict[str, Any]:
    return {name: value for name, value in asdict(copy).items() if value != ""}


def _print_json(total: int, kept: int, copies: list[Copy], output: str | None) -> None:
    found = {"problems": total, "kept": kept, "left_out": [_as_json(copy) for copy in copies], "output": output}
    print(json.dumps(found))

"""`rrtf problems dedup`, `decontaminate` and `select`: reading, writing and what is printed."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from rrtf_ray.curation.copies import Copy
from rrtf_ray.curation.leaks import Evaluated
from rrtf_ray.curation.repeats import find_repeats
from rrtf_ray.curation.selection import BANDS, UNJUDGED, Rule, Selection, round_of, select
from rrtf_ray.curation.showing import counts, headline, side_by_side
from rrtf_ray.errors import InputError
from rrtf_ray.problems import load, read_manifest, read_problems
from rrtf_ray.problems.catalogue import AUTO
from rrtf_ray.problems.filtered import lineage_of, write_filtered
from rrtf_ray.records import Problem
from rrtf_ray.store.files import absolute, exists
from rrtf_ray.store.run_dir import RunDir

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
    """Collects copies, and the first few with their prompts to print."""

    def __init__(self, show: int) -> None:
        self._show = show
        self._pairs: list[tuple[Copy, str, str]] = []
        self.copies: list[Copy] = []

    def add(self, copy: Copy, prompt: str, of_prompt: str) -> dict[str, Any]:
        """Returns what left_out.jsonl says of it."""
        self.copies.append(copy)
        if len(self._pairs) < self._show:
            self._pairs.append((copy, prompt, of_prompt))
        return _as_json(copy) | {"prompt": prompt, "of_prompt": of_prompt}

    def print(self) -> None:
        for copy, prompt, of_prompt in self._pairs:
            print(headline(copy))
            print(side_by_side(prompt, of_prompt))
        rest = len(self.copies) - len(self._pairs)
        if rest and self._pairs:
            print(f"... and {rest} more (--show N prints more of them)")


def dedup(directory: str, output: str, how: How, *, as_json: bool) -> int:
    """Write a copy of a data set without repetitions; returns the exit code."""
    before = read_manifest(directory)
    _check_output(directory, output)
    total = before["num_problems"]
    copies = find_repeats(
        read_problems(directory),
        threshold=how.threshold,
        parts=how.parts,
        same_numbers=how.same_numbers,
        processes=(os.cpu_count() or 1) if total > _LARGE else 1,
    )
    by_id = {copy.id: copy for copy in copies}
    wanted = {copy.of for copy in copies}
    shown = Shown(how.show)

    def rows() -> Iterator[Problem | dict[str, Any]]:
        prompts: dict[str, str] = {}
        for problem in read_problems(directory):
            if problem.id in wanted:
                prompts[problem.id] = problem.prompt
            copy = by_id.get(problem.id)
            yield shown.add(copy, problem.prompt, prompts[copy.of]) if copy else problem

    _write(rows(), output, "dedup", directory, how.as_json())
    if as_json:
        _print_json(total, copies, output)
        return 0
    shown.print()
    clusters = len({copy.kept for copy in copies})
    what = f": {counts(copies)}; {clusters} {'cluster' if clusters == 1 else 'clusters'}" if copies else ""
    print(f"{len(copies)} of {total} problems repeat an earlier one{what}")
    print(f"{total - len(copies)} problems written to {output}")
    return 0


def decontaminate(directory: str, against: Sequence[str], output: str | None, how: How, *, as_json: bool) -> int:
    """Find the problems of a data set that are in others; returns 1 if there are any and no clean copy is asked for."""
    total = read_manifest(directory)["num_problems"]
    if output:
        _check_output(directory, output)
    sets = ((name, load(AUTO, name)) for name in against)
    evaluated = Evaluated(sets, threshold=how.threshold, parts=how.parts, same_numbers=how.same_numbers)
    shown = Shown(how.show)

    def rows() -> Iterator[Problem | dict[str, Any]]:
        for problem, copy, place in evaluated.copies_in(read_problems(directory)):
            yield shown.add(copy, problem.prompt, place.prompt) if copy and place else problem

    try:
        if output:
            _write(rows(), output, "decontaminate", directory, {"against": list(against), **how.as_json()})
        else:
            deque(rows(), maxlen=0)
    finally:  # where nothing would be left, what was found says why
        if as_json:
            _print_json(total, shown.copies, output)
        else:
            shown.print()
            what = f": {counts(shown.copies)}" if shown.copies else ""
            print(f"{len(shown.copies)} of {total} problems are in {', '.join(against)}{what}")
    if output and not as_json:
        print(f"{total - len(shown.copies)} problems written to {output}")
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
    manifest = write_filtered(
        chain(found.problems, found.left_out),
        output,
        command="select",
        source=run_dir,
        format_name="parquet",
        lineage={"round": round, "rule": rule.as_json()},
        remedy="choose another rule",
    )
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


def _check_output(directory: str, output: str) -> None:
    if absolute(directory).rstrip("/") == absolute(output).rstrip("/"):
        raise InputError(f"--output {output} is the data set that is read; name another directory")


def _write(rows: Iterable[Problem | dict[str, Any]], output: str, command: str, directory: str, how: Any) -> None:
    write_filtered(
        rows,
        output,
        command=command,
        source=directory,
        format_name=read_manifest(directory)["format"],
        lineage=lineage_of(directory) | how,
        remedy="all of them are copies: compare with other sets, or narrow --by",
    )


def _as_json(copy: Copy) -> dict[str, Any]:
    return {name: value for name, value in asdict(copy).items() if value != ""}


def _print_json(total: int, copies: list[Copy], output: str | None) -> None:
    left_out = [_as_json(copy) for copy in copies]
    print(json.dumps({"problems": total, "kept": total - len(copies), "left_out": left_out, "output": output}))

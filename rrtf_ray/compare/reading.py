"""From what a person names to what it holds: a file of results, a benchmark's directory, an evaluation of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rrtf_ray.compare.records import Arm, Measured
from rrtf_ray.compare.results import BENCHMARK, SUFFIX, read_benchmark, read_results
from rrtf_ray.compare.runs import EVALUATION, read_evaluation
from rrtf_ray.errors import InputError
from rrtf_ray.store.files import exists, is_folder, join, names_in


def read_arms(names: list[str]) -> list[Arm]:
    """The arms in the order in which they are named; commas separate the seeds of one."""
    paths = [[name] if exists(name) else [part for part in name.split(",") if part] for name in names]
    short = _short_names([seeds[0] if seeds else "" for seeds in paths])
    arms = []
    for name, label, seeds in zip(names, short, paths, strict=True):
        if not seeds or len(set(seeds)) < len(seeds):
            raise InputError(f"{name!r} names no input, or one twice; separate different seeds by commas")
        more = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
        arms.append(Arm(label + more, tuple(read(path) for path in seeds)))
    return arms


def read(name: str) -> Measured:
    """One input. Raises InputError where it is nothing that can be compared; the text says what could be."""
    path = _place(name)
    if not is_folder(path):
        return read_results(path)
    if exists(join(path, BENCHMARK)):
        return read_benchmark(path)
    if any(exists(join(path, part)) for part in (EVALUATION, "groups")):
        return read_evaluation(path)
    if several := [read_benchmark(join(path, name)) for name in _folders(path) if exists(join(path, name, BENCHMARK))]:
        return _together(path, several)
    if labels := _folders(join(path, "evaluations")):
        named = ", ".join(f"{name.rstrip('/')}:{label}" for label in labels)
        raise InputError(f"{name} is a run directory; name one of its evaluations: {named}")
    raise InputError(
        f"{name} has neither {BENCHMARK} nor {EVALUATION}: it is still being written, or something else. Give a "
        f"complete output directory of `rrtf benchmark`, an evaluation of a run (RUN:round-01), or a file {SUFFIX}"
    )


def _together(path: str, benchmarks: Sequence[Measured]) -> Measured:
    """Several benchmarks of one model, whose draws get their folder's name.

    Raises InputError for those of several models, or of one suite twice.
    """
    suites = [suite.name for measured in benchmarks for suite in measured.suites]
    models = sorted({measured.model for measured in benchmarks})
    if len(models) > 1 or len(set(suites)) < len(suites):
        raise InputError(
            f"{path} holds benchmarks of {', '.join(models)} ({', '.join(suites)}); give a folder with one model's "
            "benchmarks, each suite once, or name one benchmark's directory"
        )
    draws = [
        replace(draw, name=f"{measured.path.rstrip('/').rpartition('/')[2]}/{draw.name}")
        for measured in benchmarks
        for draw in measured.draws
    ]
    return Measured(path, models[0], tuple(draws), tuple(line for measured in benchmarks for line in measured.notices))


def _place(name: str) -> str:
    """`RUN:round-01` is `RUN/evaluations/round-01`. Raises InputError where there is no such place."""
    if exists(name):
        return name
    run, _, label = name.rpartition(":")
    if run and "/" not in label and exists(run):
        place = join(run, "evaluations", label)
        if exists(place):
            return place
        labels = ", ".join(_folders(join(run, "evaluations"))) or "none"
        raise InputError(f"{name}: the run {run} has no evaluation {label!r}; it has {labels}")
    raise InputError(f"{name} does not exist; check the path, or make it with `rrtf verify` or `rrtf evaluate`")


def _folders(place: str) -> list[str]:
    return [name for name in names_in(place) if is_folder(join(place, name))]


def _short_names(paths: list[str]) -> list[str]:
    """The last parts of the paths, as many as tell them apart; numbered where the same input is named twice."""
    parts = [path.removesuffix(SUFFIX).rstrip("/").replace(":", "/").split("/") for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(its[-length:]) for its in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{its[-1]} #{number}" for number, its in enumerate(parts, 1)]

"""`rrtf benchmark` from end to end: check everything, claim the directory, sample or score, write the figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from rrtf_ray.benchmark.directory import RESULT, Directory
from rrtf_ray.benchmark.figures import DrawFigures, result_of
from rrtf_ray.benchmark.given import check_files, identity_of_samples, score
from rrtf_ray.benchmark.problem_set import ProblemSet, copy_problems
from rrtf_ray.benchmark.protocols import Protocol, protocol_of
from rrtf_ray.benchmark.report import print_result
from rrtf_ray.benchmark.suites import Suite, suite_of
from rrtf_ray.config import Config
from rrtf_ray.errors import InputError
from rrtf_ray.problems.source import is_hub
from rrtf_ray.progress import say
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.store.files import absolute, is_local, write_json
from rrtf_ray.verify.command import identity_of, judged_by


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark whose directory is claimed.

    fresh: the directory is new, so a start that is refused gives it back. work: makes the draws' files and
    returns what is in them.
    """

    model: str
    suite: Suite
    protocol: Protocol
    problems: ProblemSet
    directory: Directory
    fresh: bool
    work: Callable[[], list[DrawFigures]]

    def run(self) -> dict[str, Any]:
        """Bring it to completion and print the figures; returns `benchmark.json`. A complete one answers at once.

        Raises:
            InputError: something in problems, samples or settings cannot be used.
            StageError: it failed while it ran; what was finished is kept, and the same command continues.
        """
        result = self.directory.finished()
        if result:
            say(f"benchmark: complete already ({self.directory.uri})")
        else:
            try:
                copy_problems(self.problems, self.protocol, self.directory.problems)
                figures = self.work()
            except InputError:
                if self.fresh and not self.directory.groups.parts():
                    self.directory.release()
                raise
            result = result_of(self.model, self.suite, self.protocol, self.problems, figures, self.directory)
            write_json(self.directory.at(RESULT), result)
        print_result(result, self.directory.uri)
        return result


def of_model(model: str, config: Config, overrides: list[str], problems: str, output: str, **chosen: Any) -> Benchmark:
    """A benchmark that samples `model`; config says how to run it. chosen: see `_chosen`."""
    from rrtf_ray.benchmark import sampled  # Ray: seconds, and only where a model is sampled

    sampled.check_overrides(overrides)
    suite, protocol, problem_set = _chosen(problems, **chosen)
    directory = Directory(absolute(output))
    place = sampled.model_place(model, config)
    settings = sampled.sampling_config(config, protocol, place, directory.uri)
    sampled.check_chat(settings, protocol, place)
    fresh = directory.claim(_measured(suite, protocol, problem_set) | sampled.measured_by(settings, place))
    work = partial(sampled.sample, settings, place, protocol, directory, _judged_by(problem_set, protocol))
    return Benchmark(model, suite, protocol, problem_set, directory, fresh, work)


def of_samples(
    samples: Sequence[str], problems: str, output: str, *, model: str | None, workers: int | None, **chosen: Any
) -> Benchmark:
    """A benchmark of samples that are there: a file for each draw. model: whose they are; None for the file's name."""
    if not is_local(output):
        raise InputError(f"--output {output}: results of --samples are continued line by line; name a local directory")
    suite, protocol, problem_set = _chosen(problems, **chosen)
    check_files(samples, protocol)
    directory = Directory(absolute(output))
    model = model or os.path.basename(samples[0])
    given = {"model": model, "samples": [identity_of_samples(path) for path in samples]}
    fresh = directory.claim(_measured(suite, protocol, problem_set) | given)
    work = partial(
        score,
        samples,
        protocol,
        directory,
        _judged_by(problem_set, protocol),
        partial(Sandbox, _limits(protocol), preload=protocol.preload),
        limited=problem_set.limit is not None,
        workers=workers,
    )
    return Benchmark(model, suite, protocol, problem_set, directory, fresh, work)


def _chosen(
    problems: str, *, suite: str | None, format: str, protocol: str, limit: int | None
) -> tuple[Suite, Protocol, ProblemSet]:
    """Raises InputError for a suite, format or protocol that does not exist or does not fit the problems."""
    wanted = protocol_of(protocol)
    found, read_as = suite_of(suite, problems, format)
    if wanted.prompt == "chat" and not wanted.instruction:
        wanted = wanted.model_copy(update={"instruction": found.instruction})
    place = problems if is_hub(problems) else absolute(problems)
    return found, wanted, ProblemSet(place, read_as, identity_of(place, read_as), limit)


def _measured(suite: Suite, protocol: Protocol, problems: ProblemSet) -> dict[str, Any]:
    return {
        "suite": suite.name,
        "protocol": protocol.model_dump(mode="json"),
        "problems": {name: value for name, value in asdict(problems).items() if name != "source"},
    }


def _limits(protocol: Protocol) -> Limits:
    return Limits(cpu_s=protocol.cpu_s, wall_s=protocol.wall_s, memory_mb=protocol.memory_mb)


def _judged_by(problems: ProblemSet, protocol: Protocol) -> str:
    return judged_by(problems.source, problems.format, _limits(protocol), protocol.preload)

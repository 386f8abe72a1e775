"""Wall time of the streamed sample+execute against the longer of the two stages alone.

    python -m benchmarks.sampling.overlap [--json] [--load wait|cpu] [--problems N] [--seqs N] [--pairs N] [--model DIR]

All are timed from when the engine (or the sandbox) is ready to the last row on disk, on the same problems and with the
demo's student. The load is balanced first: the tests' work is set so that executing alone takes about as long as
sampling alone (measured on a quarter of the problems). With `--load wait` the tests wait, which shows what the plan
overlaps; with `--load cpu` they compute, which also shows a lack of cores. A stream must fill and drain, which takes
some seconds whatever its length.

The demo's student writes programs of 40 tokens so fast that on two cores its sampling and the processes of its programs
need more than both, whatever waits. `--seqs` (the engine's max_num_seqs) makes it as slow as a larger student; 128, the
demo's value, shows it at full speed.
"""

from __future__ import annotations

import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import arguments, report
from benchmarks.timed import run_timed
from rrtf_ray.cluster.connecting import connected
from rrtf_ray.config_file import load_config
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.records import Group, Problem, Test
from rrtf_ray.stages.actors import execute_step, sample_step
from rrtf_ray.stages.stream import Step
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.rows import RowStore


def main() -> None:
    args = arguments(__doc__, model="", problems=320, seqs=8, pairs=2, load="wait")
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        bench = Bench(Path(folder), args.model or _student(Path(folder)), args)
        with connected(bench.config):
            work = bench.balance()
            ratios, details = [], []
            for _ in range(args.pairs):
                sampled = bench.sample(work)
                executed = bench.execute(work)
                streamed = bench.stream(work)
                ratios.append(streamed / max(sampled, executed))
                details.append([round(x, 1) for x in (streamed, sampled, executed)])
    report(
        args.json,
        "wall_over_longest",
        ratios,
        "<= 1.10",
        {"load": args.load, "work": work, "seconds: streamed, sample, execute": details},
    )


class Bench:
    """The three timed plans over the same problems; a test suite costs `work` iterations or milliseconds."""

    def __init__(self, folder: Path, model: str, args: Namespace) -> None:
        self.folder, self.model = folder, model
        self._line = {"cpu": "for _ in range({}): pass", "wait": "__import__('time').sleep({} / 1000)"}[args.load]
        self._probe = {"cpu": 200_000, "wait": 5}[args.load]
        self.config = load_config(
            "jobs/configs/demo.yaml",
            ["sample.draws=[{n: 8}]", "sample.teacher=none", f"model.engine.max_num_seqs={args.seqs}"],
        )
        self.problems = generate_problems(args.problems, 1)[0]
        self._count = 0

    def _source(self, work: int) -> RowStore[Problem]:
        busy = f"def check(candidate):\n    {self._line.format(work)}\n"
        heavy = [
            replace(p, tests=(Test(p.tests[0].kind, p.tests[0].code.replace("def check(candidate):\n", busy)),))
            for p in self.problems
        ]
        store = RowStore(self._new("problems"), Problem, "id")
        store.write(heavy)
        return store

    def _new(self, name: str) -> str:
        self._count += 1
        return str(self.folder / f"{name}-{self._count}")

    def _run(self, source: RowStore, steps: list[Step]) -> tuple[float, RowStore[Group]]:
        sink = RowStore(self._new("groups"), Group, "problem.id")
        return run_timed(source, sink, steps, self.config.sample.rows_per_task)[1], sink

    def sample(self, work: int) -> float:
        seconds, self._sampled = self._run(self._source(work), [sample_step(self.config, self.model, Prompting(), 0)])
        return seconds

    def execute(self, work: int) -> float:
        """Executes the groups that `sample` wrote last, so with the same work."""
        return self._run(self._sampled, [execute_step(self.config.execute)])[0]

    def stream(self, work: int) -> float:
        steps = [sample_step(self.config, self.model, Prompting(), 0), execute_step(self.config.execute)]
        return self._run(self._source(work), steps)[0]

    def balance(self) -> int:
        """The work of a test suite with which executing takes about as long as sampling."""
        base, probe = 0, self._probe
        everything, self.problems = self.problems, self.problems[: len(self.problems) // 4]
        sampled = self.sample(base)
        idle = self.execute(base)
        self.sample(probe)
        busy = self.execute(probe)
        self.problems = everything
        return max(0, int(probe * (sampled - idle) / max(0.1, busy - idle)))


def _student(folder: Path) -> str:
    from rrtf_ray.quickstart import make_student

    make_student(folder / "student", seed=0)
    return str(folder / "student")


if __name__ == "__main__":
    main()

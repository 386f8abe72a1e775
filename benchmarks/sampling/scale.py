"""The driver's memory and time at 100,000 problems against 10,000, with a scripted student.

    python -m benchmarks.sampling.scale [--json] [--small N] [--large N] [--rows-per-task N]

Each size runs in a driver process of its own, through sampling, execution, ranking, publication and the counts at the
end. Compared is the largest resident set of that process; it grows with the number of tasks that Ray keeps account of,
not with the rows, so the rows of a task decide (`sample.rows_per_task`). Shown beside it: the driver's seconds from the
last row on disk to pass@k and complete rankings, and what a start costs that finds everything done.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import arguments, report
from rrtf_ray.records import Problem, ProblemKind, Split, Test, TestKind
from rrtf_ray.store.run_dir import RunDir


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "driver":
        driver(int(sys.argv[2]), int(sys.argv[3]))
        return
    args = arguments(__doc__, small=10_000, large=100_000, rows_per_task=256)
    small, large = (_measure(number, args.rows_per_task) for number in (args.small, args.large))
    ratio = large["rss_mb"] / small["rss_mb"]
    report(args.json, "rss_100k_over_10k", [ratio], "<= 1.2", {"small": small, "large": large})


def _measure(number: int, rows_per_task: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.sampling.scale", "driver", str(number), str(rows_per_task)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def driver(number: int, rows_per_task: int) -> None:
    """Sample, execute and rank `number` problems; prints this process's largest resident set and its seconds."""
    from rrtf_ray.cluster.connecting import connected
    from rrtf_ray.config_file import load_config
    from rrtf_ray.stages.evaluate import evaluation_of
    from rrtf_ray.stages.produce import rank_groups, sample_and_execute

    one = Problem(
        id="0",
        prompt="def double(x):\n",
        kind=ProblemKind.FUNCTION,
        entry_point="double",
        tests=(Test(TestKind.CHECK, "def check(candidate):\n    assert candidate(2) == 4\n"),),
        reference="    return 2 * x\n",
    )
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        overrides = [
            "sample.engine=scripted",
            "until=rank",
            "sample.draws=[{n: 1}]",
            "sample.teacher=none",
            f"run_dir={folder}",
        ]
        run = RunDir(folder)
        config = load_config(None, [*overrides, f"sample.rows_per_task={rows_per_task}", "execute.max_workers=2"])
        source = run.problems(Split.TRAIN)
        for start in range(0, number, 1000):
            source.write((replace(one, id=str(i)) for i in range(start, min(number, start + 1000))), f"{start:08d}")
        source.finish({"rows": number, "fingerprint": ""})
        groups, rankings = run.groups(1), run.rankings(1)

        def stages() -> int:
            tally = sample_and_execute(config, source, groups, "scripted", 1, "scale", rankings)
            evaluation_of(groups, "scripted", None, [1])
            return min(tally.rows, rank_groups(config, groups, rankings, "rank").rows)

        started = time.time()
        with connected(config):
            assert stages() == number
            ended = time.time()
            assert stages() == number
            resumed_s = time.time() - ended
        last_row = max(part.stat().st_mtime for part in Path(groups.uri).glob("part-*"))
    figures = {
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "seconds": ended - started,
        "after_last_row_s": ended - last_row,
        "resumed_s": resumed_s,
        "problems": number,
    }
    print(json.dumps({name: round(value, 1) for name, value in figures.items()}))


if __name__ == "__main__":
    main()

"""The driver's memory at 100,000 problems against 10,000, with a scripted student.

    python -m benchmarks.sampling.scale [--json] [--small N] [--large N] [--rows-per-task N]

Each size runs in a driver process of its own, through sampling, execution, publication and reading back at the end;
the largest resident set of that process is compared. It grows with the number of tasks that Ray keeps track of, not
with the rows, so `sample.rows_per_task` decides.
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
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind
from rrtf_ray.store.rows import RowStore


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
    """Sample and execute `number` problems; prints this process's largest resident set and the seconds."""
    from rrtf_ray.cluster.connecting import connected
    from rrtf_ray.config_file import load_config
    from rrtf_ray.stages.produce import sample_and_execute

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
        config = load_config(None, [*overrides, f"sample.rows_per_task={rows_per_task}", "execute.max_workers=2"])
        source = RowStore(f"{folder}/problems", Problem, "id")
        for start in range(0, number, 1000):
            source.write((replace(one, id=str(i)) for i in range(start, min(number, start + 1000))), f"{start:08d}")
        source.finish({"rows": number, "fingerprint": ""})
        started = time.monotonic()
        with connected(config):
            tally = sample_and_execute(
                config, source, RowStore(str(Path(folder) / "groups"), _group(), "problem.id"), "scripted", 1, "scale"
            )
        elapsed_s = time.monotonic() - started
    assert tally.rows == number
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rss_mb": round(rss, 1), "seconds": round(elapsed_s, 1), "problems": number}))


def _group() -> type:
    from rrtf_ray.records import Group

    return Group


if __name__ == "__main__":
    main()

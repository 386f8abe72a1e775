"""100,000 programs through one sandbox: what do its processes hold at the end that they did not at the start?

    python -m benchmarks.executor.endurance [--json] [--number N] [--data DIR]

The programs are HumanEval's solutions, each made distinct by a comment; one in fifty exits early, or leaves files or a
thread behind. Resident memory (MiB) of this process and of the zygotes is read after a tenth of the programs and at the
end; descriptors, processes and temporary files before the start and after the end.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments
from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.problems import load
from rrtf_ray.records import Outcome
from rrtf_ray.sandbox import Limits, Sandbox

BATCH = 50
ODD = (
    "raise SystemExit(3)\n",
    "import os\nopen('left', 'w').write('x' * 1000)\nos.mkdir('folder')\n",
    "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n",
)


def main() -> None:
    args = arguments(__doc__, number=100_000, data="../shared/data")
    problems = [p for p in load("humaneval", f"{args.data}/problems/HumanEval.jsonl") if p.id != "HumanEval/32"]
    before = _held()
    started = time.monotonic()
    done, batch, early = 0, 0, None
    outcomes: dict[str, int] = {}
    with Sandbox(Limits()) as sandbox:
        while done < args.number:
            problem = problems[batch % len(problems)]
            right = reference_program(problem)
            programs = [f"{right}\n# {batch} {i}\n" for i in range(BATCH - 1)]
            programs.append(f"{right}\n# {batch}\n{ODD[batch % len(ODD)]}")
            for verdict in run_problem(sandbox, problem, programs, calibrate=False):
                outcomes[verdict.outcome] = outcomes.get(verdict.outcome, 0) + 1
            done += len(programs)
            batch += 1
            if early is None and done >= args.number / 10:
                early = _memory()
        late, num_processes = _memory(), len(_tree())
    assert early is not None
    after = _held()
    elapsed_s = time.monotonic() - started
    found = {
        "programs": done,
        "programs_per_s": round(done / elapsed_s, 1),
        "outcomes": outcomes,
        "memory_mb_at_a_tenth": early,
        "memory_mb_at_the_end": late,
        "processes_during": num_processes,
        "held_before": before,
        "held_after": after,
        "leaked": {name: after[name] - before[name] for name in before},
        "sandbox_errors": outcomes.get(Outcome.SANDBOX_ERROR, 0),
    }
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<24}{value}")


def _tree() -> list[int]:
    """This process and all its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = [os.getpid()]
    for pid in found:  # grows in the loop
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _memory() -> dict[str, float]:
    """MiB of this process, and of its descendants together."""

    def resident(pid: int) -> float:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    own, *others = [resident(pid) for pid in _tree()]
    return {"supervisor": round(own, 1), "zygotes": round(sum(others), 1)}


def _held() -> dict[str, Any]:
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "processes": len(_tree()),
        "temporary files": len(os.listdir(tempfile.gettempdir())) + len(os.listdir("/dev/shm")),
    }


if __name__ == "__main__":
    main()

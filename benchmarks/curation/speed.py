"""Problems per second of `rrtf problems dedup` as users start it, from a data set to its clean copy, and the most
memory that it took. The problems are generated, an eighth of them originals (benchmarks.curation.labelled)."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.curation.labelled import stream
from rrtf_ray.problems import write_problems

GOALS = {"dedup_rows_per_s": "1,000,000 problems in minutes, memory under 4 GiB"}


def measure(problems: int = 100_000) -> dict[str, Any]:
    """Figures of one run on `problems` problems."""
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        source, output = Path(folder, "problems"), Path(folder, "clean")
        write_problems(stream(problems), str(source))
        command = [sys.executable, "-m", "rrtf_ray", "problems", "dedup", str(source), "--output", str(output)]
        began = time.perf_counter()
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
    found = json.loads(done.stdout)
    return {
        "dedup_rows_per_s": round(problems / seconds, 1),
        "dedup_problems": problems,
        "dedup_seconds": round(seconds, 1),
        "dedup_kept": found["kept"],
        "dedup_peak_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }

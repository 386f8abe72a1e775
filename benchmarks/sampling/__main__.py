"""Tokens per second of the sample stage against plain `vllm.LLM.generate`: same model, prompts and parameters.

    python -m benchmarks.sampling [--json] [--model DIR] [--problems N] [--pairs N]

Each side is a process of its own, and they take turns. The stage is timed from when its engine is ready to the last row
on disk: Parquet in, Ray Data, engine, extraction, Parquet out.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments, in_turn, report

DRAWS = [{"n": 8, "temperature": 0.8, "top_p": 0.95}]
MAX_TOKENS = 160


class Side:
    """A process that answers each line with the tokens and seconds of one pass."""

    def __init__(self, name: str, *options: str) -> None:
        command = [sys.executable, "-m", "benchmarks.sampling.side", name, *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tokens = 0
        self._answer()

    def _answer(self) -> list[str]:
        assert self._process.stdout
        while line := self._process.stdout.readline():
            if line.startswith("answer "):
                return line.split()[1:]
        raise SystemExit("a side of the benchmark ended; its output is above")

    def measure(self) -> float:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        tokens, seconds = self._answer()
        self.tokens = int(tokens)
        return int(tokens) / float(seconds)

    def close(self) -> None:
        self._process.communicate("", timeout=60)


def main() -> None:
    args = arguments(__doc__, model="", problems=600, pairs=3)
    with tempfile.TemporaryDirectory() as folder:
        model = args.model or _student(Path(folder) / "student")
        options = (model, str(args.problems))
        plain, stage = Side("plain", *options), Side("stage", *options)
        try:
            for side in (plain, stage):
                side.measure()  # warm up
            pairs = in_turn(args.pairs, stage.measure, plain.measure)
        finally:
            plain.close()
            stage.close()
    details: dict[str, Any] = {
        "stage_tokens_per_s": [round(s) for s, _ in pairs],
        "vllm_tokens_per_s": [round(p) for _, p in pairs],
        "tokens": {"stage": stage.tokens, "vllm": plain.tokens},
    }
    report(args.json, "vs_vllm", [s / p for s, p in pairs], ">= 0.95", details)


def _student(folder: Path) -> str:
    from rrtf_ray.quickstart import make_student

    started = time.monotonic()
    make_student(folder, seed=0)
    print(f"made a student in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return str(folder)


if __name__ == "__main__":
    main()

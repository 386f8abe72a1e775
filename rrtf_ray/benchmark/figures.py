"""What the rows of a draw come to, and the whole of `benchmark.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from rrtf_ray.benchmark.directory import Directory
from rrtf_ray.benchmark.problem_set import ProblemSet
from rrtf_ray.benchmark.protocols import BenchmarkDraw, Protocol
from rrtf_ray.benchmark.suites import Suite, published
from rrtf_ray.verify.rows import Tally


@dataclass(slots=True)
class DrawFigures:
    """The counts of one draw. truncated: responses cut off within their answer; None where nobody knows."""

    draw: BenchmarkDraw
    tally: Tally
    truncated: int | None = None

    def add(self, problem_id: str, row: Mapping[str, Any], *, truncated: bool) -> None:
        self.tally.add(problem_id, row)
        self.truncated = (self.truncated or 0) + truncated

    def as_dict(self, directory: Directory) -> dict[str, Any]:
        estimates, left_out = self.tally.pass_at_k(self.draw.k)
        return {
            "name": self.draw.name,
            "temperature": self.draw.temperature,
            "top_p": self.draw.top_p,
            "n": self.draw.n,
            "samples": directory.samples(self.draw.name),
            "results": directory.results(self.draw.name),
            "pass_at_k": {str(k): estimate.as_dict() for k, estimate in estimates.items()},
            "left_out": left_out,
            "outcomes": {outcome.value: count for outcome, count in self.tally.outcomes.most_common()},
            "num_errors": self.tally.num_errors,
            "num_truncated": self.truncated,
        }


def result_of(
    model: str,
    suite: Suite,
    protocol: Protocol,
    problems: ProblemSet,
    draws: Sequence[DrawFigures],
    directory: Directory,
) -> dict[str, Any]:
    """`benchmark.json`."""
    manifest = directory.problems.manifest()
    printed = published(suite, protocol, manifest["rows"])
    return {
        "kind": "benchmark",
        "model": model,
        "suite": suite.name,
        "protocol": protocol.model_dump(mode="json"),
        "protocol_hash": protocol.hash,
        "problems": problems.source,
        "format": problems.format,
        "limit": problems.limit,
        "data_sha256": manifest["sha256"],
        "num_problems": manifest["rows"],
        "version": metadata.version("rrtf-ray"),
        "draws": [draw.as_dict(directory) for draw in draws],
        **({"published": printed} if printed else {}),
    }

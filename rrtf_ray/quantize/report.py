"""What `rrtf quantize` found: a table for a person, plain values for a program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from rrtf_ray.core.metrics import Estimate
from rrtf_ray.progress import console, say
from rrtf_ray.quantize.decode_speed import Speed


@dataclass(frozen=True, slots=True)
class Comparison:
    """pass@1 of both on the same problems. difference: int8 minus original, paired. same_text: problems whose first
    responses are identical."""

    original: Estimate
    int8: Estimate
    difference: Estimate
    problems: int
    same_text: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {
            "original": self.original.as_dict(),
            "int8": self.int8.as_dict(),
            "difference": self.difference.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class QuantizeReport:
    """original_bytes, int8_bytes: of the weight files. pass_at_1: None unless it was asked for."""

    output: str
    parameters: int
    quantized_parameters: int
    quantized_layers: int
    original_bytes: int
    int8_bytes: int
    speeds: list[Speed]
    pass_at_1: Comparison | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"pass_at_1": self.pass_at_1.as_dict() if self.pass_at_1 else None}

    def show(self) -> None:
        """Print the table, and what to do next."""
        console.print(self._table())
        share = self.quantized_parameters / self.parameters
        say(f"{self.quantized_layers} layers with {share:.0%} of the {self.parameters / 1e6:.1f}M parameters are int8")
        if self.pass_at_1:
            same, problems = self.pass_at_1.same_text, self.pass_at_1.problems
            say(f"the first response is identical for {same} of {problems} problems")
        say(f"written to {self.output}; serve it with `rrtf serve --model`, or roll it out with `rrtf rollout --model`")

    def _table(self) -> Table:
        table = Table("", "original", "int8", "int8 / original", title="Before and after")
        sizes = [f"{size / 2**20:.1f} MiB" for size in (self.original_bytes, self.int8_bytes)]
        table.add_row("weights", *sizes, f"{self.int8_bytes / self.original_bytes:.2f}")
        for s in self.speeds:
            table.add_row(
                f"ms/token, {s.requests} at a time",
                f"{s.first_ms:.2f}",
                f"{s.second_ms:.2f}",
                f"{s.ratio:.2f} ({s.ratio_min:.2f} to {s.ratio_max:.2f})",
            )
        if found := self.pass_at_1:
            table.add_row(
                "pass@1",
                f"{found.original.value:.1%}",  # the lines of the evaluations have their intervals
                f"{found.int8.value:.1%}",
                f"{found.difference.value:+.1%} [{found.difference.low:.1%}, {found.difference.high:.1%}]",
            )
        return table

"""From executed groups to an Evaluation: pass@k per draw, with what was left out always shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rrtf_ray.config import Draw
from rrtf_ray.core.metrics import Estimate, mean_pass_at_k
from rrtf_ray.records import Outcome


def draw_name(temperature: float | None) -> str:
    """`greedy`, or the temperature: `T=0.2`; `students` where candidates were not sampled in draws."""
    if temperature is None:
        return "students"
    return f"T={temperature:g}" if temperature else "greedy"


def draw_names(draws: Iterable[tuple[float | None, float | None]]) -> list[str]:
    """A name for each (temperature, top_p); of equal ones the later has its top_p too, and a number if need be."""
    names: list[str] = []
    for temperature, top_p in draws:
        name = draw_name(temperature)
        if name in names and top_p is not None:
            name = f"{name}, top_p={top_p:g}"
        again = sum(other == name or other.startswith(f"{name} #") for other in names)
        names.append(f"{name} #{again + 1}" if again else name)
    return names


@dataclass(frozen=True, slots=True)
class DrawResult:
    """pass@k of one draw. per_problem: share of passing candidates by problem id, for paired comparisons."""

    temperature: float | None
    top_p: float | None
    num_problems: int
    num_candidates: int
    num_errors: int
    pass_at_k: dict[int, Estimate]
    per_problem: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model is worth on a set of problems.

    num_errors: candidates that the machinery failed on. num_unsampled: problems that the engine could not sample.
    Neither is in pass@k, so both are always shown.
    """

    model: str
    num_problems: int
    outcomes: dict[str, int]
    num_errors: int
    num_unsampled: int
    draws: tuple[DrawResult, ...]

    @property
    def draw_names(self) -> list[str]:
        """See the function; one for each draw."""
        return draw_names((draw.temperature, draw.top_p) for draw in self.draws)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        plain = asdict(self)
        for draw, result in zip(plain["draws"], self.draws, strict=True):
            draw["pass_at_k"] = {str(k): e.as_dict() for k, e in result.pass_at_k.items()}
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Evaluation:
        """What `as_dict` gave. Raises KeyError or TypeError where it is something else."""
        draws = tuple(
            DrawResult(**draw | {"pass_at_k": {int(k): Estimate(**e) for k, e in draw["pass_at_k"].items()}})
            for draw in plain["draws"]
        )
        return cls(**{**plain, "draws": draws})


@dataclass(frozen=True, slots=True)
class Judged:
    """A group as evaluation needs it. outcomes: of the students' candidates in the order they were sampled, None for
    one without a verdict. unsampled: the engine could not sample all that was asked for."""

    problem_id: str
    outcomes: tuple[Outcome | None, ...]
    unsampled: bool = False


def evaluate_groups(
    groups: Iterable[Judged], model: str, draws: Sequence[Draw] | None, ks: Sequence[int]
) -> Evaluation:
    """Count the students' verdicts. draws: as sampled, in order; None takes all of them as one draw.

    A problem of which no candidate could be judged is left out of that draw (see num_errors and num_problems).
    """
    wanted: list[Draw | None] = list(draws) if draws else [None]
    outcomes: Counter[str] = Counter()
    counts: list[dict[str, tuple[int, int]]] = [{} for _ in wanted]
    candidates, errors = [0] * len(counts), [0] * len(counts)
    num_problems, unsampled = 0, 0
    for group in groups:
        num_problems += 1
        unsampled += group.unsampled
        start = 0
        for index, draw in enumerate(wanted):
            part = group.outcomes[start : start + draw.n] if draw else group.outcomes
            start += len(part)
            found = [outcome for outcome in part if outcome is not None]
            outcomes.update(o.value for o in found)
            judged = [o for o in found if o is not Outcome.SANDBOX_ERROR]
            candidates[index] += len(found)
            errors[index] += len(found) - len(judged)
            if judged:
                counts[index][group.problem_id] = (len(judged), sum(o is Outcome.PASSED for o in judged))
    results = tuple(
        DrawResult(
            temperature=draw.temperature if draw else None,
            top_p=draw.top_p if draw else None,
            num_problems=len(counts[i]),
            num_candidates=candidates[i],
            num_errors=errors[i],
            pass_at_k=_estimates(list(counts[i].values()), ks),
            per_problem={id_: passed / n for id_, (n, passed) in counts[i].items()},
        )
        for i, draw in enumerate(wanted)
    )
    return Evaluation(model, num_problems, dict(outcomes), sum(errors), unsampled, results)


def _estimates(counts: list[tuple[int, int]], ks: Sequence[int]) -> dict[int, Estimate]:
    """pass@1 and pass@k over the problems that have at least k judged candidates."""
    found = {}
    for k in sorted({1, *ks}):
        enough = [(n, passed) for n, passed in counts if n >= k]
        if enough:
            found[k] = mean_pass_at_k(enough, k)
    return found

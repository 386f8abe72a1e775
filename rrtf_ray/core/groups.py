"""From what a sampler wrote to a Group: extraction, teachers and ids.

In: a problem and the drafts of its students. Out: a Group without verdicts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rrtf_ray.core.extraction import extract
from rrtf_ray.records import Candidate, Group, Problem, Sampling, Source


@dataclass(frozen=True, slots=True)
class Draft:
    """A response as a sampler returns it, before extraction."""

    response: str
    finish_reason: str
    num_tokens: int = 0
    sampling: Sampling | None = None


def stable_seed(*parts: object) -> int:
    """A seed in [0, 2**31) that depends on nothing but the parts (not on the process, order or machine)."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def build_group(
    problem: Problem,
    drafts: Sequence[Draft],
    *,
    model: str,
    teacher: str = "none",
    teacher_fraction: float = 1.0,
    seed: int = 0,
    error: str = "",
) -> Group:
    """Students s0, s1, ... in the order of the drafts, then teachers t0, t1, ...

    teacher: `reference`, `responses`, `both` or `none`. teacher_fraction: share of problems, chosen by seed and
    problem id, that have their teachers' responses.
    """
    candidates = [_candidate(f"s{i}", Source.STUDENT, model, problem, d.response, d) for i, d in enumerate(drafts)]
    chosen = stable_seed(seed, "teacher", problem.id) < teacher_fraction * 2**31
    texts = []
    if chosen and teacher in ("reference", "both") and problem.reference:
        texts.append(("reference", problem.reference))
    if chosen and teacher in ("responses", "both"):
        texts += [("teacher", text) for text in problem.teacher_responses]
    for i, (name, text) in enumerate(texts):
        candidates.append(_candidate(f"t{i}", Source.TEACHER, name, problem, text, Draft(text, "given")))
    if not candidates and not error:
        error = "no candidates: nothing was sampled and the problem has no teacher response"
    return Group(problem=problem, candidates=tuple(candidates), error=error)


def _candidate(id_: str, source: Source, model: str, problem: Problem, text: str, draft: Draft) -> Candidate:
    found = extract(text, problem.prompt, problem.entry_point, problem.kind, problem.setup)
    return Candidate(
        id=id_,
        source=source,
        model=model,
        response=text,
        completion=found.completion,
        program=found.program,
        finish_reason=draft.finish_reason,
        num_tokens=draft.num_tokens,
        sampling=draft.sampling,
    )

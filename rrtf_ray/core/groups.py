"""From a sampler's drafts to a Group: extraction, teachers and ids.

In: a problem and its drafts. Out: a Group without verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rrtf_ray.core.extraction import extract_for
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Candidate, Group, Problem, Sampling, Source


@dataclass(frozen=True, slots=True)
class Draft:
    """A response as a sampler returns it, before extraction. preference: people's, in [-1, 1], 0 if none. logprob: see
    Candidate."""

    response: str
    finish_reason: str
    num_tokens: int = 0
    logprob: float | None = None
    sampling: Sampling | None = None
    source: Source = Source.STUDENT
    preference: float = 0.0


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
    """Students s0, s1, ..., then teachers t0, t1, ..., then humans h0, h1, ..., each in the order given.

    teacher: which of the problem's own responses join the drafts' teachers (`reference`; `responses`: the data set's
    and the answers of the run's teachers; `both`, `none`). teacher_fraction: see `has_teacher`.
    """
    given = [(model, draft) for draft in drafts]
    chosen = has_teacher(problem.id, teacher_fraction, seed)
    if chosen and teacher in ("reference", "both") and problem.reference:
        given.append(("reference", Draft(problem.reference, "given", source=Source.TEACHER)))
    if chosen and teacher in ("responses", "both"):
        given += [("dataset", Draft(text, "given", source=Source.TEACHER)) for text in problem.teacher_responses]
        given += [
            (answer.model, Draft(answer.text, answer.finish_reason, source=Source.TEACHER))
            for answer in problem.answers
            if answer.fault is None
        ]
    candidates = [
        candidate_of(f"{source.value[0]}{i}", name, problem, draft)
        for source in Source
        for i, (name, draft) in enumerate((n, d) for n, d in given if d.source is source)
    ]
    if not candidates and not error:
        error = "no candidates: nothing was sampled and the problem has no teacher response"
    return Group(problem=problem, candidates=tuple(candidates), error=error)


def has_teacher(problem_id: str, fraction: float, seed: int) -> bool:
    """Whether a problem is among the share of them whose teachers are used, chosen by seed and problem id."""
    return stable_seed(seed, "teacher", problem_id) < fraction * 2**31


def candidate_of(id_: str, model: str, problem: Problem, draft: Draft, repairs: str = "") -> Candidate:
    """A candidate without verdict. repairs: the id of the candidate that it repairs."""
    found = extract_for(problem, draft.response)
    return Candidate(
        id=id_,
        source=draft.source,
        model=model,
        response=draft.response,
        completion=found.completion,
        program=found.program,
        finish_reason=draft.finish_reason,
        num_tokens=draft.num_tokens,
        logprob=draft.logprob,
        sampling=draft.sampling,
        preference=draft.preference,
        repairs=repairs,
    )

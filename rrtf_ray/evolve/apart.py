"""Near copies among problems: of held-out ones, of seeds, and of each other. Pure.

Two problems are near copies if their statements share most of their text, or if their solutions are the same program up
to names, types and layout. Numbers do not set two problems apart here: a new one that differs from a held-out one in a
limit only would still teach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rrtf_ray.core.contamination import CloseTexts
from rrtf_ray.core.words import words_of
from rrtf_ray.evolve.reading import nameless, prose_of
from rrtf_ray.evolve.records import Rejected, Rejection, Seed
from rrtf_ray.execution import reference_program
from rrtf_ray.records import Language, Problem


@dataclass(frozen=True, slots=True)
class Known:
    """What is compared of a problem. words: of its statement. solution: its normal form; empty for none in Python."""

    id: str
    words: list[str]
    solution: str


def known_problem(problem: Problem) -> Known:
    program = reference_program(problem) if problem.language is Language.PYTHON else ""
    return Known(problem.id, words_of(prose_of(problem.prompt)), nameless(program) if program else "")


def known_seed(seed: Seed) -> Known:
    in_python = seed.reference and seed.language is Language.PYTHON
    return Known(seed.id, words_of(prose_of(seed.statement)), nameless(seed.reference) if in_python else "")


def copies(
    new: Sequence[Known],
    held_out: Sequence[Known],
    others: Sequence[Known],
    max_held_out_similarity: float,
    max_similarity: float,
) -> dict[str, Rejected]:
    """The new problems that are near copies, by id. Of two new ones the first stays."""
    found = _near(new, held_out, max_held_out_similarity, Rejection.COPY_OF_HELD_OUT)
    found = _near(new, others, max_similarity, Rejection.COPY_OF_ANOTHER) | found
    texts = _texts(new, max_similarity)
    near = {one.id: dict(texts.close_to(one.words)) for one in new}
    kept: set[str] = set()
    solutions: dict[str, str] = {}
    for one in new:
        if one.id in found:
            continue
        if same := solutions.get(one.solution):
            found[one.id] = Rejected(Rejection.COPY_OF_ANOTHER, f"its solution is that of {same!r}")
        elif earlier := sorted(kept & near[one.id].keys()):
            found[one.id] = Rejected(
                Rejection.COPY_OF_ANOTHER, f"similarity {near[one.id][earlier[0]]:.2f} to {earlier[0]!r}"
            )
        else:
            kept.add(one.id)
            if one.solution:
                solutions[one.solution] = one.id
    return found


def _near(
    new: Sequence[Known], known: Sequence[Known], max_similarity: float, reason: Rejection
) -> dict[str, Rejected]:
    found: dict[str, Rejected] = {}
    solutions = {one.solution: one.id for one in known if one.solution}
    for one in new:
        if one.solution in solutions:
            found[one.id] = Rejected(reason, f"its solution is that of {solutions[one.solution]!r}")
    texts = _texts(known, max_similarity)
    for one in new:
        for other, similarity in texts.close_to(one.words)[:1]:
            found.setdefault(one.id, Rejected(reason, f"similarity {similarity:.2f} to {other!r}"))
    return found


def _texts(known: Sequence[Known], max_similarity: float) -> CloseTexts:
    return CloseTexts(((one.id, one.words) for one in known), max_similarity, same_numbers=False)

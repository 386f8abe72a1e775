"""The student's pre-training corpus: functions as people write them, mistakes included.

Every operation has a rate at which its authors get it wrong. The seed decides which operations are mostly misread and
which rarely are. That, and not the length of training, decides how often the student is right: it learns the
operations at the corpus's odds, so its samples for one problem contain right and wrong programs.

Some documents are in StarCoder's fill-in-the-middle form, so the served model can complete inside a function.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rrtf_ray.quickstart.compositions import Composition, Share, draw_compositions
from rrtf_ray.quickstart.operations import OPERATIONS
from rrtf_ray.quickstart.problems import draw_solvable, example_of

FIM_RATE = 0.15
MISREAD_RATE = 0.66
SLIP_RATE = 0.10
MAIN_BUG_SHARE = 0.85
"""Of an operation's mistakes, the share of the most common one; the others share the rest."""
UNTOUCHED_SHARE = 0.36
"""Share of problems without a misread operation: what a perfect imitator solves greedily."""


@dataclass(frozen=True, slots=True)
class Document:
    """One training text.

    given: what the student sees and does not learn to write: a prompt, or the text before a gap.
    written: what it learns to write; an end-of-text token follows.
    suffix: the text after the gap, seen but not learned either; None for a plain document.
    """

    given: str
    written: str
    suffix: str | None = None


def bug_rates(seed: int) -> dict[str, float]:
    """The rate of mistakes of every operation.

    Operations are declared misread in random order, each only if `UNTOUCHED_SHARE` of the problems stay free of misread
    ones: the share of problems that the student solves then hardly depends on the seed.
    """
    problems = [{step.name for step in c.steps} for c, _ in draw_solvable(Share.TRAIN, 400, seed)]
    order = list(OPERATIONS)
    random.Random(f"bug rates/{seed}").shuffle(order)
    misread: set[str] = set()
    for name in order:
        untouched = sum(not names & (misread | {name}) for names in problems)
        if untouched >= UNTOUCHED_SHARE * len(problems):
            misread.add(name)
    return {name: MISREAD_RATE if name in misread else SLIP_RATE for name in OPERATIONS}


def draw_documents(seed: int) -> Iterator[Document]:
    """Endless documents, none of whose compositions is in a problem."""
    rng = random.Random(f"corpus/{seed}")
    rates = bug_rates(seed)
    for composition in draw_compositions(Share.CORPUS, rng):
        prompt = composition.prompt(example_of(composition, rng))
        body = _written_body(composition, rates, rng)
        yield _with_gap(prompt, body, rng) if rng.random() < FIM_RATE else Document(prompt, body)


def _written_body(composition: Composition, rates: Mapping[str, float], rng: random.Random) -> str:
    """The body as an author with these rates of mistakes writes it."""
    expressions = composition.expressions()
    for index, step in enumerate(composition.steps):
        if rng.random() < rates[step.name]:
            bugs = composition.wrong_expressions(index)
            main = len(bugs) == 1 or rng.random() < MAIN_BUG_SHARE
            expressions[index] = bugs[0] if main else rng.choice(bugs[1:])
    return composition.body(expressions)


def _with_gap(prompt: str, body: str, rng: random.Random) -> Document:
    """A gap in the body: whole lines in half of the documents, any characters in the others."""
    if rng.random() < 0.5:
        ends = [0, *(i + 1 for i, character in enumerate(body) if character == "\n")]
    else:
        ends = list(range(len(body) + 1))
    start, stop = sorted(rng.sample(ends, 2))
    return Document(prompt + body[:start], body[start:stop], suffix=body[stop:])

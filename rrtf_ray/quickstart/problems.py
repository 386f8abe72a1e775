"""Generate small Python problems in HumanEval's form: the demo needs no data and no network.

Output: train and held-out problems with signature, docstring, reference and a `check(candidate)` of seven asserts,
whose values come from running the reference. A composition becomes a problem only if the asserts tell the right program
from every program with one step wrong or left out: a test that a common mistake passes would teach the student that
mistake.

Limits: integer lists only, no imports, no loops; the default set is made in about a second.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache

from rrtf_ray.errors import InputError
from rrtf_ray.quickstart.compositions import Composition, Share, draw_compositions
from rrtf_ray.records import Problem, ProblemKind, Split, Test, TestKind

NUM_ASSERTS = 7
EXAMPLE_RATE = 0.5
_NUM_INPUTS = 24
_MAX_DRAWS_PER_PROBLEM = 200

Numbers = tuple[int, ...]
_RAISED = object()
"""The value of a program that raised."""


def generate_problems(
    num_train: int = 1200,
    num_held_out: int = 300,
    seed: int = 0,
    wrong_references: float = 0.0,
    asserts: int = NUM_ASSERTS,
) -> tuple[list[Problem], list[Problem]]:
    """Train and held-out problems without a common composition; the same for the same arguments.

    wrong_references: share of the train problems (chosen by seed) whose reference has a mistake that their tests do
    not see. asserts: of a train problem; fewer than seven let wrong programs pass.
    """
    train = draw_solvable(Share.TRAIN, num_train, seed)
    held_out = draw_solvable(Share.HELD_OUT, num_held_out, seed)
    assert not {c for c, _ in train} & {c for c, _ in held_out}
    return (
        [_problem(c, inputs, Split.TRAIN, i, seed, wrong_references, asserts) for i, (c, inputs) in enumerate(train)],
        [_problem(c, inputs, Split.HELD_OUT, i, seed) for i, (c, inputs) in enumerate(held_out)],
    )


def draw_solvable(share: Share, num: int, seed: int) -> list[tuple[Composition, list[Numbers]]]:
    """`num` distinct compositions of a share, each with inputs that expose all of its wrong versions."""
    rng = random.Random(f"problems/{share}/{seed}")
    found: dict[Composition, list[Numbers]] = {}
    draws = 0
    for composition in draw_compositions(share, rng):
        if len(found) == num:
            break
        draws += 1
        if draws > _MAX_DRAWS_PER_PROBLEM * max(num, 10):
            raise InputError(f"only {len(found)} of {num} distinct {share} problems were found; ask for fewer problems")
        if composition in found:
            continue
        inputs = _telling_inputs(composition, rng)
        if inputs is not None:
            found[composition] = inputs
    return list(found.items())


def example_of(composition: Composition, rng: random.Random) -> str:
    """A `>>>` line on a short list and its value; empty for some of the compositions."""
    if rng.random() >= EXAMPLE_RATE:
        return ""
    numbers = tuple(rng.randint(-5, 9) for _ in range(rng.randint(3, 5)))
    value = _run(composition.expressions(), numbers)
    return f">>> {composition.function_name}({list(numbers)})\n{value!r}"


def _problem(
    composition: Composition,
    inputs: Sequence[Numbers],
    split: Split,
    index: int,
    seed: int,
    wrong: float = 0.0,
    asserts: int = NUM_ASSERTS,
) -> Problem:
    """wrong: how probably the reference has a mistake that the tests do not see. asserts: how many, drawn by seed."""
    expressions = composition.expressions()
    reference = expressions
    rng = random.Random(f"wrong/{split}/{seed}/{index}")
    if rng.random() < wrong:
        reference, inputs = _unseen_mistake(composition, rng) or (reference, inputs)
    kept = sorted(random.Random(f"asserts/{split}/{seed}/{index}").sample(range(len(inputs)), asserts))
    lines = "".join(f"    assert candidate({list(inputs[i])}) == {_run(expressions, inputs[i])!r}\n" for i in kept)
    example = example_of(composition, random.Random(f"example/{split}/{seed}/{index}"))
    return Problem(
        id=f"demo/{split}/{index:04d}",
        prompt=composition.prompt(example),
        kind=ProblemKind.FUNCTION,
        entry_point=composition.function_name,
        tests=(Test(TestKind.CHECK, f"def check(candidate):\n{lines}"),),
        reference=composition.body(reference),
        split=split,
    )


def _telling_inputs(composition: Composition, rng: random.Random) -> list[Numbers] | None:
    """Inputs that expose every wrong version, or None if some version cannot be exposed."""
    expressions = composition.expressions()
    pool = [(), *(_random_numbers(composition, rng) for _ in range(_NUM_INPUTS))]
    wanted = [_run(expressions, numbers) for numbers in pool]
    exposed_by: list[set[int]] = [set() for _ in pool]
    versions = _wrong_versions(composition)
    for version, wrong in enumerate(versions):
        for i, numbers in enumerate(pool):
            if _run(wrong, numbers) != wanted[i]:
                exposed_by[i].add(version)
    chosen = [0]  # the empty list always
    hidden = set(range(len(versions))) - exposed_by[0]
    while hidden and len(chosen) < NUM_ASSERTS:
        best = max(range(len(pool)), key=lambda i: len(exposed_by[i] & hidden))
        if not exposed_by[best] & hidden:
            return None
        chosen.append(best)
        hidden -= exposed_by[best]
    if hidden:
        return None
    rest = [i for i in range(len(pool)) if i not in chosen]
    return [pool[i] for i in (chosen + rest)[:NUM_ASSERTS]]


def _unseen_mistake(composition: Composition, rng: random.Random) -> tuple[list[str], list[Numbers]] | None:
    """A wrong version with the inputs on which it is right; None where every version is wrong too often."""
    right = composition.expressions()
    versions = _wrong_versions(composition)
    rng.shuffle(versions)
    for version in versions:
        pool = [_random_numbers(composition, rng) for _ in range(8 * _NUM_INPUTS)]
        agreeing = [numbers for numbers in pool if _run(version, numbers) == _run(right, numbers)]
        if NUM_ASSERTS <= len(agreeing) < len(pool):
            return version, agreeing[:NUM_ASSERTS]
    return None


def _wrong_versions(composition: Composition) -> list[list[str]]:
    """The expressions of every program with one step wrong, and with one list step left out."""
    right = composition.expressions()
    versions = []
    for index, step in enumerate(composition.steps):
        wrong = composition.wrong_expressions(index)
        if step.operation.returns == "list[int]":
            wrong.append("numbers")
        versions += [[*right[:index], expression, *right[index + 1 :]] for expression in wrong]
    return versions


def _random_numbers(composition: Composition, rng: random.Random) -> Numbers:
    """1 to 8 numbers with the edge cases that expose mistakes: zero, duplicates, a step's own constant."""
    numbers = [rng.randint(-12, 20) for _ in range(rng.choice((1, 2, 3, 4, 5, 6, 7, 8)))]
    edges = [0, rng.choice(numbers), -rng.choice(numbers)]
    for step in composition.steps:
        edges += [step.constant, step.constant * rng.randint(-3, 4), step.constant + 1]
    for position in range(len(numbers)):
        if rng.random() < 0.4:
            numbers[position] = rng.choice(edges)
    return tuple(numbers)


def _run(expressions: Sequence[str], numbers: Numbers) -> object:
    """The value of a chain of expressions; a wrong one may raise, on an empty list for example."""
    value: object = list(numbers)
    try:
        for expression in expressions:
            value = _compiled(expression)(value)
    except (IndexError, ValueError, ZeroDivisionError):
        return _RAISED
    return value


@cache
def _compiled(expression: str) -> Callable[[object], object]:
    """There are a few hundred expressions, all from our own table, so each is compiled only once."""
    return eval(f"lambda numbers: {expression}")

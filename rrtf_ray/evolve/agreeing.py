"""What the values of independent solutions decide: the expected value of each input, and who agrees.

In: for each solution, the value of every input. Out: inputs with a value that most solutions give, those left out and
why, and the solutions that give all of these values. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rrtf_ray.behaviour.telling import same
from rrtf_ray.evolve.records import Dissent
from rrtf_ray.sandbox import Value, ValueOutcome

_LONGEST = 20_000
"""Characters of an expected value."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """kept: numbers of the inputs that have an expected value. expected: their literals. agreeing: numbers of the
    solutions that give all of them; none if an input is disputed. dissent: inputs on which solutions differ. left_out:
    why inputs have no value."""

    kept: tuple[int, ...]
    expected: tuple[str, ...]
    agreeing: tuple[int, ...]
    dissent: tuple[Dissent, ...]
    left_out: tuple[str, ...]


def agreement(given: Sequence[str], values: Sequence[Sequence[Value]]) -> Agreement:
    """given: the inputs as text. values: of each solution, one for every input.

    An input's value is what more than half of the solutions return. One where most raise, or return no literal, has
    none and is left out: it may not be allowed. One where solutions return several values and none has a majority is
    disputed: the statement does not say enough, or most are wrong.
    """
    disputed = False
    kept, expected, left_out = [], [], []
    dissent: list[Dissent] = []
    for number, text in enumerate(given):
        of_input = [of_solution[number] for of_solution in values]
        clusters = _clusters(of_input)
        first = of_input[clusters[0][0]]
        others = tuple(_shown(of_input[cluster[0]]) for cluster in clusters[1:])
        most = 2 * len(clusters[0]) > len(values)
        if others:
            dissent.append(Dissent(text, _shown(first) if most else "", others))
        if not most:
            disputed |= sum(of_input[cluster[0]].outcome is ValueOutcome.RETURNED for cluster in clusters) > 1
            left_out.append(f"{text}: no value has a majority")
        elif first.outcome is not ValueOutcome.RETURNED:
            left_out.append(f"{text}: {_shown(first)}")
        elif "nan" in first.literal or len(first.literal) > _LONGEST:  # equals nothing; or a test without end
            left_out.append(f"{text}: a value that cannot be compared")
        else:
            kept.append(number)
            expected.append(first.literal)
    agreeing = [
        solution
        for solution, of_solution in enumerate(values)
        if not disputed
        and all(same(of_solution[n], Value(ValueOutcome.RETURNED, e)) for n, e in zip(kept, expected, strict=True))
    ]
    return Agreement(tuple(kept), tuple(expected), tuple(agreeing), tuple(dissent), tuple(left_out))


def _clusters(values: Sequence[Value]) -> list[list[int]]:
    """Numbers of the values that are the same, the largest group first."""
    found: list[list[int]] = []
    for number, value in enumerate(values):
        place = next((cluster for cluster in found if same(values[cluster[0]], value)), None)
        if place is None:
            found.append([number])
        else:
            place.append(number)
    return sorted(found, key=len, reverse=True)


def _shown(value: Value) -> str:
    text = value.literal or f"{value.outcome.value} {value.detail}".strip()
    return text if len(text) <= 200 else f"{text[:200]} ..."

"""The five operations of Evol-Instruct for code (Luo and others, WizardCoder, 2023), in words of our own."""

from __future__ import annotations

import random
from collections.abc import Sequence

from rrtf_ray.evolve.records import Operation

WORDS = {
    Operation.CONSTRAINT: "It asks for the same kind of thing, and for one thing more: a rule of about ten words that "
    "changes which value is right for many inputs.",
    Operation.RARER: "One of its usual requirements is replaced by a less usual and more specific one, so that a "
    "programmer who knows the original by heart would get it wrong.",
    Operation.STEPS: "If a step or two of thinking solve the original, the new one takes several that build on each "
    "other, each of which changes the value.",
    Operation.MISLEAD: "It asks for something slightly different. Its description shows a short piece of code that "
    "looks like a solution and is wrong, says that it is wrong, and leaves it to the reader to find out why.",
    Operation.COMPLEXITY: "It can be solved in an obvious way, and asks for a way that takes clearly less time or "
    "memory on large inputs; it says which.",
}
"""What is said of the new problem."""
SHARES = dict.fromkeys(Operation, 1.0) | {Operation.COMPLEXITY: 0.5}
"""How often each is chosen, against the others. Complexity is rare: tests of values hardly see it."""


def chosen(operations: Sequence[Operation], seed: int) -> Operation:
    """One of them, by seed and share."""
    return random.Random(seed).choices(operations, [SHARES[operation] for operation in operations])[0]

"""Draw chains of operations and write each as a function: its docstring, its body, its wrong bodies.

A composition is two or three steps, of which only the last may be a fold. A hash of the content divides the space of
compositions into three shares (train, held out, and the student's pre-training corpus), so no two of them can ever
have a composition in common, whatever the seeds and counts.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from rrtf_ray.quickstart.operations import FOLDS, LIST_OPERATIONS, OPERATIONS, Operation

FUNCTION_NAMES = ("solve", "compute", "process", "transform", "evaluate", "convert")
INDENT = "    "


class Share(StrEnum):
    """The three parts of the space of compositions."""

    CORPUS = "corpus"
    """What the student is pre-trained on."""
    TRAIN = "train"
    """The problems that RRTF trains on."""
    HELD_OUT = "held_out"
    """The problems for evaluation."""


_SHARE_OF_HASH = (Share.CORPUS,) * 5 + (Share.TRAIN,) * 3 + (Share.HELD_OUT,) * 2


@dataclass(frozen=True, slots=True)
class Step:
    """An operation with its constant (0 if it has none)."""

    name: str
    constant: int = 0

    @property
    def operation(self) -> Operation:
        return OPERATIONS[self.name]

    def fill(self, template: str) -> str:
        """The phrase or code with the constant inserted."""
        k = self.constant
        return template.replace("{k}", str(k)).replace("{j}", str(k - 1)).replace("{l}", str(k + 1))


@dataclass(frozen=True, slots=True)
class Composition:
    """Two or three steps, in order. Two compositions have the same content iff they are equal."""

    steps: tuple[Step, ...]

    @property
    def returns(self) -> str:
        return self.steps[-1].operation.returns

    @property
    def description(self) -> str:
        """One English sentence, for example `Keep the even numbers, then return the sum.`"""
        phrases = [step.fill(step.operation.phrase) for step in self.steps]
        if self.steps[-1].name not in FOLDS:
            phrases.append("return the list")
        sentence = ", then ".join(phrases)
        return f"{sentence[0].upper()}{sentence[1:]}."

    @property
    def share(self) -> Share:
        return _SHARE_OF_HASH[zlib.crc32(self.description.encode()) % len(_SHARE_OF_HASH)]

    @property
    def function_name(self) -> str:
        """Reveals nothing of the content, and is the same wherever the composition is drawn."""
        return FUNCTION_NAMES[zlib.crc32(b"name:" + self.description.encode()) % len(FUNCTION_NAMES)]

    def expressions(self) -> list[str]:
        """The right expression of every step."""
        return [step.fill(step.operation.code) for step in self.steps]

    def wrong_expressions(self, index: int) -> list[str]:
        """The wrong expressions of step `index`, the most common one first."""
        step = self.steps[index]
        return [step.fill(bug) for bug in step.operation.bugs]

    def body(self, expressions: Sequence[str]) -> str:
        """The lines of the function below its docstring, indented, ending in a newline."""
        names = [step.name for step in self.steps]
        lines = [
            f"return {code}" if name in FOLDS else f"numbers = {code}"
            for name, code in zip(names, expressions, strict=True)
        ]
        if names[-1] not in FOLDS:
            lines.append("return numbers")
        return "".join(f"{INDENT}{line}\n" for line in lines)

    def prompt(self, example: str = "") -> str:
        """Signature and docstring, up to the body. example: a `>>>` line and its value."""
        signature = f"def {self.function_name}(numbers: list[int]) -> {self.returns}:\n"
        if not example:
            return f'{signature}{INDENT}"""{self.description}"""\n'
        lines = "".join(f"{INDENT}{line}\n" for line in example.splitlines())
        return f'{signature}{INDENT}"""{self.description}\n\n{lines}{INDENT}"""\n'


def draw_compositions(share: Share, rng: random.Random) -> Iterator[Composition]:
    """Endless compositions of one share; they may repeat."""
    while True:
        composition = _draw(rng)
        if composition.share is share:
            yield composition


def _draw(rng: random.Random) -> Composition:
    num_list_steps = rng.choice((1, 2, 2))
    names = [rng.choice(_LIST_NAMES) for _ in range(num_list_steps)]
    names.append(rng.choice(_FOLD_NAMES) if rng.random() < 0.7 else rng.choice(_LIST_NAMES))
    # The same operation twice in a row reads oddly and mostly equals one operation with another constant.
    if any(a == b for a, b in pairwise(names)):
        return _draw(rng)
    return Composition(tuple(Step(name, rng.choice(OPERATIONS[name].constants or (0,))) for name in names))


_LIST_NAMES = tuple(LIST_OPERATIONS)
_FOLD_NAMES = tuple(FOLDS)

"""What a teacher is asked, and what comes back: one protocol, whoever answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from rrtf_ray.records import Fault


@dataclass(frozen=True, slots=True)
class Question:
    """One request.

    user: the message of a chat. text: what a base model continues in its place.
    max_tokens: of the answer. seed: the same question with another seed may get another answer.
    """

    user: str
    text: str
    temperature: float
    top_p: float
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. fault: None where something did. detail: what went wrong, for a person."""

    text: str = ""
    finish_reason: str = ""
    num_tokens: int = 0
    fault: Fault | None = None
    detail: str = ""


class Teacher(Protocol):
    """Whoever answers questions."""

    async def ask(self, question: Question) -> Reply:
        """A reply, with a fault where there is no answer to this question.

        Raises StageError where the run must stop: no question can be answered, or a limit with `when_spent: stop`.
        """
        ...

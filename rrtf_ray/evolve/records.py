"""The rows of `rrtf evolve`, in the order in which they are made, and why a draft becomes no problem."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rrtf_ray.records import Fault, Language, Problem, ProblemKind, TeacherResponse


class Operation(StrEnum):
    """How a new problem differs from the one that it is made of (`evolve.operations` has the words)."""

    CONSTRAINT = "constraint"
    RARER = "rarer"
    STEPS = "steps"
    MISLEAD = "mislead"
    COMPLEXITY = "complexity"


class Rejection(StrEnum):
    """Why a draft becomes no problem: the first reason that was found."""

    REFUSED = "refused"
    """The teacher, or a filter before it, declined."""
    PROSE = "prose"
    """An answer without what was asked for: no block of code or statement in it, or one that cannot be read."""
    CUT_OFF = "cut_off"
    """An answer that ended at its limit of tokens."""
    OTHER_LANGUAGE = "other_language"
    """Code in another language than Python."""
    NOT_TAKEN = "not_taken"
    """The endpoint did not take the request: too long a prompt, say."""
    UNANSWERED = "unanswered"
    """No answer after all retries; asked again by the next start."""
    OUT_OF_BUDGET = "out_of_budget"
    """The teacher's limit was reached; asked again by the next start."""
    TOO_SHORT = "too_short"
    """A statement of a few words."""
    COPIED_REQUEST = "copied_request"
    """A statement with words of the request in it."""
    ANSWER_IN_STATEMENT = "answer_in_statement"
    """The statement has a solution."""
    COPY_OF_PARENT = "copy_of_parent"
    """Nearly the statement that it was made of, or the same solution."""
    COPY_OF_HELD_OUT = "copy_of_held_out"
    """Nearly a problem of `against`."""
    COPY_OF_ANOTHER = "copy_of_another"
    """Nearly a seed, or a problem that was accepted before it."""
    TOO_FEW_SOLUTIONS = "too_few_solutions"
    """Fewer programs than must agree."""
    REACHES_OUT = "reaches_out"
    """Solutions use the time, chance, the network, files, or modules that are not on the list."""
    SOLUTIONS_FAIL = "solutions_fail"
    """Solutions cannot be loaded, do not end, or use up their memory."""
    NO_INPUTS = "no_inputs"
    """The answer has no inputs that can be read."""
    TOO_FEW_INPUTS = "too_few_inputs"
    """Too few inputs on which most solutions agree."""
    NO_AGREEMENT = "no_agreement"
    """Too few solutions agree on the inputs."""
    EXAMPLE_FAILS = "example_fails"
    """An example in the statement contradicts the solutions."""
    PROPERTY_FAILS = "property_fails"
    """A property that the teacher named does not hold of the solutions' values."""
    SOLUTION_FAILS = "solution_fails"
    """A solution that agrees does not pass the tests."""
    FLAKY = "flaky"
    """Values or verdicts change: from run to run, with the order of sets, or with the order of tests."""
    WEAK = "weak"
    """The tests miss too many faults that are put into the solution, or never enter a block of it."""
    TRIVIAL_PASSES = "trivial_passes"
    """A program that solves nothing passes."""
    TOO_SLOW = "too_slow"
    """The solution takes more than half of the limit of time."""
    SANDBOX_ERROR = "sandbox_error"
    """The machinery failed, not the draft; judged again by the next start."""


ASKED_AGAIN = frozenset({Rejection.UNANSWERED, Rejection.OUT_OF_BUDGET, Rejection.SANDBOX_ERROR})
"""What the next start may find otherwise."""
OF_FAULT = {
    Fault.REFUSED: Rejection.REFUSED,
    Fault.NO_CODE: Rejection.PROSE,
    Fault.OTHER_LANGUAGE: Rejection.OTHER_LANGUAGE,
    Fault.CUT_OFF: Rejection.CUT_OFF,
    Fault.REJECTED: Rejection.NOT_TAKEN,
    Fault.UNANSWERED: Rejection.UNANSWERED,
    Fault.OUT_OF_BUDGET: Rejection.OUT_OF_BUDGET,
}


class Rejected(Exception):
    """Raised where a draft is found out; never leaves this room."""

    def __init__(self, reason: Rejection, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a problem comes from.

    seed: the id of its first ancestor. parent: of what it was made of. model: the teacher and its model that wrote the
    statement. round: from 1.
    """

    seed: str
    parent: str
    operation: Operation
    model: str
    round: int


@dataclass(frozen=True, slots=True)
class Seed:
    """What new problems are made of: a problem, or an instruction.

    origin: the id of its first ancestor, its own if it has none. reference: a program that solves it; may be empty.
    """

    id: str
    statement: str
    kind: ProblemKind
    origin: str
    language: Language = Language.PYTHON
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """One new problem to be written, of that kind. id: the problem's."""

    id: str
    parent: Seed
    kind: ProblemKind
    lineage: Lineage


@dataclass(frozen=True, slots=True)
class Draft:
    """What teachers answered to a task.

    solutions, inputs: none where the statement cannot be used, so that they are not paid for.
    """

    id: str
    task: Task
    statement: TeacherResponse
    solutions: tuple[TeacherResponse, ...] = ()
    inputs: TeacherResponse | None = None


@dataclass(frozen=True, slots=True)
class Dissent:
    """An input on which solutions differ. expected: what most gave; empty where no value has a majority, and the input
    is left out. others: the other values, or how the calls ended."""

    given: str
    expected: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What stands for a problem's tests.

    num_solutions: programs that were run. num_agreeing: of them, those that agree on every input; num_distinct: of
    these, how many differ in more than looks. num_inputs: with an expected value. dissent: see there. left_out: inputs
    and properties that are not among the tests, and why. num_mutants, killed, mutation_score: of the reference, see
    rrtf_ray.audit.findings. seconds: of the reference. tokens: that teachers wrote for it.
    """

    num_solutions: int
    num_agreeing: int
    num_distinct: int
    num_inputs: int
    num_properties: int
    dissent: tuple[Dissent, ...]
    left_out: tuple[str, ...]
    num_mutants: int
    killed: int
    mutation_score: float
    seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class JudgedDraft:
    """A draft, and what became of it: a problem with its card, or a rejection with a sentence."""

    id: str
    draft: Draft
    rejection: Rejection | None = None
    detail: str = ""
    problem: Problem | None = None
    card: Card | None = None

"""What an entry of the catalogue is, and the tasks that the entries are tried against."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rrtf_ray.records import ProblemKind, Test, TestKind


class Ends(StrEnum):
    """What puts an end to a program, which says how long it may take."""

    ITSELF = "itself"
    CPU = "cpu"
    WALL = "wall"


@dataclass(frozen=True)
class Task:
    """A problem: its tests, and the least program that passes them.

    wrong: a program that looks like it and must fail.
    """

    name: str
    tests: tuple[Test, ...]
    solution: str
    wrong: str = ""
    entry_point: str = "f"
    setup: str = ""

    @property
    def kind(self) -> ProblemKind:
        return ProblemKind.STDIO if self.tests[0].kind is TestKind.STDIO else ProblemKind.FUNCTION


def check(name: str, body: str, solution: str, wrong: str = "", setup: str = "", entry_point: str = "f") -> Task:
    """A task with a CHECK test of these statements; what stands before a line `---` is outside of `check`."""
    outside, _, inside = body.rpartition("---\n")
    lines = "".join(f"    {line}\n" if line else "\n" for line in inside.strip("\n").split("\n"))
    test = Test(TestKind.CHECK, f"{outside}def check(candidate):\n{lines}")
    return Task(name, (test,), solution, wrong, entry_point, setup)


def asserts(name: str, *tests: str, solution: str, wrong: str = "", setup: str = "", entry_point: str = "f") -> Task:
    return Task(name, tuple(Test(TestKind.ASSERT, test) for test in tests), solution, wrong, entry_point, setup)


def values(name: str, *pairs: tuple[str, str], solution: str, wrong: str = "", atol: float = 0.0) -> Task:
    return Task(name, tuple(Test(TestKind.VALUE, *pair, atol) for pair in pairs), solution, wrong)


def script(name: str, *pairs: tuple[str, str], solution: str, wrong: str = "") -> Task:
    return Task(name, tuple(Test(TestKind.STDIO, *pair) for pair in pairs), solution, wrong, "")


SUM = check(
    "sum",
    """
assert candidate([1, 2]) == 3
assert candidate([5, 5]) == 10
assert candidate([]) == 0
""",
    solution="def f(xs):\n    return sum(xs)\n",
    wrong="def f(xs):\n    return len(xs)\n",
)
GOOD = SUM.solution


@dataclass(frozen=True)
class Entry:
    """One program.

    attacks: what it tries, in a line.
    passes: must it pass? None where either is right and only its end counts.
    tasks: it is tried against each of them.
    before: a program that is run just before it, in the same sandbox.
    needs_folder: it writes files of its own, for which only the mount namespace has a place.

    In its text and in its tasks' tests @MARK@ stands for a name for processes and files, @CANARY@ for a folder
    that it must not touch, @PORT@ for a port of 127.0.0.1 that it must not reach, and @SECRET@ for what it must
    not find out.
    """

    name: str
    attacks: str
    source: str
    passes: bool | None = False
    ends: Ends = Ends.ITSELF
    tasks: tuple[Task, ...] = (SUM,)
    before: str = ""
    needs_folder: bool = False


def catch(*actions: str, prelude: str = "", after: str = GOOD) -> str:
    """A program that does each of these things, takes what is raised, and then is the right answer."""
    attempts = "".join(f"try:\n    {action}\nexcept Exception:\n    pass\n" for action in actions)
    return prelude + attempts + after


def refused(*actions: str, prelude: str = "", after: str = GOOD) -> str:
    """As `catch`, but what is not refused is an error."""
    attempts = "".join(
        f"try:\n    {action}\nexcept Exception:\n    pass\nelse:\n    raise SystemError({action!r})\n"
        for action in actions
    )
    return prelude + attempts + after

import pytest

from rrtf_ray.behaviour.probing import UNKNOWN, behaviours
from rrtf_ray.records import Language, ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from tests.records_for_tests import problem

TESTS = (
    Test(TestKind.CHECK, "def check(candidate):\n    assert candidate(4) == 2.0\n    assert candidate(9) == 3.0\n"),
)
ROOT = problem(entry_point="root", prompt="def root(x):\n", tests=TESTS)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(Limits(cpu_s=2.0, wall_s=10.0)) as one:
        yield one


def test_programs_that_do_the_same_are_equal_and_others_are_not(sandbox):
    power = "def root(x):\n    return abs(x) ** 0.5\n"
    library = "import math\ndef root(x):\n    return math.sqrt(abs(x))\n"
    renamed = "def root(y):\n    return abs(y) ** 0.5  # a comment\n"
    table = "def root(x):\n    return {4: 2.0, 9: 3.0}[x]\n"
    scaled = "def root(x):\n    return (abs(x) * 9) ** 0.5 / 3\n"  # its last digits differ
    found = behaviours(ROOT, [power, library, renamed, table, scaled], sandbox, 30)
    assert found[0] == found[1] == found[2] == found[4] != found[3]
    assert UNKNOWN not in found


def test_the_calls_are_the_same_whenever_they_are_made(sandbox):
    program = "def root(x):\n    return x\n"
    assert behaviours(ROOT, [program], sandbox, 10) == behaviours(ROOT, [program], sandbox, 10)


def test_a_program_that_never_ends_or_ends_its_process_has_a_behaviour_of_its_own(sandbox):
    right = "def root(x):\n    return abs(x) ** 0.5\n"
    endless = "def root(x):\n    while x not in (4, 9):\n        pass\n    return abs(x) ** 0.5\n"
    leaving = "import os\ndef root(x):\n    return x ** 0.5 if x in (4, 9) else os._exit(0)\n"
    found = behaviours(ROOT, [right, endless, leaving], sandbox, 5)
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ProblemKind.STDIO, "tests": (Test(TestKind.STDIO, "4\n", "2\n"),)},
        {"language": Language.JAVASCRIPT},
        {"tests": (Test(TestKind.ASSERT, "assert all(root(i * i) == i for i in range(5))"),)},
    ],
)
def test_what_cannot_be_called_is_unknown(sandbox, changes):
    odd = problem(**({"entry_point": "root", "tests": TESTS} | changes))
    assert behaviours(odd, ["def root(x):\n    return x\n"] * 2, sandbox, 5) == [UNKNOWN, UNKNOWN]

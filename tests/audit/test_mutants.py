"""Each operator changes what it should, and nothing else is changed."""

import pytest

from rrtf_ray.audit.mutants import MAX_MUTANTS, mutants, trivial_programs


def changes(program, **options):
    return {(m.operator, m.before, m.after) for m in mutants(program, **options)}


@pytest.mark.parametrize(
    ("line", "operator", "before", "after"),
    [
        ("x = a < b", "boundary", "a < b", "a <= b"),
        ("x = a < b", "compare", "a < b", "a >= b"),
        ("x = a in b", "compare", "a in b", "a not in b"),
        ("x = a and b", "compare", "a and b", "a or b"),
        ("x = a % b", "arithmetic", "a % b", "a // b"),
        ("x += b", "arithmetic", "x += b", "x -= b"),
        ("x = 7", "constant", "7", "8"),
        ("x = True", "constant", "True", "False"),
        ("x = ''", "constant", "''", "'x'"),
        ("x = 'no'", "constant", "'no'", "''"),
        ("return a", "return", "return a", "return None"),
        ("x = 1 if a else 2", "negate", "1 if a else 2", "1 if not a else 2"),
        ("if a: x = b", "negate", "if a:", "if not a:"),
    ],
)
def test_an_operator(line, operator, before, after):
    program = f"def f(a, b):\n    x = []\n    {line}\n    return None\n"
    assert (operator, before, after) in changes(program)
    for mutant in mutants(program):
        compile(mutant.program, "mutant", "exec")
        assert mutant.line == 3


def test_what_does_nothing_is_not_changed():
    program = (
        'def f(a: "int | None", b: int | str = None) -> "str":\n    """Add 1."""\n    x: "y" = b\n    return None\n'
    )
    assert changes(program) == set()


def test_given_lines_are_left_alone_and_operators_take_turns():
    program = "def given():\n    return 1\n" + "def f(a):\n" + "    a = a + 1\n" * 20 + "    return a < 3\n"
    found = mutants(program, first_line=3)
    assert len(found) == MAX_MUTANTS
    assert {m.line for m in found} <= set(range(1, 23))
    assert all(m.program.startswith("def given():\n    return 1\n") for m in found)
    assert [m.operator for m in found[:5]] == ["compare", "arithmetic", "boundary", "constant", "return"]
    assert len({m.program for m in found}) == len(found)
    assert mutants(program, first_line=3) == found


@pytest.mark.parametrize(
    "program", ["def f(:\n", "", "x = " + "(" * 5000 + ")" * 5000, "x = " + "-" * 50_000 + "1\n", "\0"]
)
def test_no_mutants_of_what_cannot_be_read_or_written(program):
    assert mutants(program) == []


@pytest.mark.parametrize(("entry_point", "call"), [("f", "f(5)"), ("Solution().f", "Solution().f(5)")])
def test_trivial_programs_are_what_they_say(entry_point, call):
    got = {}
    for does, source in trivial_programs(entry_point):
        names = {}
        exec(source, names)
        got[does] = eval(call, names)
    assert got["returns None"] is None
    assert got["returns its first argument"] == 5
    assert got["returns []"] == []

"""The docstring first: the text moves, the program stays."""

import pytest

from rrtf_ray.benchmark.prompts import docstring_first
from rrtf_ray.execution import reference_program, run_problem
from rrtf_ray.problems import load
from rrtf_ray.records import Outcome
from rrtf_ray.sandbox import Limits, Sandbox
from tests.problems import rows
from tests.records_for_tests import problem

PROMPT = (
    "from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
    'def double(x: int) -> int:\n    """ Twice x.\n    >>> double(2)\n    4\n    """\n'
)


def test_the_text_of_the_docstring_goes_before_the_source():
    moved = docstring_first(problem(prompt=PROMPT))
    assert moved.prompt == (
        '"""\nTwice x.\n>>> double(2)\n4\n"""\nfrom typing import List\n\n\ndef helper(x):\n    return x\n\n\n'
        "def double(x: int) -> int:\n"
    )
    with Sandbox(Limits(cpu_s=30, wall_s=120)) as sandbox:
        [verdict] = run_problem(sandbox, moved, [reference_program(moved)])
    assert verdict.outcome is Outcome.PASSED


def test_an_import_before_the_docstring_stays():
    """HumanEval/115."""
    moved = docstring_first(problem(prompt='def double(x):\n    import math\n    """Twice x."""\n'))
    assert moved.prompt == '"""\nTwice x.\n"""\ndef double(x):\n    import math\n'


def test_quotes_and_backslashes_keep_their_value():
    moved = docstring_first(problem(prompt="def double(x):\n    '''Say \"\"\" or \\\\n.'''\n"))
    value = {}
    exec(moved.prompt + "    return 2 * x\n", value)
    assert value["__doc__"].strip() == 'Say """ or \\n.'
    assert value["double"](2) == 4


@pytest.mark.parametrize(
    "prompt",
    [
        '"""\nTwice x.\n"""\n',
        "def double(x):\n",
        'def double(x): """Twice x."""\n',
        'def double(x):\n    """Twice x."""\n    y = x\n',
        "no source at all",
        "",
    ],
)
def test_other_prompts_stay_as_they_are(prompt):
    assert docstring_first(problem(prompt=prompt)).prompt == prompt


def test_a_hole_stays_where_it_is():
    infilling = problem(prompt=PROMPT, suffix="\n")
    assert docstring_first(infilling) is infilling


@pytest.mark.slow
def test_every_prompt_of_humaneval_is_moved_and_every_reference_passes():
    problems = [docstring_first(p) for p in load("humaneval", rows.shared_file("problems/HumanEval.jsonl"))]
    assert all(p.prompt.startswith(('"""\n', 'r"""\n')) for p in problems)
    with Sandbox(Limits(cpu_s=30, wall_s=120)) as sandbox:
        failing = [p.id for p in problems if run_problem(sandbox, p, [reference_program(p)])[0].outcome != "passed"]
    assert (len(problems), failing) == (164, [])

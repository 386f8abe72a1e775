"""Every kind of bad answer is a rejection with its reason; good answers in other clothes are read. Nothing is run."""

import pytest

from rrtf_ray.evolve.reading import checked, inputs_of, nameless, prose_of, solutions_of
from rrtf_ray.evolve.records import Rejected, Rejection
from rrtf_ray.records import Fault, ProblemKind
from tests.evolve.answers import ECHO, PARENT, PROGRAM, STATEMENT, block, draft, said, script_draft


def reason_of(work):
    with pytest.raises(Rejected) as found:
        work()
    return found.value.reason


def test_a_statement_is_what_comes_before_the_body():
    statement = checked(draft(), 0.75)
    assert statement.entry_point == "runs"
    assert statement.prompt == STATEMENT.removesuffix("    pass\n")
    assert statement.examples == (("runs([1, 1, 2, 3, 3, 3], 2)", "[2, 3]"),)


@pytest.mark.parametrize("body", ["    pass\n", "    ...\n", "    raise NotImplementedError\n", ""])
def test_a_body_that_is_none(body):
    assert checked(draft(STATEMENT.replace("    pass\n", body)), 0.75).entry_point == "runs"


def test_imports_and_thoughts_before_the_answer():
    code = "from typing import Optional\n\n" + STATEMENT.replace("xs: list[int]", "xs: Optional[list[int]]")
    statement = checked(draft(said(f"<think>\n```python\ndef f(): 1\n```\n</think>\n```python\n{code}```")), 0.75)
    assert statement.prompt.startswith("from typing import Optional\n\ndef runs(xs: Optional[list[int]]")


def test_code_without_a_block_is_read_too():
    assert checked(draft(said(STATEMENT)), 0.75).entry_point == "runs"


def test_a_statement_of_a_program():
    statement = checked(script_draft(), 0.75)
    assert statement.prompt.endswith("Read from standard input and write to standard output.\n")
    assert statement.probe.kind is ProblemKind.STDIO


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said("", Fault.REFUSED), Rejection.REFUSED),
        (said("", Fault.UNANSWERED), Rejection.UNANSWERED),
        (said("", Fault.OUT_OF_BUDGET), Rejection.OUT_OF_BUDGET),
        (said("", Fault.REJECTED), Rejection.NOT_TAKEN),
        (said("```python\ndef runs(", Fault.CUT_OFF), Rejection.CUT_OFF),
        (said("Count the runs in a list."), Rejection.PROSE),
        (said(""), Rejection.PROSE),
        (block("function runs(xs) {}\n", "javascript"), Rejection.OTHER_LANGUAGE),
        ("def runs(xs:\n", Rejection.PROSE),
        ("def runs(xs):\n    pass\n", Rejection.PROSE),
        (STATEMENT + "\ndef other():\n    pass\n", Rejection.PROSE),
        (STATEMENT + "\nprint(runs([1], 1))\n", Rejection.PROSE),
        (STATEMENT.replace("pass", "return []"), Rejection.ANSWER_IN_STATEMENT),
        ('def runs(xs):\n    """Find runs."""\n', Rejection.TOO_SHORT),
        (STATEMENT.replace("Return", "Rewritten prompt: return"), Rejection.COPIED_REQUEST),
        (STATEMENT.replace("Return", "I'm sorry, return"), Rejection.COPIED_REQUEST),
    ],
)
def test_a_statement_that_cannot_be_used(answer, reason):
    assert reason_of(lambda: checked(draft(answer), 0.75)) is reason


def test_a_copy_of_the_parent_is_one_and_a_longer_task_is_none():
    copied = f'def most(text):\n    """{PARENT} Please."""\n'
    assert reason_of(lambda: checked(draft(copied), 0.75)) is Rejection.COPY_OF_PARENT
    more = copied.replace("Please.", "Of several with the same count, return the one that comes last in the alphabet.")
    assert checked(draft(more), 0.75)


def test_solutions_are_programs():
    found = draft()
    first, *others = solutions_of(found, checked(found, 0.75), 3)
    assert "from itertools" in first.program
    assert len(others) == 3


@pytest.mark.parametrize(
    ("solutions", "reason"),
    [
        ([PROGRAM, PROGRAM, said("", Fault.REFUSED), said("", Fault.NO_CODE)], Rejection.TOO_FEW_SOLUTIONS),
        ([said("", Fault.REFUSED)] * 4, Rejection.REFUSED),
        ([said("", Fault.CUT_OFF)] * 4, Rejection.CUT_OFF),
        ([PROGRAM, PROGRAM, said("", Fault.NO_CODE), said("", Fault.OUT_OF_BUDGET)], Rejection.OUT_OF_BUDGET),
        ([PROGRAM, PROGRAM, said("", Fault.UNANSWERED), said("", Fault.UNANSWERED)], Rejection.UNANSWERED),
    ],
)
def test_too_few_solutions(solutions, reason):
    found = draft(solutions=solutions)
    assert reason_of(lambda: solutions_of(found, checked(found, 0.75), 3)) is reason


def test_one_fault_among_four_costs_nothing():
    found = draft(solutions=[PROGRAM, said("", Fault.REFUSED), PROGRAM, PROGRAM])
    assert len(solutions_of(found, checked(found, 0.75), 3)) == 3


def test_the_answer_in_the_statement():
    body = PROGRAM.partition("least):\n    ")[2].rstrip()
    told = STATEMENT.replace("\n    >>>", f"\n    {body}\n\n    >>>", 1)
    found = draft(told, [PROGRAM] * 4)
    assert reason_of(lambda: solutions_of(found, checked(found, 0.75), 3)) is Rejection.ANSWER_IN_STATEMENT


def test_the_parents_own_solution_by_another_name():
    reference = PROGRAM.replace("runs", "stretches").replace("lengths", "sizes")
    found = draft(solutions=[PROGRAM] * 4, reference=reference)
    assert reason_of(lambda: solutions_of(found, checked(found, 0.75), 3)) is Rejection.COPY_OF_PARENT


def inputs(answer, kind=ProblemKind.FUNCTION):
    found = draft(inputs=answer) if kind is ProblemKind.FUNCTION else script_draft(inputs=answer)
    return inputs_of(found, checked(found, 0.75), 4)


def test_inputs_of_three_kinds_and_what_is_left_out():
    lists = "VALUES = [([1], 2), (list(range(3)), 1), 5]\nEDGE_CASES = [([1], 2), ([], 0)]\n"
    found = inputs(lists + "PROPERTIES = [lambda *a: True, 3]\n")
    assert found.calls == (([1], 2), ([], 0))
    assert found.properties == ("lambda *a: True",)
    assert len(found.left_out) == 2


def test_no_more_inputs_than_asked_for():
    listed = "".join(f"([], {number}), " for number in range(9))
    assert len(inputs(f"VALUES = []\nEDGE_CASES = [{listed}]\n").calls) == 4


def test_the_calls_of_asserts_are_inputs_and_their_values_are_not_used():
    assert inputs("assert runs([1, 1], 2) == 'wrong'\nassert runs([], 1) == []\n").calls == (([1, 1], 2), ([], 1))


def test_inputs_of_a_program_are_texts():
    found = inputs('VALUES = ["1\\n2\\n", 3, ("4",)]\nEDGE_CASES = []\n', ProblemKind.STDIO)
    assert found.calls == (("1\n2\n",),)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said("Try an empty list."), Rejection.PROSE),
        (block("const VALUES = []", "js"), Rejection.OTHER_LANGUAGE),
        ("VALUES = [(1,\n", Rejection.NO_INPUTS),
        ("VALUES = [(list(range(n)), 1) for n in range(9)]\n", Rejection.NO_INPUTS),
        ("VALUES = [(..., 1), (1e999, 2)]\n", Rejection.NO_INPUTS),
        (said("", Fault.OUT_OF_BUDGET), Rejection.OUT_OF_BUDGET),
    ],
)
def test_inputs_that_cannot_be_used(answer, reason):
    assert reason_of(lambda: inputs(answer)) is reason


def test_what_is_compared_of_statements_and_programs():
    assert prose_of(STATEMENT).startswith("Return the lengths")
    assert prose_of(ECHO) == ECHO
    renamed = PROGRAM.replace("runs(xs", "f(ys: list").replace("(xs)", "(ys)")
    assert nameless(PROGRAM) == nameless(renamed)
    assert nameless(PROGRAM) != nameless(PROGRAM.replace(">=", ">"))

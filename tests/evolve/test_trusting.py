"""Whether a problem is accepted: real programs in the real sandbox. Each filter catches what it should, and no more."""

from contextlib import ExitStack

import pytest

from rrtf_ray.evolve.records import Rejection
from rrtf_ray.evolve.trusting import HASH_SEEDS, Rules, judge
from rrtf_ray.execution import run_problem
from rrtf_ray.records import Outcome, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from tests.evolve.answers import ECHOED, INPUTS, OTHER, PROGRAM, RULES, STATEMENT, draft, script_draft


@pytest.fixture(scope="module")
def sandboxes():
    limits = Limits(cpu_s=1.0, wall_s=5.0, memory_mb=512)
    with ExitStack() as stack:
        yield [stack.enter_context(Sandbox(limits, hash_seed=seed)) for seed in HASH_SEEDS]


@pytest.fixture(scope="module")
def accepted(sandboxes):
    return judge(draft(), sandboxes, Rules(**RULES))


def judged(found, sandboxes, **changes):
    return judge(found, sandboxes, Rules(**(RULES | changes)))


def test_a_good_problem_is_accepted_with_its_card(accepted):
    assert accepted.rejection is None, accepted.detail
    card = accepted.card
    assert (card.num_solutions, card.num_agreeing, card.num_distinct) == (4, 4, 2)
    assert (card.num_inputs, card.num_properties, card.dissent, card.left_out) == (9, 1, (), ())
    assert card.mutation_score >= 0.9


def test_its_values_come_from_running_the_solutions(accepted):
    values = {test.code: test.expected for test in accepted.problem.tests if test.kind is TestKind.VALUE}
    assert values["[[1, 1, 2, 3, 3, 3], 2]"] == "[2, 3]"
    assert values["[[], 1]"] == "[]"


def test_its_tests_notice_a_wrong_program_and_pass_a_right_one(accepted, sandboxes):
    wrong = PROGRAM.replace(">=", ">")
    verdicts = run_problem(sandboxes[0], accepted.problem, [PROGRAM, OTHER, wrong])
    assert [v.outcome for v in verdicts] == [Outcome.PASSED, Outcome.PASSED, Outcome.FAILED]


def test_a_program_of_standard_input_is_accepted(sandboxes):
    found = judged(script_draft(), sandboxes)
    assert found.rejection is None, found.detail
    assert [(t.code, t.expected) for t in found.problem.tests][:2] == [("3\n1\n2\n4\n", "6\n"), ("1\n5\n", "0\n")]


def test_a_program_that_ends_itself_is_accepted(sandboxes):
    found = judged(script_draft(solutions=[ECHOED + "sys.exit(0)\n"] * 4), sandboxes)
    assert found.rejection is None, found.detail


def test_one_wrong_solution_is_dissent_in_the_record(sandboxes):
    wrong = OTHER.replace(">=", ">")
    found = judged(draft(solutions=[PROGRAM, wrong, OTHER, PROGRAM]), sandboxes)
    assert found.rejection is None, found.detail
    assert found.card.num_agreeing == 3
    first = found.card.dissent[0]
    assert (first.given, first.expected, first.others) == ("([1, 1, 2, 3, 3, 3], 2)", "[2, 3]", ("[3]",))


def test_an_input_that_is_not_allowed_is_left_out(sandboxes):
    found = judged(draft(inputs=INPUTS.replace("([], 1)", "(None, 1)")), sandboxes)
    assert found.rejection is None, found.detail
    assert found.card.num_inputs == 8
    assert "(None, 1): raised TypeError" in found.card.left_out[0]


def test_a_property_that_says_nothing_is_left_out(sandboxes):
    found = judged(draft(inputs=INPUTS.replace("sum(value) <= len(xs)", "True")), sandboxes)
    assert (found.rejection, found.card.num_properties) == (None, 0)
    assert found.card.left_out == ("lambda xs, least, value: True: holds of everything",)


def test_a_property_that_reaches_out_is_left_out(sandboxes):
    chance = "__import__('random').random() < 2"
    found = judged(draft(inputs=INPUTS.replace("sum(value) <= len(xs)", chance)), sandboxes)
    assert (found.rejection, found.card.num_properties) == (None, 0)
    assert found.card.left_out[0].endswith("uses __import__")


def with_head(head, value):
    """The program with something before it, and something done to its value."""
    inner = PROGRAM.replace("def runs", "def inner")
    return f"{head}\n{inner}\ndef runs(xs, least):\n    found = inner(xs, least)\n    {value}\n"


@pytest.mark.parametrize(
    ("program", "reason", "said"),
    [
        (with_head("import random", "return found + [random.random()]"), Rejection.REACHES_OUT, "random"),
        (with_head("import time", "return found + [time.time()]"), Rejection.REACHES_OUT, "time"),
        (with_head("from datetime import date", "return [date.today().year]"), Rejection.REACHES_OUT, "clock"),
        (with_head("import socket", "return found"), Rejection.REACHES_OUT, "socket"),
        (with_head("", "return [len(open('/etc/passwd').read())]"), Rejection.REACHES_OUT, "open"),
        (with_head("", "return [__import__('time').time()]"), Rejection.REACHES_OUT, "__import__"),
        (with_head("", "return list({str(x) for x in range(20)})"), Rejection.FLAKY, "changes from run to run"),
        (with_head("seen = []", "seen.append(1); return [len(seen)]"), Rejection.FLAKY, "the calls before it"),
        (with_head("", "\n    while True: pass"), Rejection.SOLUTIONS_FAIL, "timeout"),
        (with_head("", "found = [0] * 10 ** 9; return found"), Rejection.SOLUTIONS_FAIL, "out_of_memory"),
        ("raise ValueError\n" + PROGRAM, Rejection.SOLUTIONS_FAIL, "not_run"),
        (with_head("", "raise ValueError('no')"), Rejection.TOO_FEW_INPUTS, "ValueError"),
        (with_head("", "return 7"), Rejection.TRIVIAL_PASSES, "whatever the input"),
        (with_head("", "return found if len(xs) < 500 else 'never tried'"), None, ""),
        (with_head("", "if len(xs) > 500:\n        return 'no'\n    return found"), Rejection.WEAK, "no test enters"),
    ],
)
def test_a_mistake_of_all_solutions(program, reason, said, sandboxes):
    found = judged(draft(solutions=[program] * 4), sandboxes)
    assert found.rejection is reason, found.detail
    assert said in found.detail


def test_names_that_only_look_like_the_outside_are_let_through(sandboxes):
    program = PROGRAM.replace("lengths", "open").replace("group ", "id ").replace("list(group)", "list(id)")
    found = judged(draft(solutions=[program.replace("_, group", "_, id")] * 4), sandboxes)
    assert found.rejection is None, found.detail


def test_the_order_of_calls_shows_what_a_solution_remembers(sandboxes):
    program = with_head("seen = []", "seen.append(1); return found if len(seen) < 5 else [0]")
    found = judged(draft(solutions=[program] * 4), sandboxes)
    assert (found.rejection, "the calls before it" in found.detail) == (Rejection.FLAKY, True)


@pytest.mark.parametrize(
    ("solutions", "reason"),
    [
        ([PROGRAM, PROGRAM, PROGRAM.replace(">=", ">"), PROGRAM.replace(">=", "<")], Rejection.NO_AGREEMENT),
        ([PROGRAM, PROGRAM, PROGRAM.replace(">=", ">"), PROGRAM.replace(">=", ">")], Rejection.NO_AGREEMENT),
    ],
)
def test_solutions_that_differ(solutions, reason, sandboxes):
    assert judged(draft(solutions=solutions), sandboxes).rejection is reason


def test_an_example_that_the_solutions_contradict(sandboxes):
    found = judged(draft(STATEMENT.replace("[2, 3]", "[2, 1, 3]")), sandboxes)
    assert (found.rejection, found.detail) == (
        Rejection.EXAMPLE_FAILS,
        "runs([1, 1, 2, 3, 3, 3], 2) is [2, 1, 3] in the statement and [2, 3] by the solutions",
    )


def test_a_property_that_does_not_hold(sandboxes):
    found = judged(draft(inputs=INPUTS.replace("<= len(xs)", "< len(xs)")), sandboxes)
    assert found.rejection is Rejection.PROPERTY_FAILS


def test_inputs_that_are_few_or_weak(sandboxes):
    few = "VALUES = [([1, 1], 2), ([1], 1)]\n"
    assert judged(draft(inputs=few), sandboxes).rejection is Rejection.TOO_FEW_INPUTS
    weak = "VALUES = [([1, 1], 2), ([2, 2, 2], 2), ([3, 3, 3, 3], 2), ([4, 4], 1), ([5, 5, 5], 1)]\n"
    found = judged(draft(inputs=weak), sandboxes)
    assert (found.rejection, "mutation score" in found.detail) == (Rejection.WEAK, True)


def test_claimed_values_are_not_believed(sandboxes):
    calls = [
        "[1, 1, 2, 3, 3, 3], 2",
        "[1, 2, 3], 1",
        "[5, 5, 5, 5], 3",
        "[5, 5, 4, 4], 2",
        "[], 1",
        "[1], 2",
        "[2, 2], 2",
    ]
    found = judged(draft(inputs="".join(f"assert runs({call}) == ['wrong']\n" for call in calls)), sandboxes)
    assert found.rejection is None, found.detail
    assert found.problem.tests[0].expected == "[2, 3]"

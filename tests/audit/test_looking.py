"""Each check finds what it should and leaves good tests alone: real programs in the real sandbox."""

from contextlib import ExitStack

import pytest

from rrtf_ray.audit.findings import Finding
from rrtf_ray.audit.looking import look
from rrtf_ray.records import Language, ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from tests.records_for_tests import problem


@pytest.fixture(scope="module")
def sandboxes():
    with ExitStack() as stack:
        yield [stack.enter_context(Sandbox(Limits(cpu_s=1.0, wall_s=4.0), hash_seed=seed)) for seed in (0, 1)]


def values(*pairs):
    return tuple(Test(TestKind.VALUE, f"({argument},)", expected) for argument, expected in pairs)


STRONG = values(("2", "4"), ("-1", "-2"), ("0", "0"))


def named(name, body, tests, **changes):
    given = {"prompt": f"def {name}(x):\n", "entry_point": name, "reference": body, "tests": tests}
    return problem("p", **(given | changes))


def test_good_tests_have_no_finding(sandboxes):
    found = look(problem("good", tests=STRONG), (), sandboxes)
    assert (found.reasons, found.score, found.survivors) == ({}, 1.0, ())
    assert found.mutation_score == 1.0
    assert found.num_mutants == found.killed > 0


def test_a_fault_that_no_test_notices_is_shown_with_a_call_that_does(sandboxes):
    tests = values(("[1, 2]", "3"), ("[4]", "4"), ("[]", "0"))
    found = look(named("f", "    return sum(n for n in x if n > 0)\n", tests), (), sandboxes)
    assert Finding.WEAK in found.reasons
    assert found.told_apart >= 1
    assert any("n > 0 -> n >= 0" in text and "differs" not in text for text in found.survivors)  # an equal
    assert any("differs at" in text for text in found.survivors)
    assert 0 < found.score == found.mutation_score < 0.9


def test_samples_that_pass_and_are_wrong_show_weak_tests(sandboxes):
    tests = values(("3", "3"), ("7", "7"))
    absolute = named("f", "    return abs(x)\n", tests)
    right, wrong = "def f(x):\n    return max(x, -x)\n", "def f(x):\n    return x\n"
    found = look(absolute, [right, wrong, wrong], sandboxes)
    assert (found.num_samples, found.wrong_samples) == (2, 1)
    assert found.reasons[Finding.WEAK].startswith("1 of 2 distinct samples that pass differ")
    assert look(absolute, [right], sandboxes).wrong_samples == 0


def test_what_rests_on_the_order_of_tests_is_flaky(sandboxes):
    """A sandbox runs all tests of a problem on one program, whose state they share."""
    body = "    seen.append(x)\n    return len(seen)\n"
    tests = values(("5", "1"), ("6", "2"))
    found = look(named("f", body, tests, prompt="seen = []\ndef f(x):\n"), (), sandboxes)
    assert Finding.FLAKY in found.reasons
    assert found.score == 0


def test_a_reference_that_fails_and_none(sandboxes):
    failing = look(problem("wrong", reference="    return 3 * x\n", tests=STRONG), (), sandboxes)
    assert failing.reasons[Finding.REFERENCE_FAILS].startswith("failed")
    assert failing.score == 0
    lacking = problem("lacking", reference="    import gone\n    return gone.double(x)\n", tests=STRONG)
    assert "--preload gone" in look(lacking, (), sandboxes).reasons[Finding.REFERENCE_FAILS]
    bare = look(problem("bare", reference="", tests=STRONG), (), sandboxes)
    assert list(bare.reasons) == [Finding.NO_REFERENCE]
    assert bare.score == 0.5


def test_a_trivial_program_that_passes(sandboxes):
    found = look(named("f", "    return x * x\n", values(("0", "0"))), (), sandboxes)
    assert found.reasons[Finding.TRIVIAL_PASSES] == "a program that returns 0 passes"


def test_a_tight_limit(sandboxes):
    body = "    import time\n    end = time.process_time() + 0.7\n    while time.process_time() < end:\n        pass\n"
    found = look(named("f", body + "    return 2 * x\n", values(("2", "4"))), (), sandboxes)
    assert found.reasons[Finding.TIGHT_LIMIT].endswith("of 1 s")
    assert found.reasons[Finding.CHANGES_BY_ITSELF] == "the reference uses time (time.process_time)"


def test_samples_that_agree_against_one_test(sandboxes):
    """The statement says nothing of negative numbers, and one test wants what only the reference does there."""
    tests = values(("3", "6"), ("5", "10"), ("-1", "0"))
    asked = named("f", "    return max(0, 2 * x)\n", tests)
    alike = [f"def f(x):\n    return {text}\n" for text in ("2 * x", "x * 2", "x + x", "sum([x, x])")]
    found = look(asked, alike, sandboxes)
    assert found.reasons[Finding.OVER_SPECIFIED] == (
        "4 distinct samples fail test 3 alone and agree on all calls; 0 pass"
    )
    differing = [f"def f(x):\n    return 2 * x if x > 0 else {n}\n" for n in (1, 2, 3, 4)]
    assert Finding.OVER_SPECIFIED not in look(asked, differing, sandboxes).reasons


def test_other_kinds_and_languages_say_what_was_left_out(sandboxes):
    script = problem(
        "s",
        kind=ProblemKind.STDIO,
        entry_point="",
        prompt="Double it.",
        reference="print(2 * int(input()))\n",
        tests=(Test(TestKind.STDIO, "2\n", "4\n"), Test(TestKind.STDIO, "0\n", "0\n")),
    )
    found = look(script, (), sandboxes)
    assert found.told_apart is None
    assert "no calls with literal arguments" in found.not_looked_at[0]
    given = {"language": Language.JAVASCRIPT, "reference": "", "prompt": "function double(x) {\n"}
    javascript = problem("js", tests=STRONG, **given)
    assert any("not in Python" in why for why in look(javascript, (), sandboxes).not_looked_at)

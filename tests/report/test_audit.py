"""What the rows say of the reward, and what running the tests shows, with real programs in the real sandbox."""

import pytest

from rrtf_ray.audit.trying import sample_of
from rrtf_ray.errors import SandboxError
from rrtf_ray.records import Candidate, Group, Language, Outcome, ProblemKind, Source, Split, Test, TestKind, Verdict
from rrtf_ray.report.audit import MAX_NAMED, StoreAudit, repeated_of
from rrtf_ray.report.trials import trials
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import candidate, problem
from tests.report.run_for_tests import F, P, write


def judged(id_, outcome, seconds=0.0, **flags):
    made = candidate(id_, outcome)
    verdict = Verdict(outcome, made.verdict.tests, seconds, **flags)
    return Candidate(id_, Source.STUDENT, "m", "", "", "", "stop", verdict=verdict)


def test_verdicts_and_problems_are_counted():
    audit = StoreAudit("round-01", limit_s=2.0)
    timed_out = judged("s1", Outcome.TIMEOUT, seconds=2.0)
    audit.add(Group(problem("slow"), (judged("s0", P, seconds=1.0), timed_out)))
    audit.add(Group(problem("inside"), (judged("s0", P, inside=True), judged("s1", P, inside=True))))
    audit.add(
        Group(problem("none"), (judged("s0", F, 0.9, unprotected=("seccomp",)), judged("s1", Outcome.SANDBOX_ERROR)))
    )
    audit.add(Group(problem("never"), (candidate("t0", P),)))
    assert audit.candidates == 7
    assert (audit.slow, audit.outcomes["timeout"], audit.slowest_s) == (1, 1, 2.0)
    assert audit.near_limit.ids == ["slow"]
    assert (audit.inside, audit.inside_passed, audit.inside_problems.ids) == (2, 2, ["inside"])
    assert audit.unprotected == {"seccomp": 1}
    assert (audit.problems, audit.all_pass.ids, audit.none_passes.ids) == (3, ["inside"], ["none"])


def test_a_long_list_names_the_first_and_counts_the_rest():
    audit = StoreAudit("round-01", limit_s=2.0)
    for number in range(MAX_NAMED + 5):
        audit.add(Group(problem(f"p/{number}"), (judged("s0", P),)))
    assert len(audit.all_pass.ids) == MAX_NAMED
    assert audit.all_pass.rest == 5


def test_problems_that_repeat_or_are_close(tmp_path):
    text = "def f(numbers):\n    '''Sort the numbers, drop what is odd, and return the {} of those that are left.'''\n"
    run = RunDir(str(tmp_path))
    train = [("a", text.format("sum")), ("b", text.format("sum").upper()), ("c", "def g(x):\n")]
    tests = [("x", "  " + text.format("sum") + "# once"), ("y", "def other(text):\n    '''Reverse it.'''\n")]
    for split, rows in ((Split.TRAIN, train), (Split.HELD_OUT, tests)):
        write(run.problems(split), [problem(id_, prompt=prompt, split=split) for id_, prompt in rows])
    found = repeated_of(run.problems(Split.TRAIN), run.problems(Split.HELD_OUT))
    assert found.groups == {"train": [["a", "b"]], "held out": []}
    assert found.num_repeated("train") == 1
    assert [(train, held_out) for train, held_out, _ in found.close] == [("a", "x"), ("b", "x")]
    assert (found.num_close_held_out, found.num_held_out) == (1, 2)


def open_sandbox(hash_seed):
    return Sandbox(Limits(cpu_s=1.0), hash_seed=hash_seed)


def check(code):
    return (Test(TestKind.CHECK, "def check(candidate):\n" + "".join(f"    {line}\n" for line in code)),)


STRONG = check(["assert candidate(2) == 4", "assert candidate(-1) == -2"])


def tried(*problems, limit_s=60.0):
    return trials(problems, 10, open_sandbox, limit_s)


def test_good_tests_leave_nothing_to_say():
    found = tried(problem("good", tests=STRONG))
    assert (found.num_done, found.num_references, found.num_mutated, found.num_trivial_asked) == (1, 1, 1, 1)
    assert found.num_mutants == 4  # 2 * x: the operator, the constant up and down, and the return
    assert (found.failing, found.flaky, found.weak, found.trivial) == ([], [], [], [])
    assert not found.not_looked_at


def test_weak_tests_are_found():
    """double(0) == 0 holds for 3 * x as well, and for a program that returns 0."""
    found = tried(problem("weak", tests=check(["assert candidate(0) == 0"])))
    ((weak),) = found.weak
    assert weak.problem_id == "weak"
    assert ("constant", "2", "3") in {(m.operator, m.before, m.after) for m in weak.survivors}
    assert {m.line for m in weak.survivors} == {1}  # of the reference, which the prompt precedes
    assert found.num_survivors == len(weak.survivors) < weak.num_mutants
    assert found.trivial == [("weak", "returns 0")]


def test_a_wrong_reference_is_named_with_its_reason():
    found = tried(problem("wrong", reference="    return 3 * x\n", tests=STRONG))
    ((id_, text),) = found.failing
    assert id_ == "wrong"
    assert text.startswith("failed (test 1")
    assert found.num_mutants == 0


def test_a_verdict_that_depends_on_the_order_of_a_set_is_flaky():
    """Under one of the two orders the first of eight names is another one: hash seeds 0 and 1 differ in it."""
    order = "    return list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})\n"
    with open_sandbox(0) as sandbox:
        source = "def f():\n" + order
        (value,) = sandbox.values(source, "f", [()])
    tests = check([f"assert candidate(0) == {value.literal}"])
    found = tried(problem("flaky", reference=order, tests=tests))
    ((id_, text),) = found.flaky
    assert id_ == "flaky"
    assert text.startswith("passed; then failed")


def test_a_fault_that_loops_for_ever_is_noticed():
    reference = "    while x > 0:\n        x = x - 1\n    return x\n"
    found = tried(problem("loop", reference=reference, tests=check(["assert candidate(3) == 0"])))
    assert found.num_done == 1
    assert found.num_mutants > len(found.weak)


def test_what_cannot_be_looked_at_is_said():
    script = {"kind": ProblemKind.STDIO, "entry_point": "", "tests": (Test(TestKind.STDIO, "2\n", "0\n"),)}
    javascript = problem("js", language=Language.JAVASCRIPT, reference="", prompt="function double(x) {\n")
    found = tried(problem("bare", reference="", tests=STRONG), problem("script", reference="", **script), javascript)
    assert found.not_looked_at["no reference"] == 3
    assert found.not_looked_at["not in Python: no faults put in, no trivial programs"] == 1
    assert found.trivial == [("script", "prints 0")]


def test_the_limit_of_time_ends_the_trials():
    found = tried(problem("a", tests=STRONG), problem("b", tests=STRONG), limit_s=-1.0)
    assert (found.num_asked, found.num_done) == (2, 0)


def test_a_sandbox_that_cannot_be_had_is_an_error():
    def refuse(hash_seed):
        raise SandboxError("no namespaces here")

    with pytest.raises(SandboxError):
        trials([problem()], 1, refuse)


def test_the_sample_is_the_same_whatever_the_order():
    ids = [f"p/{number}" for number in range(100)]
    assert sample_of(ids, 10) == sample_of(reversed(ids), 10)
    assert len(sample_of(ids, 10)) == 10
    assert sample_of(ids, 1000) == set(ids)

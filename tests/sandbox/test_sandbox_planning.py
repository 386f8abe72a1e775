"""What the sandbox saves or finds out before it runs a program: rehearsed calls, limits, modes, known verdicts."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rrtf_ray.errors import SandboxError
from rrtf_ray.records import Outcome, ProblemKind, Test, TestKind, TestStatus
from rrtf_ray.sandbox import Limits, Sandbox, VerdictCache
from rrtf_ray.sandbox.cache import code_digest, installed
from rrtf_ray.sandbox.plan import FunctionPlan, make_plan
from rrtf_ray.sandbox.process import Setting

from .conftest import DOUBLE, GOOD, LIMITS

PACKAGE = Path(__file__).parents[2] / "rrtf_ray"
BUSY = "def busy(n):\n    for _ in range(n):\n        pass\n"


def check(*statements):
    return [Test(TestKind.CHECK, "def check(candidate):\n" + "".join(f"    {line}\n" for line in statements))]


def run(sandbox, programs, tests, entry_point="f", **options):
    return sandbox.run(programs, tests, kind=ProblemKind.FUNCTION, entry_point=entry_point, **options)


# ---- tests that the caller's own process may run


@pytest.mark.parametrize(
    ("statements", "plain"),
    [
        (["assert candidate(1) == 1", "assert sorted(candidate(2)) == [1, 2]"], True),
        (["x = candidate(1)", "assert len(x) == 2 and abs(x[0] - 1.5) < 1e-6"], True),
        (["assert round(candidate(1), 2) == 0.33", "assert type(candidate(1)) == str"], True),
        (["assert candidate(1) == 1, 'not ' + str(candidate(2))"], True),
        (["a = [candidate(1)]", *["a = [a, a]"] * 40, "assert a == a"], False),
        (["a = candidate(1)", *["a = a + a"] * 60, "assert len(a) > 0"], False),
        (["assert len(" + "str([" * 60 + "candidate(1)" + "])" * 60 + ") > 0"], False),
        (["assert round(1, candidate(1)) == 0"], False),
        (["assert round(candidate(1), -1000000000) == 0"], False),
        (["len = str", "assert len([candidate(1)])"], False),
        (["assert isinstance(candidate(1), type('A', (list,), {}))"], False),
        (["a = candidate(1)", f"assert sum([{'a, ' * 1001}], [])"], False),
    ],
)
def test_no_test_costs_the_callers_process_more_than_comparing(statements, plain):
    plan = make_plan(check(*statements), ProblemKind.FUNCTION, "f", "", False)
    assert isinstance(plan, FunctionPlan)
    assert (plan.ahead is not None and plan.ahead.plain) is plain


def test_a_test_that_grows_without_end_reaches_its_own_limits(sandbox):
    tests = check("a = candidate(1)", *["a = a + a"] * 60, "assert len(a) > 0")
    started = resource.getrusage(resource.RUSAGE_SELF)
    [verdict] = run(sandbox, ["def f(x): return [x]"], tests)
    ended = resource.getrusage(resource.RUSAGE_SELF)
    assert verdict.outcome is not Outcome.PASSED
    assert ended.ru_utime - started.ru_utime < 2
    assert ended.ru_maxrss - started.ru_maxrss < 100 << 10


# ---- rehearsals

COMPUTED = {
    "loop": (["for i in range(5):", "    assert candidate(i) == i * i"], "def f(n): return n * n"),
    "arguments computed": (["import random", "xs = [random.random() for _ in range(9)]", "for x in xs:",
                            "    assert abs(candidate(x) - x * x) < 1e-9"], "def f(n): return n * n"),
    "in place": (["xs = [3, 1, 2]", "candidate(xs)", "assert xs == [1, 2, 3]"], "def f(xs): xs.sort()"),
    "argument returned": (["xs = [3]", "assert candidate(xs) is xs"], "def f(xs): return xs"),
    "raises": (["for x in (-1, -2):", "    try:", "        candidate(x)", "        assert False",
                "    except ValueError:", "        pass", "assert candidate(0) == 0"],
               "def f(n):\n    if n < 0: raise ValueError(n)\n    return n"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_calls_that_tests_compute_are_made_ahead(sandbox, name):
    statements, solution = COMPUTED[name]
    plan = make_plan(check(*statements), ProblemKind.FUNCTION, "f", "", False)
    assert isinstance(plan, FunctionPlan)
    assert plan.ahead is None
    sandbox._first_mode(plan)
    assert plan.ahead is not None
    wrong = "def f(n): return [n]"
    verdicts = run(sandbox, [solution, wrong, "def f(n): raise KeyError"], check(*statements))
    assert [v.outcome is Outcome.PASSED for v in verdicts] == [True, False, False]


UNFORESEEN = {
    "call of a result": (["assert candidate(candidate(2)) == 16"], "def f(n): return n * n"),
    "call that a result decides": (["x = candidate(2)", "if x > 3 and x < 5:", "    assert candidate(7) == 49",
                                    "else:", "    assert candidate(9) == 0"], "def f(n): return n * n"),
    "argument from a result": (["assert candidate(int(candidate(3))) == 81"], "def f(n): return n * n"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFORESEEN)
def test_calls_that_depend_on_results_are_asked_for(sandbox, name):
    statements, solution = UNFORESEEN[name]
    verdicts = run(sandbox, [solution, "def f(n): return 4"], check(*statements))
    assert [v.outcome for v in verdicts] == [Outcome.PASSED, Outcome.FAILED]


def test_a_failed_assertion_leaves_out_the_calls_of_its_loop(sandbox):
    tests = check("for i in range(5):", "    assert candidate(i) < 3", "assert candidate(9) == 9")
    assert run(sandbox, ["def f(n): return n"], tests)[0].tests == (TestStatus.FAILED, TestStatus.PASSED)


def test_a_rehearsal_without_end_costs_its_limit_and_no_verdict(sandbox):
    tests = check("x = 0", "while candidate(x) < 3:", "    x += 1", "assert x == 3")
    assert run(sandbox, ["def f(n): return n"], tests)[0].outcome is Outcome.PASSED


def test_tests_in_the_programs_interpreter_say_so(sandbox):
    tests = check("import sys", "assert candidate(sys.modules[candidate.__module__]) is True")
    program = "import sys\ndef f(module): return module is sys.modules[__name__]\n"
    (verdict,) = run(sandbox, [program], tests, reference=program)
    assert (verdict.outcome, verdict.inside) == (Outcome.PASSED, True)
    (verdict,) = run(sandbox, [GOOD], DOUBLE, entry_point="double", reference=GOOD)
    assert (verdict.outcome, verdict.inside) == (Outcome.PASSED, False)


# ---- limits


def test_limits_follow_the_reference():
    """The reference takes next to nothing, so that a second is far too much; without it, a second is allowed."""
    tests = check("assert candidate(3) == 3")
    slow = "import time\ndef f(n):\n    while time.process_time() < 1.2: pass\n    return n\n"
    with Sandbox(Limits(cpu_s=20, wall_s=60)) as sandbox:
        options = {"reference": "def f(n): return n"}
        assert run(sandbox, [slow], tests, **options)[0].outcome is Outcome.TIMEOUT
        assert run(sandbox, [slow], tests, calibrate=False, **options)[0].outcome is Outcome.PASSED
        assert run(sandbox, [slow], tests, reference=slow)[0].outcome is Outcome.PASSED


# ---- known verdicts


def test_equal_programs_run_once(tmp_path):
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    with Sandbox(LIMITS, cache=cache) as sandbox:
        verdicts = run(sandbox, [GOOD, GOOD, "def double(x): return x", GOOD], DOUBLE, "double")
    passed, failed = Outcome.PASSED, Outcome.FAILED
    assert [v.outcome for v in verdicts] == [passed, passed, failed, passed]
    assert cache.misses == 2


def test_verdicts_are_remembered_by_all_that_decides_them(tmp_path):
    path = tmp_path / "verdicts.sqlite"
    with Sandbox(LIMITS, cache=VerdictCache(path)) as sandbox:
        first = run(sandbox, [GOOD], DOUBLE, "double")
    cache = VerdictCache(path)
    with Sandbox(LIMITS, cache=cache) as sandbox:
        assert run(sandbox, [GOOD], DOUBLE, "double") == first
        assert (cache.hits, cache.misses) == (1, 0)
        run(sandbox, [GOOD + "\n"], DOUBLE, "double")
        run(sandbox, [GOOD], DOUBLE[:1], "double")
        run(sandbox, [GOOD], DOUBLE, "double", setup="import math")
        assert (cache.hits, cache.misses) == (1, 3)
    with Sandbox(Limits(cpu_s=0.7), cache=cache) as sandbox:
        run(sandbox, [GOOD], DOUBLE, "double")
    assert (cache.hits, cache.misses) == (1, 4)


ASK = """
import sys
from rrtf_ray.records import ProblemKind, Test, TestKind
from rrtf_ray.sandbox import Limits, Sandbox, VerdictCache
cache = VerdictCache(sys.argv[1])
with Sandbox(Limits(cpu_s=0.5, wall_s=6), cache=cache) as sandbox:
    tests = [Test(TestKind.ASSERT, "assert f(1) == 1")]
    sandbox.run(["def f(x): return x"], tests, kind=ProblemKind.FUNCTION, entry_point="f")
print(cache.hits, cache.misses)
"""


def test_another_judge_repeats_no_verdicts(tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(PACKAGE, copy / "rrtf_ray", ignore=shutil.ignore_patterns("__pycache__"))

    def asked():
        command = [sys.executable, "-c", ASK, str(tmp_path / "verdicts.sqlite")]
        environment = {"PYTHONPATH": str(copy), "PATH": os.defpath}
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert [asked(), asked()] == [["0", "1"], ["1", "0"]]
    with (copy / "rrtf_ray/sandbox/inside/program.py").open("a") as file:
        file.write("# corrected\n")
    assert asked() == ["0", "1"]


@pytest.mark.parametrize("name", ["judge.py", "inside/zygote.py", "inside/program.js", "shared/testing.py"])
def test_the_digest_of_the_judge_changes_with_each_file(name, tmp_path):
    shutil.copytree(PACKAGE / "sandbox", tmp_path / "sandbox")
    before = code_digest(tmp_path / "sandbox")
    assert before == code_digest(PACKAGE / "sandbox")
    (tmp_path / "sandbox" / name).write_bytes((PACKAGE / "sandbox" / name).read_bytes() + b"\n")
    assert code_digest(tmp_path / "sandbox") != before


def test_another_version_of_a_library_gives_another_key(tmp_path):
    (tmp_path / "numpy-2.1.0.dist-info").mkdir()
    plan = make_plan(DOUBLE, ProblemKind.FUNCTION, "double", "", False)

    def key():
        return VerdictCache.key(plan, GOOD, Setting(LIMITS, libraries=installed([str(tmp_path)])), 1.0, False)

    before = key()
    assert before == key()
    (tmp_path / "numpy-2.1.0.dist-info").rename(tmp_path / "numpy-2.1.1.dist-info")
    assert before != key()
    with Sandbox(LIMITS, preload=["numpy"]) as sandbox:
        assert sandbox._setting.libraries == installed(sandbox._setting.paths)


def test_faults_of_the_machinery_are_not_remembered(tmp_path, monkeypatch):
    cache = VerdictCache(tmp_path / "verdicts.sqlite")
    with Sandbox(LIMITS, cache=cache) as sandbox:
        monkeypatch.setattr("rrtf_ray.sandbox.process.Zygote.receive_report", _no_report)
        assert run(sandbox, [GOOD], DOUBLE, "double")[0].outcome is Outcome.SANDBOX_ERROR
        monkeypatch.undo()
        assert run(sandbox, [GOOD], DOUBLE, "double")[0].outcome is Outcome.PASSED


def _no_report(self, deadline):
    raise self.fault(OSError("no report"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with Sandbox(LIMITS, cache=VerdictCache(tmp_path / "file" / "verdicts.sqlite")) as sandbox:
        assert run(sandbox, [GOOD], DOUBLE, "double")[0].outcome is Outcome.PASSED
    assert "verdicts are not remembered" in caplog.text


# ---- libraries


def test_preloaded_libraries_are_there_and_their_values_travel():
    limits = Limits(cpu_s=5, wall_s=20, memory_mb=2048)
    tests = check("import numpy", "assert candidate([1, 2]).tolist() == [2, 4]", "assert candidate(3) == 6")
    program = "import numpy\ndef f(x): return numpy.array(x) * 2\n"
    with Sandbox(limits) as plain, Sandbox(limits, preload=["numpy"]) as sandbox:
        assert sandbox.isolation == plain.isolation  # a library costs no layer, wherever it lies
        assert run(sandbox, [program], tests)[0].outcome is Outcome.PASSED
    with Sandbox(limits) as sandbox:
        verdict = run(sandbox, [program], check("assert candidate(3) == 6"))[0]
        assert "No module named 'numpy'" in verdict.detail


def test_a_library_that_is_not_there_is_named():
    with pytest.raises(SandboxError, match="no_such_library"):
        Sandbox(LIMITS, preload=["no_such_library"])

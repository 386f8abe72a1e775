"""JavaScript programs under the same tests, limits and layers as Python's."""

from __future__ import annotations

import os
import shutil

import pytest

from rrtf_ray.errors import DataError, SandboxError
from rrtf_ray.records import Language, Outcome, ProblemKind, Test, TestKind, TestStatus
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.sandbox.languages import runner_of

LIMITS = Limits(wall_s=12.0, cpu_s=3.0, memory_mb=256)
SUM = "function f(xs) { return xs.reduce((a, b) => a + b, 0); }\n"
SUM_TEST = """def check(candidate):
    assert candidate([1, 2]) == 3
    assert candidate([]) == 0
    assert all(candidate(list(range(n))) == n * (n - 1) // 2 for n in range(5))
"""
NAMESPACES = ("pid_namespace", "mount_namespace", "network_namespace", "ipc_namespace")

pytestmark = pytest.mark.skipif(not (shutil.which("node") or shutil.which("nodejs")), reason="this machine has no node")


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(LIMITS) as shared:
        yield shared


def check(*statements):
    return [Test(TestKind.CHECK, "def check(candidate):\n" + "".join(f"    {line}\n" for line in statements))]


def verdict(sandbox, program, tests, entry_point="f", kind=ProblemKind.FUNCTION):
    return sandbox.run([program], tests, kind=kind, entry_point=entry_point, language=Language.JAVASCRIPT)[0]


@pytest.mark.parametrize(
    ("program", "outcome", "detail"),
    [
        (SUM, Outcome.PASSED, ""),
        ("const f = xs => xs.length;", Outcome.FAILED, "assert candidate([1, 2]) == 3"),
        ("function f(xs) {", Outcome.COMPILE_ERROR, "SyntaxError: Unexpected end of input"),
        ("while (true) {}", Outcome.TIMEOUT, "cpu limit"),
        ("function f(xs) { for (;;); }", Outcome.TIMEOUT, "cpu limit"),
        ("\n\nthrow new Error('broken');", Outcome.RUNTIME_ERROR, "Error: broken (line 3)"),
        ("let g = 1;", Outcome.RUNTIME_ERROR, "ReferenceError: f is not defined"),
        ("const f = 3;", Outcome.RUNTIME_ERROR, "TypeError"),
        ("  \n", Outcome.NO_CODE, ""),
        ("const a = []; for (;;) a.push(new Array(1000).fill(a.length));", Outcome.OUT_OF_MEMORY, "memory limit"),
        ("function f(xs) { return f(xs) + 1; }", Outcome.RUNTIME_ERROR, "Maximum call stack"),
        ("process.exit(0)", Outcome.RUNTIME_ERROR, "ended before its tests were over"),
        ("process.reallyExit(0)", Outcome.RUNTIME_ERROR, "ended before its tests were over"),
    ],
)
def test_outcomes(sandbox, program, outcome, detail):
    found = verdict(sandbox, program, [Test(TestKind.CHECK, SUM_TEST)])
    assert found.outcome is outcome
    assert detail in found.detail
    assert not found.inside


def test_each_test_has_its_own_status(sandbox):
    found = verdict(sandbox, "const f = xs => xs.length;", [Test(TestKind.CHECK, SUM_TEST)])
    assert found.tests == (TestStatus.FAILED, TestStatus.PASSED, TestStatus.FAILED)


@pytest.mark.parametrize(
    ("program", "statements"),
    [
        ("const f = () => [null, undefined, true, 1, 1.5, 'é', '\\ud800'];",
         ["assert candidate() == [None, None, True, 1, 1.5, 'é', '\\ud800']"]),
        ("const f = () => 2n ** 70n;", ["assert candidate() == 2 ** 70"]),
        ("const f = () => 2 ** 60;", ["assert candidate() == 2 ** 60"]),
        ("const f = () => [NaN, Infinity, -Infinity];",
         ["x, y, z = candidate()", "assert x != x and y == float('inf') and z == -y"]),
        ("const f = (x) => ({sum: x.a + x.b, keys: Object.keys(x)});",
         ["assert candidate({'a': 1, 'b': 2}) == {'sum': 3, 'keys': ['a', 'b']}"]),
        ("const f = (m) => new Map([...m].map(([k, v]) => [v, k]));", ["assert candidate({1: 'a'}) == {'a': 1}"]),
        ("const f = (s) => new Set([...s].map((x) => x * 2));", ["assert candidate({1, 2}) == {2, 4}"]),
        ("function f(xs) { xs.sort((a, b) => a - b); }", ["xs = [3, 1, 2]", "candidate(xs)", "assert xs == [1, 2, 3]"]),
        ("const f = (xs) => (xs.push(9), xs);", ["xs = [1]", "assert candidate(xs) is xs", "assert xs == [1, 9]"]),
        ("function f(n) { if (n < 0) throw new RangeError('negative'); return Math.sqrt(n); }",
         ["try:", "    candidate(-1)", "    assert 0", "except ValueError:", "    pass", "assert candidate(9) == 3"]),
    ],
)  # fmt: skip
def test_values_and_exceptions_travel(sandbox, program, statements):
    assert verdict(sandbox, program, check(*statements)).outcome is Outcome.PASSED


@pytest.mark.parametrize("program", ["module.exports = x => x + 1", "exports.f = x => x + 1", "var f = x => x + 1"])
def test_exports_are_found(sandbox, program):
    assert verdict(sandbox, program, check("assert candidate(1) == 2")).outcome is Outcome.PASSED


def test_value_tests_and_methods(sandbox):
    program = "class Solution { f(x) { return this.twice(x) + 1; } twice(x) { return 2 * x; } }"
    tests = [Test(TestKind.VALUE, "(2,)", "5"), Test(TestKind.VALUE, "(0.25,)", "1.5", atol=1e-9)]
    assert verdict(sandbox, program, tests, "new Solution().f").outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("const [a, b] = require('fs').readFileSync(0, 'utf8').split(' ').map(Number);\nconsole.log(a + b)",
         Outcome.PASSED),
        ("const [a, b] = require('fs').readFileSync('/dev/stdin', 'utf8').split(' ').map(Number);\nconsole.log(a + b)",
         Outcome.PASSED),
        ("let s = ''; process.stdin.on('data', d => s += d).on('end', () => {"
         "const [a, b] = s.split(' ').map(Number); console.log(a + b); })", Outcome.PASSED),
        ("require('readline').createInterface({input: process.stdin}).on('line', l => {"
         "const [a, b] = l.split(' ').map(Number); console.log(a + b); })", Outcome.PASSED),
        ("console.log(3)", Outcome.FAILED),
        ("console.log(", Outcome.COMPILE_ERROR),
        ("throw new TypeError('no')", Outcome.RUNTIME_ERROR),
        ("console.log(3); process.exit(1)", Outcome.RUNTIME_ERROR),
        ("for (;;);", Outcome.TIMEOUT),
    ],
)  # fmt: skip
def test_scripts(sandbox, program, outcome):
    tests = [Test(TestKind.STDIO, "1 2\n", "3\n"), Test(TestKind.STDIO, "20 22\n", "42\n")]
    assert verdict(sandbox, program, tests, "", ProblemKind.STDIO).outcome is outcome


# Each action that is refused adds nothing.
REACH = """
const done = [];
const attempt = (name, action) => { try { action(); done.push(name); } catch {} };
const fs = require('fs');
attempt('write', () => fs.writeFileSync('/tmp/@', 'x'));
attempt('read', () => fs.readFileSync('/etc/passwd'));
attempt('spawn', () => { const {error} = require('child_process').spawnSync('/bin/sh', ['-c', 'id']);
                         if (error) throw error; });
attempt('kill', () => process.kill(process.ppid || 1, 'SIGTERM'));
attempt('environment', () => { if (!process.env.PATH && !process.env.HOME) throw 0; });
attempt('processes', () => { if (!fs.readdirSync('/proc').length) throw 0; });
const f = () => done;
"""


@pytest.mark.parametrize("without", [(), NAMESPACES], ids=["all layers", "no namespaces"])
def test_a_program_reaches_nothing(without):
    with Sandbox(LIMITS, without=without) as sandbox:
        assert verdict(sandbox, REACH, check("assert candidate() == []")).outcome is Outcome.PASSED


def test_forged_messages_do_not_pass(sandbox):
    forged = (
        "const fs = require('fs'); const text = Buffer.from(JSON.stringify(['v', 3, []]));\n"
        "const head = Buffer.alloc(4); head.writeUInt32BE(text.length);\n"
        "for (let fd = 0; fd < 32; fd++) { try { for (let i = 0; i < 9; i++) "
        "fs.writeSync(fd, Buffer.concat([head, text])); } catch {} }\nprocess.reallyExit(0);\n"
    )
    found = verdict(sandbox, forged, check("assert candidate(1) == 3", "assert candidate(2) == 4"))
    assert found.outcome in (Outcome.FAILED, Outcome.RUNTIME_ERROR)


def test_both_languages_in_one_sandbox(sandbox):
    tests = [Test(TestKind.CHECK, SUM_TEST)]
    python = sandbox.run(["f = sum"], tests, kind=ProblemKind.FUNCTION, entry_point="f")[0]
    assert (python.outcome, verdict(sandbox, SUM, tests).outcome) == (Outcome.PASSED, Outcome.PASSED)


def test_calls_that_depend_on_results_are_an_error_of_the_machinery(sandbox):
    found = verdict(sandbox, "const f = x => x + 1;", check("assert candidate(int(candidate(1))) == 3"))
    assert found.outcome is Outcome.SANDBOX_ERROR
    assert "depend on its results" in found.detail


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ([Test(TestKind.ASSERT, "assert helper(1) == 2")], "the tests use helper"),
        ([Test(TestKind.ASSERT, "assert f(print) == 2")], "no call depend on"),
        ([Test(TestKind.ASSERT, "assert f(f(1)) == 2")], "no call depend on"),
        ([Test(TestKind.UNITTEST, "import unittest\nclass A(unittest.TestCase):\n    def test(self): f(1)")], "calls"),
    ],
)
def test_tests_that_cannot_be_foreseen_are_refused(sandbox, tests, message):
    with pytest.raises(DataError, match=message):
        verdict(sandbox, SUM, tests)


def test_without_node_the_error_names_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    runner_of.__globals__["_node"].cache_clear()
    try:
        with pytest.raises(SandboxError, match=r"install Node\.js"):
            runner_of(Language.JAVASCRIPT, LIMITS)
    finally:
        runner_of.__globals__["_node"].cache_clear()


def test_the_interpreters_version_is_part_of_its_identity(tmp_path, monkeypatch):
    node = tmp_path / "node"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    identities = []
    try:
        for version in ("v18.0.0", "v18.0.1"):
            node.write_text(f"#!/bin/sh\necho {version}\n")
            node.chmod(0o755)
            os.utime(node, (0, 0))
            runner_of.__globals__["_node"].cache_clear()
            runner = runner_of(Language.JAVASCRIPT, LIMITS)
            identities.append(runner.identity)
    finally:
        runner_of.__globals__["_node"].cache_clear()
    assert len({*identities}) == 2
    assert "v18.0.1" in identities[1]

"""Other people's data sets: recognised by their first row; right programs pass their tests and wrong ones do not."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import pickle
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rrtf_ray import cli
from rrtf_ray.core.extraction import extract_for
from rrtf_ray.errors import DataError
from rrtf_ray.execution import run_problem
from rrtf_ray.problems import FORMATS, format_of, load, read_manifest
from rrtf_ray.problems.catalogue import table
from rrtf_ray.problems.formats import packed
from rrtf_ray.problems.formats.javascript_tests import assertions_of
from rrtf_ray.problems.source import read_rows
from rrtf_ray.records import Language, Outcome, Problem, ProblemKind, Split, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from tests.problems import rows
from tests.problems.public_rows import NAMED, PUBLIC, SOLUTIONS, public_row

LIMITS = Limits(wall_s=120, cpu_s=30)


def load_one(folder: Path, name: str, /, **changes: Any) -> Problem:
    format_name = name.split()[0] if name in NAMED else "auto"
    [problem] = load(format_name, rows.write_jsonl(folder / "own.jsonl", [public_row(name, **changes)]))
    return problem


def wrong(problem: Problem) -> str:
    """A program that does nothing right."""
    if problem.kind is ProblemKind.STDIO:
        return "print('nothing')\n"
    if problem.language is Language.JAVASCRIPT:
        return f"function {problem.entry_point}() {{ return 'nothing'; }}\n"
    name, _, method = problem.entry_point.partition("().")
    if method or name[0].isupper():
        return f"class {name}:\n    def __getattr__(self, name):\n        return lambda *_: 'nothing'\n"
    return f"def {name}(*_):\n    return 'nothing'\n"


@pytest.mark.parametrize("name", PUBLIC)
def test_right_programs_pass_and_wrong_ones_do_not(name: str, tmp_path: Path) -> None:
    source = rows.write_jsonl(tmp_path / "own.jsonl", [public_row(name)])
    assert format_of(source) == name.split()[0]
    [problem] = load("auto", source)
    response = problem.reference or SOLUTIONS[name]
    right = extract_for(problem, response).program
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        verdicts = run_problem(sandbox, problem, [right, wrong(problem)])
    assert verdicts[0].outcome is Outcome.PASSED, verdicts[0].detail
    assert verdicts[1].outcome in (Outcome.FAILED, Outcome.RUNTIME_ERROR)


def test_every_public_format_is_tried() -> None:
    own = {"evalplus", "leetcode", "stdio", "humaneval", "mbpp", "mbpp-challenge", "parquet", "humanevalfix"}
    assert {name.split()[0] for name in PUBLIC} | own == set(FORMATS)


def test_rows_of_our_own_formats_are_recognised_as_before(tmp_path: Path) -> None:
    for name in ("evalplus", "leetcode", "stdio", "humaneval", "mbpp"):
        assert format_of(rows.write_jsonl(tmp_path / "p.jsonl", [getattr(rows, name)()])) == name


def test_a_file_of_two_formats_is_refused_where_they_change(tmp_path: Path) -> None:
    many = [rows.humaneval(task_id=f"own/{i}") for i in range(999)]
    source = rows.write_jsonl(tmp_path / "p.jsonl", [*many, rows.mbpp()])
    with pytest.raises(
        DataError, match=r"p\.jsonl:1000: the row looks like the format 'mbpp', .* 'humaneval' since .*p\.jsonl:1;"
    ):
        list(load("auto", source))


@pytest.mark.parametrize(
    ("task_id", "split"),
    [
        ("Python/3", Split.HELD_OUT),
        ("Python/mine", Split.TRAIN),
        ("MultiLineInfilling/HumanEval/0/L0_L1", Split.HELD_OUT),
        ("RandomSpanInfillingLight/HumanEval/0/1", Split.HELD_OUT),
        ("own/0", Split.TRAIN),
    ],
)
def test_splits_of_ids(task_id: str, split: Split, tmp_path: Path) -> None:
    name = "infilling" if "Infilling" in task_id or task_id == "own/0" else "humanevalpack"
    assert load_one(tmp_path, name, task_id=task_id).split is split


def test_splits_of_benchmarks(tmp_path: Path) -> None:
    held_out = {name for name in PUBLIC if load_one(tmp_path, name).split is Split.HELD_OUT}
    train = {"apps", "codecontests", "codeforces", "verifiable", "prime", "deepcoder", "kodcode", "acecode"}
    assert {name for name in PUBLIC if name.split()[0] in train} | {"multipl-e javascript", "mbppplus"} == set(
        PUBLIC
    ) - held_out


def test_the_documentation_has_the_same_table(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "problems.md").read_text(encoding="utf-8")
    lines = [f"| `{name}` | {about} | {fields} |" for name, about, fields in table()]
    assert "| format | for | recognised by |\n|---|---|---|\n" + "\n".join(lines) + "\n\n" in page
    assert cli.main(["problems", "formats"]) == 0
    said = capsys.readouterr().out
    for name, known in FORMATS.items():
        assert f"{name}\n" in said
        assert ", ".join(known.fields) in said


@pytest.mark.parametrize("given", [[], ["--format", "auto"], ["--format", "apps"]])
def test_the_command_recognises_the_format(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = rows.write_jsonl(tmp_path / "p.jsonl", [public_row("apps")])
    assert cli.main(["problems", "import", "--input", source, "--output", str(tmp_path / "set"), *given]) == 0
    assert "1 problems written" in capsys.readouterr().out
    assert read_manifest(str(tmp_path / "set"))["format"] == "apps"


# --- judges


@pytest.mark.parametrize(
    ("value", "got", "right"),
    [
        ([[3]], "3", True),
        ([[3]], "[3]", True),
        ([[[1, 2]]], "(1, 2)", True),
        ([[[1, 2]]], "[1]", False),
        ([[0.5]], "0.5000001", True),
        ([3], "3", True),
        ([[1, 2]], "(1, 2)", True),
        ([{"1": [2]}], "{1: (2,)}", True),
        ([{"1": [2]}], "{1: (3,)}", False),
    ],
)
def test_values_that_json_changed(value: Any, got: str, right: bool, tmp_path: Path) -> None:
    tests = {"fn_name": "plus", "inputs": [[2, 5]], "outputs": value}
    problem = load_one(tmp_path, "apps", input_output=json.dumps(tests))
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        [verdict] = run_problem(sandbox, replace(problem, reference=""), [f"def plus(a, b):\n    return {got}\n"])
    assert (verdict.outcome is Outcome.PASSED) is right


def test_rows_without_tests_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    empty = public_row("apps", problem_id=8, input_output="")
    source = rows.write_jsonl(tmp_path / "p.jsonl", [public_row("apps"), empty, {**empty, "problem_id": 9}])
    with caplog.at_level(logging.WARNING):
        assert [problem.id for problem in load("apps", source)] == ["apps/7"]
    assert re.search(r"apps: 2 of 3 rows are left out; the first: .*p\.jsonl:2: has no tests", caplog.text)
    with pytest.raises(DataError, match=r"p\.jsonl:1: has no tests"):
        list(load("apps", rows.write_jsonl(tmp_path / "p.jsonl", [empty])))


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("apps", {"input_output": "{"}, r"own\.jsonl:1: the field 'input_output' is not JSON .*correct it"),
        ("apps", {"input_output": '{"inputs": [1], "outputs": []}'}, "not lists of one length"),
        (
            "apps",
            {"input_output": '{"fn_name": "a b", "inputs": [[]], "outputs": [1]}'},
            "fn_name='a b' .*is not the name",
        ),
        ("codecontests", {"public_tests": {"input": ["1"]}}, "'public_tests' has no lists 'input' and 'output'"),
        ("codecontests", {"input_file": "in.txt"}, "read or write a file"),
        ("codeforces", {"generated_checker": "import sys"}, "'generated_checker' is a program that reads files"),
        ("codeforces", {"input_mode": "file"}, "input_mode='file' is not 'stdio'"),
        ("codeforces", {"interaction_format": "Ask."}, "it is interactive"),
        ("multipl-e javascript", {"tests": "assert.deepEqual(plus(x), 1);"}, "assertions that Python cannot test"),
        ("apps", {"input_output": f'{{"inputs": ["1"], "outputs": [{"9" * 5000}]}}'}, "Exceeds the limit"),
        ("verifiable", {"verification_info": {"language": "cpp", "test_cases": []}}, "its language is 'cpp'"),
        ("prime", {"ability": "math"}, "its ability is 'math', not 'code'"),
        ("prime", {"prompt": []}, "no message of the role 'user'"),
        ("deepcoder", {"tests": '[{"input": 1}]'}, "test 0 is not an object with 'input' and 'output'"),
        ("deepcoder", {"tests": '[{"input": "1", "output": "1", "type": "functional"}]'}, "its name is nowhere"),
        ("livecodebench function", {"public_test_cases": '[{"input": "x", "output": "1", "testtype": "functional"}]'},
         "test 0: 'x' is not JSON"),
        ("kodcode", {"test": "def test_a(client):\n    pass\n"}, "test_a: needs the fixture client"),
        ("kodcode", {"test": "import pytest\ndef test_a():\n    pytest.skip()\n"}, "test_a: uses pytest.skip"),
        ("kodcode", {"test": "def test_a(:\n"}, "the field 'test' is not valid Python"),
        ("acecode", {"test_cases": ["assert 1"]}, "call no function of a solution"),
        ("humaneval-x", {"task_id": "Go/0"}, "task_id='Go/0' is of no language that can be run here"),
        ("humaneval-x javascript", {"test": "console.log(1)"}, "nothing that Python could test"),
        ("multipl-e", {"language": "rs"}, "the field 'language' is 'rs'; valid are py"),
        ("evoeval", {"inputs": "open('x')"}, "'inputs' is no literal list of inputs"),
        ("cruxeval", {"input": ")"}, "the field 'input' is not valid Python"),
        ("mbppplus", {"test": "import numpy as np\nassert np.sum(plus(1, 2)) == 3\n"}, "uses np.sum, which no test"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(name: str, changes: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=says) as caught:
        load_one(tmp_path, name, **changes)
    assert "own.jsonl:1" in str(caught.value)


def changed_anywhere(value: Any) -> Iterator[Any]:
    """The value with something of another type in its place, and in the place of each of its parts."""
    yield from (None, 3, -0.5, True, "x", "", [], {}, [1], [None], {"a": 1}, [[]], [{}], "[1]", '{"a": [1]}')
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            yield from map(json.dumps, changed_anywhere(json.loads(value)))
    for key, part in value.items() if isinstance(value, dict) else ():
        yield from ({**value, key: other} for other in changed_anywhere(part))
        yield {name: one for name, one in value.items() if name != key}
    for number, part in enumerate(value if isinstance(value, list) else ()):
        yield from ([*value[:number], other, *value[number + 1 :]] for other in changed_anywhere(part))


@pytest.mark.parametrize("name", PUBLIC)
def test_fields_of_other_types_are_read_or_refused(name: str, tmp_path: Path) -> None:
    for field, value in public_row(name).items():
        if name == "evoeval" and field != "inputs":  # each row that is read runs a reference
            continue
        for other in changed_anywhere(value):
            source = rows.write_jsonl(tmp_path / "own.jsonl", [public_row(name, **{field: other})])
            try:
                assert len(list(load(name.split()[0], source))) == 1
            except DataError as error:
                assert "own.jsonl:1" in str(error)  # noqa: PT017


def test_a_checker_decides_in_place_of_the_comparison(tmp_path: Path) -> None:
    checker = "def check(given, got, expected):\n    return len(got) == len(expected)\n"
    source = rows.write_jsonl(tmp_path / "p.jsonl", [rows.stdio(checker=checker, prompt="Any number of one digit.")])
    [problem] = load("auto", source)
    assert {test.checker for test in problem.tests} == {checker}
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        verdicts = run_problem(sandbox, problem, ["print(5)\n", "print(55)\n"])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED, Outcome.FAILED]
    rows.write_jsonl(tmp_path / "p.jsonl", [rows.stdio(checker="def other(): pass\n")])
    with pytest.raises(DataError, match=r"p\.jsonl:1: the field 'checker' defines no check\(given, got, expected\)"):
        list(load("auto", source))


# --- packed tests


class _Called:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was run",)


def pack(value: Any, protocol: int = 4) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickled_text_is_read_without_running_the_pickle(protocol: int) -> None:
    for text in ("[]", 'ü"\n' * 300):
        assert packed.unpacked_text(pack(text, protocol)) == text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (pack(_Called()), "a pickle of something else than a text .*not run"),
        (pack([1]), "a pickle of something else"),
        (pack("no JSON"), "cannot be unpacked: Expecting value"),
        ("!!", "neither JSON nor base64"),
        (base64.b64encode(b"no").decode(), "neither JSON nor base64"),
        (base64.b64encode(zlib.compress(b"[1]" * 50)[:-5]).decode(), "its end is missing"),
        (base64.b64encode(zlib.compress(b"x")).decode(), "cannot be unpacked"),
        ('{"a": 1}', "is no list of tests"),
    ],
)
def test_packed_tests_that_cannot_be_read(value: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"own.jsonl:1: the field 'private_test_cases' .*{says}|{says}"):
        load_one(tmp_path, "livecodebench", private_test_cases=value)


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(packed, "MAX_BYTES", 1 << 20)
    with pytest.raises(DataError, match="longer than 1 MiB when unpacked; fetch the file again"):
        load_one(tmp_path, "livecodebench", private_test_cases=pack("x" * (2 << 20)))


# --- tests in other forms


def test_pytest_functions_become_tests(tmp_path: Path) -> None:
    problem = load_one(tmp_path, "kodcode")
    codes = [test.code for test in problem.tests]
    assert len(codes) == 5  # all but the one with a fixture
    assert codes[0] == "ZERO = 0\nassert plus(2, 5) == 7\n"
    assert "for a, wanted in [(1, 2), (3, 4)]:" in codes[4]
    assert not any("solution" in code for code in codes)
    assert "def plus(a, b):" in problem.prompt


def test_assertions_in_javascript() -> None:
    test = r"""
      const candidate = f; // console.assert(f(9))
      console.assert(candidate({a: -1.5, 'b': [undefined, true]}, "x\u00e9\n", `t`) !== null, 'message');
      console.assert(!f(0x10) || Math.abs(f(2 ** 3) - 1e-3) <= 007.5 && f((1, 2)) == 6.0);
      assert.deepEqual(candidate(9007199254740993), [Infinity]);
      assert.strictEqual(f(x), 1); assert.throws(() => f(1)); console.assert(f(1).length === 2); console.assert(1 === 1)
    """
    found = assertions_of(test, "f")
    assert found.lines == [
        "assert candidate({'a': -1.5, 'b': [None, True]}, 'xé\\n', 't') != None",
        "assert (not candidate(16)) or ((abs((candidate((2 ** 3)) - 1e-3)) <= 7.5) and (float(candidate(2)) == 6.0))",
        "assert candidate(9007199254740992.0) == [float('inf')]",
    ]
    assert len(found.left_out) == 4


def test_plus_rows_are_no_plain_mbpp(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    problem = load_one(tmp_path, "mbppplus")
    assert [test.kind for test in problem.tests] == [TestKind.ASSERT, TestKind.VALUE, TestKind.VALUE]
    assert problem.tests[2].code == "(inf, 1)"
    source = rows.write_jsonl(tmp_path / "p.jsonl", [public_row("mbppplus")])
    with caplog.at_level(logging.WARNING):
        assert len(next(load("mbpp", source)).tests) == 1
    assert "the tests in the field 'test' are not read; --format mbppplus reads them" in caplog.text


def test_scripts_that_compare_in_their_own_way_are_kept(tmp_path: Path) -> None:
    script = public_row("mbppplus")["test"].replace("    if atol", "    out, exp = set(out), set(exp)\n    if atol", 1)
    script = script.replace("[[2, 5], [float('inf'), 1]]", "[[[2], [5, 2]]]").replace("[7, inf]", "[[5, 2]]")
    problem = load_one(tmp_path, "mbppplus", test=script, test_list=["assert plus([1], []) == [1]"])
    assert [test.kind for test in problem.tests] == [TestKind.ASSERT, TestKind.ASSERT]
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        verdicts = run_problem(sandbox, problem, ["def plus(a, b): return a + b", "def plus(a, b): return a"])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED, Outcome.FAILED]


@pytest.mark.parametrize(
    ("name", "field"),
    [("kodcode", "test"), ("mbppplus", "test"), ("evoeval", "inputs"), ("multipl-e", "tests"), ("cruxeval", "output")],
)
@pytest.mark.parametrize(
    "text", ["-" * 50_000 + "1", "[" * 5000 + "]" * 5000, "x" + ".x" * 50_000, "1+" * 50_000 + "1"]
)
def test_what_is_nested_too_deep_is_named(name: str, field: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"own\.jsonl:1"):
        load_one(tmp_path, name, **{field: text})


def test_an_input_may_be_a_whole_call(tmp_path: Path) -> None:
    for text in ("'a', 2", "f('a', y=2)"):
        problem = load_one(tmp_path, "cruxeval", input=text)
        assert problem.tests[0].code == f"assert f({text.removeprefix('f(').removesuffix(')')}) == ['a', 'a']"


def test_a_hole_that_is_only_a_lines_end(tmp_path: Path) -> None:
    whole = "def plus(a, b):\n    return a + b "
    problem = load_one(tmp_path, "infilling", prompt=whole, canonical_solution="\n", suffix="")
    assert (problem.reference, problem.suffix) == ("\n", "\n")


def test_a_function_to_repair_follows_a_comment_with_its_bug(tmp_path: Path) -> None:
    problem = load_one(tmp_path, "humanevalfix", example_test="def check(plus):\n    assert plus(1, 2) == 3\n")
    assert problem.prompt == (
        "# This version of plus has a bug:\n#\n# def plus(a, b):\n#     return a\n#\n"
        "# Its tests fail with incorrect output, among them:\n#\n# def check(plus):\n#     assert plus(1, 2) == 3\n#\n"
        "# This is plus without the bug:\n\ndef plus(a, b):\n"
    )
    without = load_one(tmp_path, "humanevalfix", example_test="")
    assert "# Its tests fail with incorrect output.\n# This is plus" in without.prompt
    in_javascript = load_one(tmp_path, "humanevalfix javascript")
    assert in_javascript.prompt.startswith("// This version of plus has a bug:\n//\n// ")
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        for fix, buggy in ((problem, "    return a\n"), (in_javascript, "  return a;\n}\n")):
            programs = [extract_for(fix, text).program for text in (fix.reference, buggy)]
            verdicts = run_problem(sandbox, fix, programs)
            assert [v.outcome for v in verdicts] == [Outcome.PASSED, Outcome.FAILED], fix.id


# --- the public files


@pytest.mark.slow
@pytest.mark.parametrize(("name", "num_failing"), [("humanevalpack-python.jsonl", 0), ("humanevalpack-js.jsonl", 1)])
def test_public_bugs_fail_and_their_fixes_pass(name: str, num_failing: int) -> None:
    source = rows.shared_file(f"problems/{name}")
    buggy = {row.text("task_id"): row.text("buggy_solution") for row in read_rows(source)}
    failing = []
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        for problem in load("humanevalfix", source):
            programs = [extract_for(problem, text).program for text in (problem.reference, buggy[problem.id])]
            fixed, bug = run_problem(sandbox, problem, programs)
            failing += [] if fixed.outcome is Outcome.PASSED else [problem.id]
            assert bug.outcome is not Outcome.PASSED, problem.id
    assert len(failing) == num_failing, failing  # one needs the package js-md5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_problems", "num_failing"),
    [
        ("humanevalpack-python.jsonl", 164, 0),
        ("humanevalpack-js.jsonl", 164, 1),  # one needs the package js-md5
        ("HumanEval-SingleLineInfilling.jsonl.gz", 1033, 0),
        ("HumanEval-RandomSpanInfilling.jsonl.gz", 1640, 0),
        ("HumanEval-RandomSpanInfillingLight.jsonl.gz", 164, 0),
    ],
)
def test_public_references_pass(name: str, num_problems: int, num_failing: int) -> None:
    from rrtf_ray.problems.check import CheckReport, check_references

    report = CheckReport()
    problems = list(load("auto", rows.shared_file(f"problems/{name}")))
    assert {problem.split for problem in problems} == {Split.HELD_OUT}
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        assert len(list(check_references(problems, sandbox, report))) == num_problems
    assert len(report.failures) == num_failing, str(report)

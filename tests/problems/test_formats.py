"""Every format becomes problems whose references pass."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from rrtf_ray.core.extraction import extract, extract_for
from rrtf_ray.errors import DataError
from rrtf_ray.execution import run_problem
from rrtf_ray.problems import load, read_problems, write_problems
from rrtf_ray.problems.check import CheckReport, check_references
from rrtf_ray.problems.python_source import docstring, fitted_body
from rrtf_ray.records import Language, Outcome, Problem, ProblemKind, Split, TestKind
from rrtf_ray.sandbox import Limits, Sandbox
from tests.problems import rows

# pytest resets the filters that rrtf_ray.core.extraction sets for the sources it parses.
pytestmark = pytest.mark.filterwarnings("ignore:invalid escape sequence", "ignore::SyntaxWarning")

# Wide, because these references have to pass on a busy machine too.
LIMITS = Limits(wall_s=120, cpu_s=30)

ONE_EACH = {
    "humaneval": rows.humaneval,
    "mbpp": rows.mbpp,
    "mbpp-challenge": rows.mbpp,
    "leetcode": rows.leetcode,
    "stdio": rows.stdio,
    "evalplus": rows.evalplus,
}


def load_one(path: Path, format_name: str, **changes: Any) -> Problem:
    [problem] = load(format_name, rows.write_jsonl(path / "own.jsonl", [ONE_EACH[format_name](**changes)]))
    return problem


def test_references_pass_and_wrong_programs_do_not(tmp_path: Path) -> None:
    problems = [load_one(tmp_path, name) for name in ONE_EACH]
    report = CheckReport()
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        checked = list(check_references(problems, sandbox, report))
        wrong = sandbox.run(["print(0)\n"], problems[4].tests, kind=ProblemKind.STDIO, entry_point="")
    assert [problem for problem, _ in checked] == problems
    assert report.outcomes == {Outcome.PASSED: len(problems)}, str(report)
    assert wrong[0].outcome is Outcome.FAILED


def test_report_names_failures(tmp_path: Path) -> None:
    wrong = rows.humaneval(task_id="own/wrong", canonical_solution="    return x\n")
    none = rows.humaneval(task_id="own/none", canonical_solution="")
    report = CheckReport()
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        problems = load("humaneval", rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval(), wrong, none]))
        verdicts = [v for _, v in check_references(problems, sandbox, report)]
    assert verdicts[2] is None
    assert report.num_checked == 2
    assert "1 of 2 references pass" in str(report)
    assert "own/wrong: failed (" in str(report)
    assert "1 problems have no reference" in str(report)


def test_mbpp(tmp_path: Path) -> None:
    problem = load_one(tmp_path, "mbpp")
    assert problem.prompt == '"""\nWrite a function to halve a number.\nassert half(4) == 2\n"""\n'
    assert (problem.id, problem.entry_point, len(problem.tests)) == ("mbpp/601", "half", 2)
    assert "\r" not in problem.reference
    assert len(load_one(tmp_path, "mbpp-challenge").tests) == 3


def test_mbpp_setup_code_runs_after_the_program(tmp_path: Path) -> None:
    code = "class Box:\n    x = 1\ndef get(box):\n    return box.x\n"
    tests = ["assert get(box) == 1"]
    problem = load_one(tmp_path, "mbpp", code=code, test_setup_code="box = Box()", test_list=tests)
    assert problem.tests[0].code == "box = Box()\nassert get(box) == 1"


@pytest.mark.parametrize(
    ("number", "split"),
    [(1, Split.TRAIN), (11, Split.HELD_OUT), (510, Split.HELD_OUT), (511, Split.TRAIN), (974, Split.TRAIN)],
)
def test_mbpp_splits(tmp_path: Path, number: int, split: Split) -> None:
    assert load_one(tmp_path, "mbpp", task_id=number).split is split


def test_a_split_can_be_set(tmp_path: Path) -> None:
    source = rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval(task_id="HumanEval/0")])
    assert next(load("humaneval", source)).split is Split.HELD_OUT
    assert next(load("humaneval", source, split=Split.TRAIN)).split is Split.TRAIN


def test_leetcode_prompt_can_be_continued(tmp_path: Path) -> None:
    problem = load_one(tmp_path, "leetcode")
    assert problem.prompt.endswith('3\n"""\nclass Solution:\n    def add(self, a: int, b: int) -> int:\n')
    assert problem.setup == "from typing import *\nONE = 1\n"
    assert problem.split is Split.HELD_OUT
    program = extract("        return a + b * ONE\n", problem.prompt, problem.entry_point, setup=problem.setup).program
    scope: dict[str, Any] = {}
    exec(program, scope)
    assert scope["Solution"]().add(1, 2) == 3


def test_stdio_statement(tmp_path: Path) -> None:
    problem = load_one(tmp_path, "stdio")
    statement = ast.literal_eval(problem.prompt.strip())
    assert "The sum of a and b." in statement
    assert "total(a, b=0) from standard input" in statement
    assert "Example input:\n[1, 2]\nExample output:\n3" in statement
    assert (problem.kind, problem.entry_point) == (ProblemKind.STDIO, "")
    own = load_one(tmp_path, "stdio", question="Add up.")
    assert ast.literal_eval(own.prompt.strip()).strip().startswith("Add up.")


def test_humaneval_takes_modules_for_granted(tmp_path: Path) -> None:
    test = "def check(candidate):\n    assert math.isclose(candidate(1), 3)\n"
    assert load_one(tmp_path, "humaneval", test=test).tests[0].code == "import math\n" + test


@pytest.mark.parametrize("body", ["  y = 3\n  return x * y\n", "\ty = 3\n\treturn x * y\n", " if x:\n  return 3*x\n"])
def test_bodies_are_fitted_to_their_prompt(body: str) -> None:
    prompt = rows.humaneval()["prompt"]
    fitted = fitted_body(prompt, body + "def other():\n\treturn 1\n")
    compile(prompt + fitted, "<fitted>", "exec")
    assert fitted.endswith("def other():\n\treturn 1\n")


@pytest.mark.parametrize("text", ["plain", 'says "hi"', 'ends with "', r"a\d and \N", '"""', '\\"""', "line\n\ntwo"])
def test_docstrings_keep_the_text(text: str) -> None:
    assert ast.literal_eval(docstring(text).strip()).strip("\n") == text


JAVASCRIPT_CODE = "const twice = (x) => 2 * x;\nfunction half(x) {\n  return x / twice(1);\n}\n"
JAVASCRIPT = [
    ("humaneval", rows.humaneval_javascript()),
    ("mbpp", rows.mbpp(code=JAVASCRIPT_CODE, language="JavaScript")),
    ("stdio", rows.stdio(solution="console.log(3)\n", prompt="Add up. */ {", language="javascript")),
]


@pytest.mark.parametrize(("format_name", "row"), JAVASCRIPT)
def test_javascript(format_name: str, row: dict[str, Any], tmp_path: Path) -> None:
    problems = list(load(format_name, rows.write_jsonl(tmp_path / "js.jsonl", [row])))
    [problem] = problems
    assert problem.language is Language.JAVASCRIPT
    assert problem.reference == row.get("canonical_solution", row.get("code", row.get("solution")))
    assert problem.prompt.startswith("/*")
    assert problem.prompt.count("*/") == 1
    found = extract_for(problem, problem.reference)
    assert found.completion == problem.reference
    assert found.program.endswith(problem.reference)
    write_problems(problems, str(tmp_path / "set"))
    assert list(read_problems(str(tmp_path / "set"))) == problems


def test_javascript_is_tested_in_python(tmp_path: Path) -> None:
    row = rows.humaneval_javascript()
    assert load_one(tmp_path, "humaneval", **row).tests[0].code == "import math\n" + row["test"]
    half = load_one(tmp_path, "mbpp", code=JAVASCRIPT_CODE, language="javascript")
    assert (half.entry_point, half.tests[0].code) == ("half", "assert half(4) == 2")
    with pytest.raises(DataError, match=r"own\.jsonl:1: the field 'test' is not valid Python"):
        load_one(tmp_path, "humaneval", **{**row, "test": "const check = () => {};\n"})
    with pytest.raises(DataError, match=r"own\.jsonl:1: the tests call halve, but the reference defines twice, half"):
        load_one(tmp_path, "mbpp", code=JAVASCRIPT_CODE, language="javascript", test_list=["assert halve(4) == 2"])
    with pytest.raises(DataError, match=r"own\.jsonl:1: there is no statement: give a field 'prompt'"):
        load_one(tmp_path, "stdio", solution="console.log(3)\n", language="javascript")


@pytest.mark.parametrize("format_name", ["humaneval", "mbpp", "stdio"])
def test_languages_of_rows(format_name: str, tmp_path: Path) -> None:
    for language in (None, "python", "Python"):
        assert load_one(tmp_path, format_name, language=language).language is Language.PYTHON
    with pytest.raises(DataError, match=r"own\.jsonl:1: the field 'language' is 'lua'; valid are python, javascript"):
        load_one(tmp_path, format_name, language="lua")
    with pytest.raises(DataError, match=r"own\.jsonl:1: the field 'language' is 3 \(int\), expected a text"):
        load_one(tmp_path, format_name, language=3)


def test_humaneval_x_is_held_out(tmp_path: Path) -> None:
    for task_id, split in (("JavaScript/7", Split.HELD_OUT), ("JavaScript/mine", Split.TRAIN)):
        assert load_one(tmp_path, "humaneval", **rows.humaneval_javascript(task_id=task_id)).split is split


def test_evalplus_restores_types(tmp_path: Path) -> None:
    problem = load_one(tmp_path, "evalplus")
    assert [(t.kind, t.code, t.expected) for t in problem.tests] == [
        (TestKind.VALUE, "((1, 2),)", "(2, 1)"),
        (TestKind.VALUE, "((),)", "()"),
        (TestKind.VALUE, "(('a', 3),)", "(3, 'a')"),
    ]


def test_evalplus_leaves_out_what_it_cannot_use(tmp_path: Path) -> None:
    problem = load_one(
        tmp_path,
        "evalplus",
        canonical_solution=(
            "def turned(t):\n    while t == (9,):\n        pass\n"
            "    if t == (8,):\n        return float('nan')\n    return t[::-1]\n"
        ),
        plus_input=[[[9]], [[8]], [5], [[7, 6]]],
    )
    assert [t.code for t in problem.tests] == ["((1, 2),)", "((7, 6),)"]


def test_evalplus_keeps_infinite_values(tmp_path: Path) -> None:
    endless = "def turned(t):\n    return (float('inf'), -float('inf')) if t == (8,) else t[::-1]\n"
    by_value = load_one(tmp_path, "evalplus", canonical_solution=endless, plus_input=[[[8]]])
    assert by_value.tests[1].expected == "(inf, -inf)"
    prompt = '"""\nShared items.\nassert set(turned((1, 2))) == set((2, 1))\n"""\n'
    wrapped = load_one(tmp_path, "evalplus", prompt=prompt, canonical_solution=endless, plus_input=[[[8]]])
    assert wrapped.tests[1].code == "assert set(turned(*[(8,)])) == set((1e999, -1e999))"
    with Sandbox() as sandbox:
        for problem in (by_value, wrapped):
            assert run_problem(sandbox, problem, [endless])[0].outcome is Outcome.PASSED
            assert run_problem(sandbox, problem, ["def turned(t): return t[::-1]"])[0].outcome is Outcome.FAILED


def test_evalplus_keeps_empty_sets(tmp_path: Path) -> None:
    """MBPP+ 140: a wrapped expected value is the empty set, which repr writes as a call."""
    prompt = '"""\nShared items.\nassert set(turned((1, 2))) == set((2, 1))\n"""\n'
    code = "def turned(t):\n    return set(t)\n"
    problem = load_one(tmp_path, "evalplus", prompt=prompt, canonical_solution=code, plus_input=[[[]]])
    assert problem.tests[1].code == "assert set(turned(*[()])) == set(set())"


def test_evalplus_wraps(tmp_path: Path) -> None:
    unordered = load_one(
        tmp_path,
        "evalplus",
        prompt='"""\nShared items.\nassert set(turned((1, 2))) == set((2, 1))\n"""\n',
        plus_input=[],
    )
    assert unordered.tests[0].kind is TestKind.ASSERT
    assert unordered.tests[0].code == "assert set(turned(*[(1, 2)])) == set((2, 1))"
    truth = load_one(
        tmp_path,
        "evalplus",
        prompt='"""\nIs it.\nassert not turned("x")\n"""\n',
        canonical_solution="import re\ndef turned(t):\n    return re.search('a', t)\n",
        base_input=[["x"], ["ab"]],
        plus_input={},
        contract="",
        assertion="assert not turned('x')\n",
    )
    assert [t.code[-13:] for t in truth.tests] == [" bool(False)", "== bool(True)"] or len(truth.tests) == 2


def test_evalplus_order_of_a_set(tmp_path: Path) -> None:
    problem = load_one(
        tmp_path,
        "evalplus",
        canonical_solution="def turned(t):\n    return tuple(set(t))\n",
        plus_input=[[["ab", "cd", "ef", "gh", "ij"]]],
    )
    assert {t.kind for t in problem.tests} == {TestKind.ASSERT}
    assert "sorted(turned(*" in problem.tests[1].code


# --- the public files


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format_name", "name", "num_problems", "num_failing"),
    [
        ("humaneval", "HumanEval.jsonl", 164, 0),
        # Ten test another function than the prompt asks for, and one asks for a function `check`.
        ("humaneval", "mbpp_sanitized_codet.jsonl", 427, 11),
        ("mbpp", "mbpp.jsonl", 974, 0),
        ("stdio", "stdio_humaneval.jsonl", 164, 0),
    ],
)
def test_public_references_pass(format_name: str, name: str, num_problems: int, num_failing: int) -> None:
    report = CheckReport()
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        checked = list(check_references(load(format_name, rows.shared_file(f"problems/{name}")), sandbox, report))
    assert len(checked) == num_problems
    assert len(report.failures) == num_failing, str(report)


def test_public_leetcode_loads() -> None:
    problems = list(load("leetcode", rows.shared_file("problems/LeetCodeDataset-v0.3.1-test.jsonl")))
    assert len(problems) == 228


@pytest.mark.parametrize("name", ["HumanEvalPlus-Mini.jsonl", "MbppPlus-v0.1.0.jsonl"])
def test_public_evalplus_references_pass(name: str, tmp_path: Path) -> None:
    lines = Path(rows.shared_file(f"problems/{name}")).read_text(encoding="utf-8").splitlines()[:12]
    source = tmp_path / name
    source.write_text("\n".join(lines), encoding="utf-8")
    report = CheckReport()
    with Sandbox(LIMITS, isolation="best_effort") as sandbox:
        assert len(list(check_references(load("evalplus", str(source)), sandbox, report))) == 12
    assert not report.failures, str(report)

"""A small row in each format of other people's data sets, written for these tests."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

ADD = "def plus(a, b):\n    return a + b\n"
SCRIPT = "a, b = map(int, input().split())\nprint(a + b)\n"


def packed(tests: Any) -> str:
    """As LiveCodeBench packs its private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def _livecodebench() -> Row:
    public = [{"input": "2 5\n", "output": "7\n", "testtype": "stdin"}]
    return {
        "question_title": "Total",
        "question_content": "Print the total of two numbers.",
        "question_id": "own_a",
        "starter_code": "",
        "public_test_cases": json.dumps(public),
        "private_test_cases": packed([{"input": "0 1\n", "output": "1\n", "testtype": "stdin"}]),
        "metadata": "{}",
    }


def _livecodebench_function() -> Row:
    return {
        **_livecodebench(),
        "question_id": "own_b",
        "starter_code": "class Solution:\n    def plus(self, a: int, b: List[int]) -> List[int]:\n        ",
        "public_test_cases": json.dumps([{"input": "2\n[5]", "output": "[7]", "testtype": "functional"}]),
        "private_test_cases": json.dumps([{"input": "0\n[]\n", "output": "[]", "testtype": "functional"}]),
        "metadata": json.dumps({"func_name": "plus"}),
    }


def _apps() -> Row:
    return {
        "problem_id": 7,
        "question": "Return the total of a and b.",
        "solutions": json.dumps(["print 'python 2'\n", ADD]),
        "input_output": json.dumps({"fn_name": "plus", "inputs": [[2, 5], [0, 1]], "outputs": [[7], [1]]}),
        "starter_code": "def plus(a, b):\n\t",
    }


def _taco() -> Row:
    tests = {"inputs": ["2 5\n", ["0 1", ""]], "outputs": ["7\n", ["1"]]}
    return {
        "question": "Print the total.",
        "solutions": json.dumps([SCRIPT]),
        "input_output": json.dumps(tests),
        "starter_code": "",
    }


def _codecontests() -> Row:
    return {
        "name": "9_Z. Total",
        "description": "Print the total of two numbers.",
        "public_tests": {"input": ["2 5\n"], "output": ["7\n"]},
        "private_tests": [{"input": "0 1\n", "output": "1\n"}],
        "generated_tests": {"input": [], "output": []},
        "solutions": {"language": [2, 1, 3], "solution": ["int main() {}", "print 1", SCRIPT]},
        "input_file": "",
    }


def _codeforces() -> Row:
    return {
        "id": "9/Z",
        "title": "Total",
        "description": "Print the total.",
        "input_format": "Two numbers.",
        "output_format": "One number.",
        "note": None,
        "examples": [{"input": "2 5", "output": "7"}],
        "official_tests": [{"input": "2 5\n", "output": "7\n"}, {"input": "0 1\n", "output": "1\n"}],
        "generated_checker": None,
        "input_mode": "stdio",
    }


def _verifiable() -> Row:
    return {
        "prompt": "Print the total.",
        "problem_id": "own_1",
        "gold_standard_solution": f"Like so:\n```python\n{SCRIPT}```\n",
        "verification_info": {
            "language": "python",
            "test_cases": [{"fn_name": None, "input": "2 5\n", "output": "7\n", "type": "stdin_stdout"}],
        },
    }


def _prime() -> Row:
    truth = {"inputs": ["2 5\n", "0 1\n"], "outputs": ["7\n", "1\n"]}
    return {
        "data_source": "own",
        "prompt": [{"role": "system", "content": "Think."}, {"role": "user", "content": "Print the total."}],
        "ability": "code",
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth)},
        "extra_info": {"index": 4, "split": "dummy"},
    }


def _deepcoder() -> Row:
    return {
        "problem": "Print the total.",
        "solutions": [f"```python\n{SCRIPT}```"],
        "tests": json.dumps([{"input": "2 5\n", "output": "7\n", "type": "stdin_stdout"}]),
        "starter_code": "",
        "metadata": {},
    }


def _kodcode() -> Row:
    test = (
        "import pytest\nfrom solution import plus\n\nZERO = 0\n\n"
        "def test_small():\n    assert plus(2, 5) == 7\n\n"
        "def test_returns():\n    if plus(ZERO, 0) == 0:\n        return\n    assert False\n\n"
        "def test_near():\n    assert plus(0.1, 0.2) == pytest.approx(0.3)\n\n"
        "def test_wrong():\n    with pytest.raises(TypeError):\n        plus('a', 1)\n\n"
        "@pytest.mark.parametrize('a, wanted', [(1, 2), (3, 4)])\ndef test_each(a, wanted):\n"
        "    assert plus(a, 1) == wanted\n\n"
        "def test_file(tmp_path):\n    assert tmp_path\n"
    )
    return {
        "question_id": "own_k",
        "question": "Return the total.",
        "solution": ADD,
        "test": test,
        "test_info": [{"function_name": "plus", "function_declaration": "def plus(a, b):"}],
    }


def _acecode() -> Row:
    return {
        "id": "own_c",
        "question": "Write plus.",
        "test_cases": ["assert plus(2, 5) == 7", "assert sorted([plus(0, 1), 0]) == [0, 1]"],
        "inferences": [
            {"completion": "no", "pass_rate": 0.5},
            {"completion": f"```python\n{ADD}```", "pass_rate": 1.0},
        ],
    }


def _bigcodebench() -> Row:
    return {
        "task_id": "BigCodeBench/own",
        "complete_prompt": 'import random\n\ndef task_func(n):\n    """Add up to n."""\n',
        "instruct_prompt": "Add up to n.",
        "canonical_solution": "    return sum(range(n))\n",
        "test": (
            "import unittest\nclass TestCases(unittest.TestCase):\n"
            "    def test_three(self):\n        self.assertEqual(task_func(3), 3)\n"
        ),
        "entry_point": "task_func",
    }


def _classeval() -> Row:
    return {
        "task_id": "ClassEval_own",
        "skeleton": "class Box:\n    def more(self, x):\n        pass\n",
        "solution_code": "class Box:\n    def more(self, x):\n        return math.floor(x) + 1\n",
        "import_statement": ["import math"],
        "test": (
            "import unittest\nclass BoxTest(unittest.TestCase):\n"
            "    def test_more(self):\n        self.assertEqual(Box().more(1), 2)\n"
        ),
        "class_name": "Box",
    }


def _cruxeval() -> Row:
    return {"id": "sample_own", "code": "def f(x, y):\n    return [x] * y\n", "input": "'a', 2", "output": "['a', 'a']"}


def _evoeval() -> Row:
    return {
        "task_id": "EvoEval/own",
        "prompt": 'def twin(x):\n    """A pair."""\n',
        "entry_point": "twin",
        "canonical_solution": "    return (x, x)\n",
        "inputs": "[[1], [(2,)]]",
    }


def _infilling() -> Row:
    return {
        "task_id": "SingleLineInfilling/HumanEval/900/L0",
        "prompt": 'def plus(a, b):\n    """The total."""\n    to',
        "suffix": "    return total\n",
        "canonical_solution": "tal = a + b\n",
        "entry_point": "plus",
        "test": "def check(candidate):\n    assert candidate(2, 5) == 7\n",
    }


def _humaneval_x() -> Row:
    return {
        "task_id": "Python/900",
        "prompt": 'def plus(a, b):\n    """The total."""\n',
        "declaration": "def plus(a, b):\n",
        "canonical_solution": "    return a + b\n",
        "test": "def check(plus):\n    assert plus(2, 5) == 7\n    assert plus(0, 1) == 1\n\ncheck(plus)",
        "example_test": "",
    }


def _humaneval_x_javascript() -> Row:
    test = (
        "const testPlus = () => {\n  console.assert(plus(2, 5) === 7) // seven\n"
        "  console.assert(\n    JSON.stringify(plus([], 'x')) === JSON.stringify(\"x\"))\n"
        "  for (let i = 0; i < 2; i++) {\n    console.assert(plus(i, 1) === i + 1)\n  }\n}\n\ntestPlus()\n"
    )
    return {
        "task_id": "JavaScript/900",
        "prompt": "/* The total. */\nconst plus = (a, b) => {\n",
        "declaration": "\nconst plus = (a, b) => {\n",
        "canonical_solution": "  return a + b;\n}\n\n",
        "test": test,
        "example_test": "",
    }


def _multipl_e() -> Row:
    test = (
        "def check(candidate):\n    assert candidate(2, 5) == 7\n\ndef test_check():\n    check(plus)\n\ntest_check()\n"
    )
    return {
        "name": "HumanEval_900_plus",
        "language": "py",
        "prompt": 'def plus(a, b):\n    """The total."""\n',
        "tests": test,
    }


def _multipl_e_javascript() -> Row:
    test = (
        "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = plus;\n"
        '  assert.deepEqual(candidate(2, 5),7);\n  assert.deepEqual(candidate([1], ""),"1");\n}\n\ntest();'
    )
    return {
        "name": "mbpp_900_plus",
        "language": "js",
        "prompt": "//The total.\nfunction plus(a, b){\n",
        "tests": test,
    }


_ASSERTION = (
    "import numpy as np\n\ndef is_floats(x) -> bool:\n    return isinstance(x, (float, np.float32))\n\n"
    "def assertion(out, exp, atol):\n    if atol == 0 and is_floats(exp):\n        atol = 1e-6\n"
    "    if out != exp and atol != 0:\n        assert np.allclose(out, exp, rtol=1e-07, atol=atol)\n"
    "    else:\n        assert out == exp\n\n"
)


def _humanevalplus() -> Row:
    return {
        "task_id": "HumanEval/900",
        "prompt": 'def plus(a, b):\n    """The total."""\n',
        "entry_point": "plus",
        "canonical_solution": "    return a + b\n",
        "test": _ASSERTION + (
            "def check(candidate):\n    inputs = [[2, 5], [0.1, 0.2], [(1,), ()]]\n    results = [7, 0.3, (1,)]\n"
            "    for i, (inp, exp) in enumerate(zip(inputs, results)):\n"
            "        assertion(candidate(*inp), exp, 1e-06)\n"
        ),
    }  # fmt: skip


def _mbppplus() -> Row:
    return {
        "task_id": 601,
        "code": ADD,
        "prompt": "Write a function to add.",
        "test_imports": [],
        "test_list": ["assert plus(2, 5) == 7"],
        "test": _ASSERTION + (
            "inputs = [[2, 5], [float('inf'), 1]]\nresults = [7, inf]\n"
            "for i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion(plus(*inp), exp, 0)\n"
        ),
    }  # fmt: skip


PUBLIC: dict[str, Callable[[], Row]] = {
    "livecodebench": _livecodebench,
    "livecodebench function": _livecodebench_function,
    "apps": _apps,
    "apps without function": _taco,
    "codecontests": _codecontests,
    "codeforces": _codeforces,
    "verifiable": _verifiable,
    "prime": _prime,
    "deepcoder": _deepcoder,
    "kodcode": _kodcode,
    "acecode": _acecode,
    "bigcodebench": _bigcodebench,
    "classeval": _classeval,
    "cruxeval": _cruxeval,
    "evoeval": _evoeval,
    "infilling": _infilling,
    "humaneval-x": _humaneval_x,
    "humaneval-x javascript": _humaneval_x_javascript,
    "humanevalpack": lambda: {**_humaneval_x(), "buggy_solution": "    return a\n", "entry_point": "plus"},
    "humanevalpack javascript": lambda: {
        **_humaneval_x_javascript(),
        "buggy_solution": "  return a;\n}\n",
        "entry_point": "Plus",
    },
    "multipl-e": _multipl_e,
    "multipl-e javascript": _multipl_e_javascript,
    "humanevalplus": _humanevalplus,
    "mbppplus": _mbppplus,
}
"""A row by the name of its format and, after a blank, of its variant."""


NAMED: dict[str, Callable[[], Row]] = {
    "humanevalfix": lambda: {**PUBLIC["humanevalpack"](), "failure_symptoms": "incorrect output"},
    "humanevalfix javascript": PUBLIC["humanevalpack javascript"],
}
"""As PUBLIC, of formats that are read only if they are named."""


def public_row(name: str, /, **changes: Any) -> Row:
    return {**(PUBLIC | NAMED)[name](), **changes}


SOLUTIONS = {
    "livecodebench": SCRIPT,
    "livecodebench function": "        return [a + x for x in b]\n",
    "codeforces": SCRIPT,
    "prime": SCRIPT,
    "multipl-e": "    return a + b\n",
    "multipl-e javascript": "  return a + b;\n}\n",
}
"""Right responses for the formats without references."""

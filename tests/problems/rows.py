"""Small rows in every public format, written for these tests, and where the public files may lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def shared_file(name: str) -> str:
    """The path of a public file; skips the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the public data is not here: {path}")
    return str(path)


def write_jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def humaneval(**changes: Any) -> dict[str, Any]:
    row = {
        "task_id": "own/0",
        "prompt": 'def triple(x):\n    """Three times x."""\n',
        "entry_point": "triple",
        "canonical_solution": "    return 3 * x\n",
        "test": "def check(candidate):\n    assert candidate(2) == 6\n    assert candidate(0) == 0\n",
    }
    return {**row, **changes}


def humaneval_javascript(**changes: Any) -> dict[str, Any]:
    row = {
        "task_id": "own/js",
        "prompt": "/* Three times x. */\nconst triple = (x) => {\n",
        "entry_point": "triple",
        "canonical_solution": " return 3 * x\n}\n",
        "test": "def check(candidate):\n    assert math.isclose(candidate(2), 6)\n    assert candidate(0) == 0\n",
        "language": "javascript",
    }
    return {**row, **changes}


def mbpp(**changes: Any) -> dict[str, Any]:
    row = {
        "task_id": 601,
        "text": "Write a function to halve a number.",
        "code": "def twice(x):\r\n    return 2 * x\r\ndef half(x):\r\n    return x / twice(1)\r\n",
        "test_setup_code": "",
        "test_list": ["assert half(4) == 2", "assert half(twice(3)) == 3"],
        "challenge_test_list": ["assert half(0) == 0"],
    }
    return {**row, **changes}


def leetcode(**changes: Any) -> dict[str, Any]:
    row = {
        "task_id": "sum-of-two",
        "problem_description": "Add a and b.\nExample:\na = 1, b = 2 gives 3",
        "starter_code": "class Solution:\n    def add(self, a: int, b: int) -> int:\n        ",
        "estimated_date": "2024-09-01",
        "prompt": "from typing import *\nONE = 1\n",
        "completion": "class Solution:\n    def add(self, a, b: Optional[int]):\n        return a + b\n",
        "entry_point": "Solution().add",
        "test": "def check(candidate):\n    assert candidate(a=1, b=2) == 3\n",
    }
    return {**row, **changes}


def stdio(**changes: Any) -> dict[str, Any]:
    row = {
        "task_id": "own/sum",
        "inputs": ["[1, 2]\n", "[3, 4]\n"],
        "outputs": ["3\n", "7\n"],
        "solution": (
            'def helper(x):\n    """Nothing."""\n    return x\n\n'
            'def total(a, b=0):\n    """The sum of a and b."""\n    return helper(a) + b\n\n'
            "import json\nprint(json.dumps(total(*json.loads(input()))))\n"
        ),
        "wrong": ["print(0)\n"],
    }
    return {**row, **changes}


def evalplus(**changes: Any) -> dict[str, Any]:
    row = {
        "task_id": "Mbpp/900",
        "prompt": '"""\nWrite a function to reverse a tuple.\nassert turned((1, 2)) == (2, 1)\n"""\n',
        "entry_point": "turned",
        "canonical_solution": "\ndef turned(t):\n    return t[::-1]\n",
        "base_input": [[[1, 2]]],
        "plus_input": [[[]], [["a", 3]]],
        "atol": 0,
        "contract": '\n  assert isinstance(t, tuple), "invalid inputs" # $_CONTRACT_$\n',
        "assertion": "\nassert turned((1, 2)) == (2, 1)\n",
    }
    return {**row, **changes}

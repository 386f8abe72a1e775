"""Extraction: what stays, what goes, and that it never makes a verdict worse."""

from __future__ import annotations

import textwrap

import pytest

from rrtf_ray.core.extraction import extract, extract_for
from rrtf_ray.core.python_code import top_level_chunks
from rrtf_ray.records import Problem, ProblemKind, Test, TestKind

STUB = 'import math\n\n\ndef area(r):\n    """Area of a circle."""\n'
TEXT = '"""\nWrite a function to double a number.\nassert double(2) == 4\n"""\n'
METHOD = "from typing import List\n\nclass Solution:\n    def twice(self, n: int) -> int:\n"
BODY = "    return math.pi * r ** 2\n"


def run(program: str) -> dict[str, object]:
    scope: dict[str, object] = {"__name__": "program"}
    exec(compile(program, "<program>", "exec", dont_inherit=True), scope)
    return scope


def test_a_continuation_is_kept_as_it_is() -> None:
    found = extract(BODY, STUB, "area")
    assert found.completion == BODY
    assert found.program == STUB + BODY


@pytest.mark.parametrize(
    "tail",
    [
        "\nprint(area(3))\n",
        "\n\nassert area(1) == 7\n",
        '\nif __name__ == "__main__":\n    main()\n',
        '"""\nDjango settings for a site.\n"""\n\nimport os\n',
        "from __future__ import division\nimport missing_module\n",
        "\nn, m = input().split()\n",
        "\n\nThis function computes the area (of a circle.\n",
        "\n# Test cases\narea(1)\n",
        "\n@app.route('/')\ndef index():\n    return 1\n",
        "\n\nclass Unused:\n    pass\n",
        "\nsum = 0\nfor i in range(3):\n    print(area(i))\n",
        "\n```\n\nThe code above is right.\n",
        "\n```python\nprint(area(1))\n```\n",
    ],
)
def test_what_a_base_model_adds_goes(tail: str) -> None:
    assert extract(BODY + tail, STUB, "area").completion == BODY


def test_helpers_stay_wherever_they_stand() -> None:
    response = textwrap.dedent(
        """\
            return scaled(r) * FACTORS[0]

        print(area(1))

        FACTORS = []
        for k in range(3):
            FACTORS.append(k + 1)

        def unused():
            pass

        def scaled(r):
            return offset(r)

        def offset(r):
            return r + SHIFT

        SHIFT = 1
        assert area(1) == 5
        """
    )
    found = extract(response, STUB, "area")
    assert "print" not in found.completion
    assert "unused" not in found.completion
    assert "assert" not in found.completion
    assert run(found.program)["area"](4) == 5  # type: ignore[operator]


def test_imports_after_the_body_stay_if_used() -> None:
    response = "    return cos(r)\n\nfrom math import cos\nimport missing_module\n"
    found = extract(response, STUB, "area")
    assert found.completion == "    return cos(r)\n\nfrom math import cos\n"


@pytest.mark.parametrize(
    "body",
    [
        "    return (r *\n",
        "    text = '''never closed\n    return 1\n\nprint(area(1))\n",
        "    if r > 1\n        return 2\n",
        "    x = [1, 2\n    return x\n\nprint(x)\n",
        "    x = r\nreturn x\n",
        "    if r:\n        return 1\nelse:\n        return 2\n",
    ],
)
def test_a_fault_of_the_body_stays(body: str) -> None:
    found = extract(body, STUB, "area")
    assert found.program.startswith(STUB + body.split("\n")[0])
    with pytest.raises(SyntaxError):
        compile(found.program, "<program>", "exec")


@pytest.mark.parametrize("helper", ["def helper(r):\n    return (r\n", "TABLE = {1: 2, 3:"])
def test_a_broken_helper_that_is_used_stays(helper: str) -> None:
    found = extract(f"    return helper(TABLE)\n\n{helper}", STUB, "area")
    with pytest.raises(SyntaxError):
        compile(found.program, "<program>", "exec")


def test_a_broken_tail_that_is_not_used_goes() -> None:
    assert extract(BODY + "\n\ndef other(x):\n    return [x", STUB, "area").completion == BODY


def test_nothing_is_cut_inside_strings_and_brackets() -> None:
    body = '    a = """\nprint(1)\nassert False\n"""\n    b = [\n1,\n]\n# at column 0\n    return a, b\n'
    assert extract(body + "\nprint(2)\n", STUB, "area").completion == body


def test_a_response_that_begins_inside_the_docstring() -> None:
    prompt = 'def area(r):\n    """Area of a circle; use'
    found = extract(' pi.\n\'quoted\n    """\n    return 3 * r * r\n\nprint(area(1))\n', prompt, "area")
    assert run(found.program)["area"](2) == 12  # type: ignore[operator]
    assert "print" not in found.program


@pytest.mark.parametrize(
    "response",
    [
        "Sure! Here it is:\n\n```python\ndef area(r):\n    return r\n```\n\nIt works. `area(1)` is 1.\n",
        "```\ndef area(r):\n    return r\n```",
        "```python\ndef area(r):\n    return r\n",
        "def area(r):\n    return r\n```\nThat is all.",
        "1. First:\n   ```py\n   def area(r):\n       return r\n   ```\n2. Done.",
        "```bash\nmake\n```\nand\n```python\nx = 1\n```\nand\n```python\ndef area(r):\n    return r\n```\n",
        "Here is the function:\n\ndef area(r):\n    return r\n\nIt returns r.",
        " Here is the function:\n\ndef area(r):\n    return r\n",
        "~~~python\ndef area(r):\n    return r\n~~~\n",
    ],
)
def test_chatter_goes(response: str) -> None:
    found = extract(response, STUB, "area")
    assert found.completion == "def area(r):\n    return r\n"
    assert found.program == "import math\n\n\n\ndef area(r):\n    return r\n"


def test_a_fenced_continuation_keeps_its_indentation() -> None:
    found = extract(f"```python\n{BODY}```\n", STUB, "area")
    assert found.completion == BODY
    assert found.program == STUB + BODY


def test_fences_inside_a_docstring_are_no_fences() -> None:
    body = '    """Example:\n    ```\n    area(1)\n    ```\n    """\n    return r\n'
    assert extract(body, "def area(r):\n", "area").completion == body


def test_own_definition_takes_imports_and_helpers_of_the_prompt() -> None:
    prompt = "import math\n\ndef half(x):\n    return x / 2\n\n" + STUB.removeprefix("import math\n")
    found = extract("def area(r):\n    return math.floor(half(r))\n\nprint(area(1))\n", prompt, "area")
    assert '"""' not in found.program
    assert run(found.program)["area"](5) == 2  # type: ignore[operator]


def test_own_definition_after_a_docstring_prompt() -> None:
    response = (
        "import sys\n\nLIMIT = 9\nTABLE = [0] * LIMIT\nfor i in range(LIMIT):\n    TABLE[i] = 2 * i\n\n"
        'def double(n):\n    return TABLE[n]\n"""\nWrite a function to triple.\nassert triple(1) == 3\n"""\n'
        "def triple(n):\n    return 3 * n\n"
    )
    found = extract(response, TEXT, "double")
    assert "triple" not in found.completion
    assert run(found.program)["double"](4) == 8  # type: ignore[operator]


def test_methods() -> None:
    found = extract("        return 2 * n\n\nprint(Solution().twice(1))\n", METHOD, "Solution().twice")
    assert found.program == METHOD + "        return 2 * n\n"
    whole = "class Solution:\n    def twice(self, n: int) -> int:\n        return sum(List[0])\n"
    found = extract(f"```python\n{whole}```", METHOD, "Solution().twice", setup="from math import inf\n")
    assert found.completion == whole
    assert found.program.startswith("from math import inf\n\nfrom typing import List\n")
    assert found.program.count("class Solution") == 1


def test_code_of_another_name_is_code() -> None:
    found = extract("def dbl(n):\n    return 2 * n\n\nprint(dbl(2))\n", TEXT, "double")
    assert found.completion == "def dbl(n):\n    return 2 * n\n"
    assert found.program


def test_a_prompt_that_ends_inside_the_line() -> None:
    found = extract("return 2 * n\n\nprint(1)", "def double(n):\n    ", "double")
    assert found.program == "def double(n):\n    return 2 * n\n"


@pytest.mark.parametrize(
    "response",
    ["", "  \n\n", "I am sorry, I cannot help with that.", "```python\n```", "The answer is 4.\nIt is even."],
)
def test_no_code(response: str) -> None:
    found = extract(response, STUB, "area")
    assert (found.completion, found.program) == ("", "")


def test_future_imports_come_first() -> None:
    response = "from __future__ import annotations\n\ndef double(n: Later) -> Later:\n    return 2 * n\n"
    found = extract(response, "import math\n\n" + TEXT, "double", setup="import sys")
    assert found.program.startswith("from __future__ import annotations\n")
    assert run(found.program)["double"](2) == 4  # type: ignore[operator]


def test_line_ends_and_byte_order_mark() -> None:
    found = extract("\ufeffdef double(n):\r\n\treturn 2 * n\r\n", TEXT.replace("\n", "\r\n"), "double")
    assert found.completion == "def double(n):\n\treturn 2 * n\n"
    assert run(found.program)["double"](2) == 4  # type: ignore[operator]


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("n = int(input())\nprint(n + 1)\n", "n = int(input())\nprint(n + 1)\n"),
        ("Here:\n```python\nprint(input())\n```\nInput:\n```\n3\n```\n", "print(input())\n"),
        ('print(input())\n"""\nNext problem: read two numb', "print(input())\n"),
        ("print(input())\n\nThis reads a line.\n", "print(input())\n"),
        ("print(input()\n", "print(input()\n"),
        ("I cannot do that.", ""),
        ("", ""),
    ],
)
def test_scripts(response: str, program: str) -> None:
    assert extract(response, TEXT, "", ProblemKind.STDIO).program == program


def test_scripts_have_a_setup() -> None:
    found = extract("print(inf)", TEXT, "", ProblemKind.STDIO, setup="from math import inf")
    assert found.program == "from math import inf\n\nprint(inf)\n"


def test_chunks_of_broken_code() -> None:
    assert top_level_chunks("x = (1,\n2)\n@d\ndef f(x)\n    pass\nend of it\n") == [
        "x = (1,\n2)\n",
        "@d\ndef f(x)\n    pass\n",
        "end of it\n",
    ]


HOLE = Problem(
    id="p/0",
    prompt="def area(r):\n    squ",
    kind=ProblemKind.FUNCTION,
    entry_point="area",
    tests=(Test(TestKind.ASSERT, "assert area(1) == 3"),),
    reference="are = r * r\n",
    suffix="    return 3 * square\n",
)


@pytest.mark.parametrize(
    ("response", "middle"),
    [
        ("are = r * r\n", "are = r * r\n"),
        ("are = r * r\n<|endoftext|>", "are = r * r\n"),
        ("<think>hm</think>are = r * r\n", "are = r * r\n"),
        ("```python\nare = r * r\n```", "are = r * r\n"),
        ("are = r * r\n    print(1)\n", "are = r * r\n    print(1)\n"),
    ],
)
def test_a_middle_is_put_between_prompt_and_suffix(response: str, middle: str) -> None:
    found = extract_for(HOLE, response)
    assert found.completion == middle
    assert run(found.program)["area"](2) == 12  # type: ignore[operator]


def test_a_middle_that_is_cut_off_within_reasoning_is_none() -> None:
    assert extract_for(HOLE, "<think>are = r * r\n").program == ""

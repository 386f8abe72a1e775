"""Extraction of JavaScript: what stays, what goes, and that strings and brackets are read as node reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

import pytest

from rrtf_ray.core.extraction import extract_for, whole_program_for
from rrtf_ray.core.javascript import defined_names
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

STUB = "/* Area of a circle. */\nconst area = (r) => {\n"
OLD_STUB = "function area(r) {\n"
METHOD = "class Shape {\n  area(r) {\n"
TEXT = "/*\nWrite a function for the area of a circle.\nassert area(1) == 3\n*/\n"
BODY = "  return 3 * r * r;\n}\n"
OWN = "const area = (r) => {\n  return 3 * r * r;\n};\n"


def problem(prompt: str = STUB, **changes: Any) -> Problem:
    test = Test(TestKind.VALUE, "(1,)", "3") if changes.get("kind") is None else Test(TestKind.STDIO, "", "3")
    fields = {"kind": ProblemKind.FUNCTION, "entry_point": "area", "language": Language.JAVASCRIPT, **changes}
    return Problem(id="own/0", prompt=prompt, tests=(test,), **fields)


def completion_of(response: str, prompt: str = STUB, **changes: Any) -> str:
    return extract_for(problem(prompt, **changes), response).completion


def program_of(response: str, prompt: str = STUB, **changes: Any) -> str:
    return extract_for(problem(prompt, **changes), response).program


def run(program: str, expression: str) -> Any:
    """Node's verdict; the program's own output is discarded."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    script = f"{program}\nprocess.stdout.write(JSON.stringify({expression}));\n"
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("prompt", [STUB, OLD_STUB, "const half = (x) => x / 2;\n\n" + STUB])
@pytest.mark.parametrize("body", [BODY, "return 3 * r\n}\n", "  // by hand\n  return r\n};\n\n", "  return [\n"])
def test_a_continuation_is_kept_as_it_is(prompt: str, body: str) -> None:
    found = extract_for(problem(prompt), body)
    assert found.completion == body
    assert found.program == prompt + body


@pytest.mark.parametrize(
    "tail",
    [
        "\nconsole.log(area(3));\n",
        "\n\nconst testArea = () => {\n  console.assert(area(1) === 3)\n}\n\ntestArea()\n",
        "\n// Test\nconst result = area(2);\nconsole.log(result);\n",
        "\nconst r = 3;\nconst out = area(r);\n",
        "\n/* Next problem: perimeter\n*/\nconst perimeter = (r) => {\n  return 6 * r",
        "\n/*\nNext problem, cut off in the mid",
        "\n\nThis function computes the area (it's in parentheses.\n",
        "\nfunction area(r) {\n  return 1;\n}\n",
        "\nconst area = (r) => 1;\n",
        "\nfunction unused() {}\n",
        "\nfor (let i = 0; i < 3; i++) {\n  console.log(area(i));\n}\n",
        "\narea(1)\n",
        "\nif (require.main === module) {\n  main();\n}\n",
    ],
)
def test_what_a_base_model_adds_goes(tail: str) -> None:
    assert completion_of(BODY + tail) == BODY


@pytest.mark.parametrize("tail", ["```\n\nThe code above is right.\n", "```js\nconsole.log(area(1))\n```\n"])
def test_fences_after_a_continuation_go(tail: str) -> None:
    assert completion_of(BODY + tail) == BODY


@pytest.mark.parametrize(
    "tail",
    [
        "\nmodule.exports = { area };\n",
        "\nexports.area = area;\n",
        "\narea.calls = 0;\n",
        "\nmodule.exports = { area, other };\n\nfunction other() {}\n",
    ],
)
def test_what_belongs_to_the_answer_stays(tail: str) -> None:
    assert completion_of(BODY + tail) == BODY + tail


def test_a_comment_at_the_end_of_the_line() -> None:
    assert completion_of("  return r;\n}  // area\nconsole.log(1);\n") == "  return r;\n}  // area\n"
    assert completion_of("  return r;\n} /* Next problem, cut off in the\nmid") == "  return r;\n}\n"


def test_helpers_stay_wherever_they_stand() -> None:
    response = (
        "  return scaled(r) * FACTORS[0] + Math.max(...REST);\n}\n\nconsole.log(area(1));\n\n"
        "const FACTORS = [];\nfor (let k = 0; k < 3; k++) {\n  FACTORS.push(k + 1);\n}\n\n"
        "function unused() {}\n\nconst scaled = (x) => offset(x);\n\n"
        "// adds\nfunction offset(x) {\n  return x + SHIFT;\n}\nlet UNUSED = 1, SHIFT = 0;\nSHIFT += 1;\n"
        "console.log(SHIFT)\nconst REST = [0];\n"
    )
    program = program_of(response)
    assert "console" not in program
    assert "unused" not in program
    assert run(program, "area(4)") == 5


@pytest.mark.parametrize(
    "body",
    [
        "  const s = '} // {';\n  return s.length;\n}\n",
        '  return "it\'s } a \\" {";\n}\n',
        "  return `a ${(() => { return { b: '}' }; })().b} } {`;\n}\n",
        "  return `a } ${[r].map((x) => `{${x}`)} b\n} {`;\n}\n",
        "  return /[/}'\"`]+\\/{/.test(r) ? 1 : 2;\n}\n",
        "  return /\\{/.test(r) || [/{/, (/[/{]/g)].length / 2;\n}\n",
        "  { const y = r / 2; } return 1 / r;\n}\n",
        "  /* } */\n  // }\n  return r;\n}\n",
        "  const t = [\n1,\n];\nfor (const x of t) {\nif (x) {\nreturn x;\n}\n}\n}\n",
        "  if (r) { return 1; }\n  else\n  { return 2; }\n}\n",
    ],
)
def test_strings_comments_and_brackets_are_read(body: str) -> None:
    found = extract_for(problem(), body + "\nconsole.log('}')\nthrow new Error(`}`)\n")
    assert found.completion == body
    run(found.program, "[typeof area, area(1)]")


@pytest.mark.parametrize(
    "response",
    [
        OWN,
        OWN + "\nconsole.log(area(1));\n",
        "\n" + OWN + "\nmain();\n",
        f"Sure! It's simple:\n\n```javascript\n{OWN}```\n\nIt works. `area(1)` is 3.\n",
        f"```js\n{OWN}\nconsole.log(area(2));\n```",
        f"```\n{OWN}```",
        f"```js\n{OWN}",
        f"{OWN}```\nThat is all.",
        "1. First:\n   ```node\n" + "".join(f"   {line}\n" for line in OWN.splitlines()) + "   ```\n2. Done.",
        f"```bash\nnode area.js\n```\nand\n```js\nconst x = 1;\n```\nand\n```mjs\n{OWN}```\n",
        f"```\n{OWN}```\nUse it so:\n```js\nconsole.log(area(1));\n```\n",
        f"{OWN}\nUse it so:\n```js\nconsole.log(area(1));\n```\n",
        f"Here is the function:\n\n{OWN}\nIt returns the area.",
        f" Here is the function:\n\n{OWN}",
        f"~~~ts\n{OWN}~~~\n",
        f"```\nnode area.js\n```js\n{OWN}```\n",
        f"  as a function of {{r}}:\n\n{OWN}",
        f"\ufeff#!/usr/bin/env node\n{OWN}".replace("\n", "\r\n"),
    ],
)
@pytest.mark.parametrize("prompt", [STUB, METHOD.replace("Shape", "area")])
def test_chatter_goes(response: str, prompt: str) -> None:
    found = extract_for(problem(prompt), response)
    assert found.completion.strip() == OWN.strip()
    assert found.program.strip() == OWN.strip()


@pytest.mark.parametrize(
    "own",
    [
        "function area(r) {\n  return 3;\n}\n",
        "function area(r)\n{\n  return 3;\n}\n",
        "async function area(r) {\n  return 3;\n}\n",
        "function* area(r) {\n  yield 3;\n}\n",
        "let area = (r) => 3;\n",
        "var area = function (r) {\n  return 3;\n};\n",
        "area = (r) => 3;\n",
        "class area {}\n",
        "const { area } = require('shapes');\n",
        "let half, area = (r) => 3;\n",
        "/**\n * Area.\n */\nconst area = (r) => 3;\n",
        "'use strict';\nconst PI = 3;\nconst area = (r) => PI;\nmodule.exports = area;\n",
    ],
)
def test_ways_to_define_the_entry_point(own: str) -> None:
    assert completion_of(f"Here you are.\n{own}\nconsole.log(area(1));\n") == own
    assert completion_of(own, TEXT) == own


def test_own_definition_takes_helpers_of_the_prompt() -> None:
    prompt = "const fs = require('fs');\nconst half = (x) => x / 2;\n\n" + STUB
    program = program_of("const area = (r) => half(r);\n", prompt)
    assert program.count("area") == 1
    assert run(program, "area(4)") == 2
    repeated = program_of("const half = (x) => x;\nconst area = (r) => half(r);\n", prompt)
    assert run(repeated, "area(4)") == 4


def test_a_prompt_of_text_only() -> None:
    found = extract_for(problem(TEXT), OWN + "/*\nWrite a function to triple.\n*/\nconst triple = (n) => 3 * n;\n")
    assert found.completion == OWN
    assert run(found.program, "area(1)") == 3


def test_a_local_variable_with_the_name_of_the_function() -> None:
    body = "    let area = 3;\n  return area * r;\n}\n"
    assert program_of(body) == STUB + body


def test_a_response_that_begins_inside_the_comment() -> None:
    found = extract_for(problem("/* Area of a circle; use"), " pi = 3.\n Don't {\n*/\n" + OWN + "\nconsole.log(1);\n")
    assert found.completion == " pi = 3.\n Don't {\n*/\n" + OWN
    assert run(found.program, "area(1)") == 3


def test_a_prompt_that_ends_inside_the_line() -> None:
    assert program_of("3 * r;\nconsole.log(1)\n", "const area = (r) => ") == "const area = (r) => 3 * r;\n"
    assert program_of("\n  3 * r;\nconsole.log(1)\n", "const area = (r) =>") == "const area = (r) =>\n  3 * r;\n"


def test_methods() -> None:
    found = extract_for(
        problem(METHOD, entry_point="new Shape().area"), "    return 3 * r;\n  }\n}\n\nconsole.log(1);\n"
    )
    assert found.program == METHOD + "    return 3 * r;\n  }\n}\n"
    own = "class Shape {\n  area(r) {\n    return 3;\n  }\n}\n"
    assert program_of(f"```js\n{own}```", METHOD, entry_point="new Shape().area") == own
    assert program_of(f"```js\n{own}```", METHOD, entry_point="Shape.prototype.area") == own


def test_a_fenced_continuation() -> None:
    found = extract_for(problem(), f"Here is the rest:\n```js\n{BODY}```\n")
    assert (found.completion, found.program) == (BODY, STUB + BODY)


def test_code_of_another_name_is_code() -> None:
    aria = "const aria = (r) => 3;\n"
    assert completion_of(f"{aria}\nconsole.log(aria(2))\nconst next = 1;\n", TEXT) == aria


@pytest.mark.parametrize(
    "body",
    ["  return (r;\n}\n", "  return 'r;\n}\n", "  if (r {\n    return 1;\n  }\n", "  return r;\n}\n}\nreturn 2;\n"],
)
def test_a_fault_of_the_body_stays(body: str) -> None:
    assert completion_of(body) == body


def test_what_follows_a_bracket_too_many_goes() -> None:
    assert completion_of("  return r;\n}\n}\n\nconsole.log(1);\n") == "  return r;\n}\n}\n"


@pytest.mark.parametrize(
    "response",
    ["", "  \n\n", "I am sorry, I cannot help with that.", "```js\n```", "The answer is 4.\nIt is even.", "// later\n"],
)
def test_no_code(response: str) -> None:
    for prompt in (STUB, TEXT):
        found = extract_for(problem(prompt), response)
        assert (found.completion, found.program) == ("", "")


@pytest.mark.parametrize(
    ("response", "program"),
    [
        ("const n = 1;\nconsole.log(n);\n", "const n = 1;\nconsole.log(n);\n"),
        ("#!/usr/bin/env node\nconsole.log(1);\n", "\nconsole.log(1);\n"),
        ("Here:\n```javascript\nconsole.log(1);\n```\nInput:\n```\na long list of numbers\n```\n", "console.log(1);\n"),
        ("```\nconsole.log(1);\n```\n", "console.log(1);\n"),
        ("console.log(1);\n```\nThat is all.\n", "console.log(1);\n"),
        ("console.log(1);\n/*\nNext problem: read two numb", "console.log(1);\n"),
        ("console.log(1);\nThis prints one.\n", "console.log(1);\n"),
        ("console.log(1;\n", "console.log(1;\n"),
        ("console.log(1)", "console.log(1)\n"),
        ("I cannot do that.", ""),
        ("", ""),
    ],
)
def test_scripts(response: str, program: str) -> None:
    assert program_of(response, TEXT, kind=ProblemKind.STDIO, entry_point="") == program


def test_setup_stands_before_what_does_not_define_it_itself() -> None:
    setup = "const fs = require('fs');\nconst ONE = 1;\n"
    stdio = problem(TEXT, kind=ProblemKind.STDIO, entry_point="", setup=setup)
    assert extract_for(stdio, "console.log(ONE);\n").program == setup + "\nconsole.log(ONE);\n"
    own = "const fs = require('fs');\nconsole.log(ONE);\n"
    assert extract_for(stdio, own).program == "const ONE = 1;\n\n" + own
    assert whole_program_for(stdio, own) == "const ONE = 1;\n\n" + own
    assert program_of(OWN.replace("3", "ONE"), setup=setup).startswith(setup)


def test_a_whole_program_is_run_as_it_is() -> None:
    text = "Sure!\nconst area = (r) => 3;\nconsole.log(area(1));"
    assert whole_program_for(problem(), text) == text + "\n"
    assert whole_program_for(problem(), " \n") == ""


def test_defined_names() -> None:
    source = "import d, { e as f } from 'x';\nasync function a() { let no; }\nconst { b, c } = g, h = 1;\nclass A {}\n"
    assert defined_names(source) == ["as", "d", "e", "f", "a", "b", "c", "h", "A"]


@pytest.mark.parametrize(
    "text", ["a", "(", "const {", "x[", "`${", "1. ", "a.", "x => ", "function g() {}\n", "/*", "```\n"]
)
def test_degenerate_responses_take_no_long_time(text: str) -> None:
    start = time.process_time()
    extract_for(problem(), text * (60_000 // len(text)))
    # At most 1 s here; the bound only catches what grows with the square of the length (half a minute and more).
    assert time.process_time() - start < 10

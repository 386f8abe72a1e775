"""A program is compiled as CPython compiles the file that holds it; CPython itself is asked."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rrtf_ray.execution import run_problem, whole_program
from rrtf_ray.records import Outcome, ProblemKind, Test, TestKind
from rrtf_ray.sandbox import refusal
from tests.records_for_tests import problem

from .conftest import run_function, run_script

DOUBLE = "def double(x):\n    return 2 * x\n"
REFUSED = {
    "future import after a statement": "import math\nfrom __future__ import annotations\n" + DOUBLE,
    "future import at the end": DOUBLE + "from __future__ import annotations\n",
    "future import after a second string": "'a'\n'b'\nfrom __future__ import annotations\n" + DOUBLE,
    "future import in a function": DOUBLE + "def f():\n    from __future__ import annotations\n",
    "a future that there is not": "from __future__ import braces\n" + DOUBLE,
    "return outside a function": DOUBLE + "return 1\n",
    "yield outside a function": DOUBLE + "yield 1\n",
    "await outside a function": DOUBLE + "await double(1)\n",
    "await in a plain function": DOUBLE + "def f():\n    await double(1)\n",
    "async for outside a function": DOUBLE + "async for x in double(1): pass\n",
    "break outside a loop": DOUBLE + "break\n",
    "nonlocal at the top": "nonlocal x\n" + DOUBLE,
    "nonlocal without a binding": DOUBLE + "def f():\n    nonlocal x\n",
    "global after use": DOUBLE + "def f():\n    x = 1\n    global x\n",
    "an argument twice": DOUBLE + "def f(x, x): pass\n",
    "a keyword twice": DOUBLE + "double(x=1, x=2)\n",
    "assignment to a literal": DOUBLE + "1 = 2\n",
    "assignment to None": DOUBLE + "None = 2\n",
    "star outside a list": DOUBLE + "*x\n",
    "import star in a function": DOUBLE + "def f():\n    from math import *\n",
    "walrus at the top": DOUBLE + "x := 1\n",
    "default except first": DOUBLE + "try: pass\nexcept: pass\nexcept ValueError: pass\n",
    "tabs and blanks": "def double(x):\n    if x:\n\treturn 2 * x\n",
    "a null byte": DOUBLE + "# \0\n",
    "a null byte in a string": DOUBLE + "x = '\0'\n",
    "a lone surrogate": DOUBLE + "x = '\udc80'\n",
    "an unknown encoding": "# coding: no-such-encoding\n" + DOUBLE,
    "an unknown encoding in the second line": "#!/usr/bin/python\n# -*- coding: foo -*-\n" + DOUBLE,
    "an encoding that is none of text": "# coding: rot13\n" + DOUBLE,
    "an encoding without the letters": "# coding: ascii\nx = '\u00e9'\n" + DOUBLE,
    "an encoding of two bytes": "# coding: utf-16\n" + DOUBLE,
    "an encoding against the byte order mark": "\ufeff# coding: latin-1\n" + DOUBLE,
    "two byte order marks": "\ufeff\ufeff" + DOUBLE,
    "an indented program": "    " + DOUBLE,
    "a body alone": "    return 2 * x\n",
    "prose": "Here is the program:\n" + DOUBLE,
    "a fence": "```python\n" + DOUBLE + "```\n",
    "an open bracket": DOUBLE + "x = (\n",
    "a line continuation at the end": DOUBLE + "x = 1 \\",
    "Python 2": DOUBLE + "print 1\n",
}
ACCEPTED = {
    "future import first": "from __future__ import annotations\n" + DOUBLE,
    "future imports after a docstring": "# a\n'b'\n\nfrom __future__ import annotations\n"
    "from __future__ import division\n" + DOUBLE,
    "windows line ends": DOUBLE.replace("\n", "\r\n"),
    "old mac line ends": DOUBLE.replace("\n", "\r"),
    "a byte order mark": "\ufeff" + DOUBLE,
    "a byte order mark and an encoding": "\ufeff# coding: utf-8\n" + DOUBLE,
    "an encoding": "# -*- coding: utf-8 -*-\nx = 'é'\n" + DOUBLE,
    "another encoding": "# vim: set fileencoding=latin-1 :\nx = 'e'\n" + DOUBLE,
    "an encoding in the third line": "import math\nimport re\n# coding: foo\n" + DOUBLE,
    "an encoding after code": "import math\n# coding: foo\n" + DOUBLE,
    "the word in a string": "x = 'coding: foo'\n" + DOUBLE,
    "no end of the last line": DOUBLE.rstrip(),
    "form feeds": "\f\n" + DOUBLE,
    "annotations of unknown names": "from __future__ import annotations\ndef double(x: Nowhere): return 2 * x\n",
}
ORACLE = """
import json, sys, warnings
warnings.simplefilter("ignore")
refused = {}
for name, path in json.load(sys.stdin).items():
    try:
        compile(open(path, "rb").read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        refused[name] = str(error)
print(json.dumps(refused))
"""
TESTS = (Test(TestKind.ASSERT, "assert double(2) == 4"),)


def test_cpython_agrees(tmp_path):
    paths = {}
    for number, (name, program) in enumerate((REFUSED | ACCEPTED).items()):
        paths[name] = str(tmp_path / f"{number}.py")
        (tmp_path / f"{number}.py").write_bytes(program.encode("utf-8", "surrogatepass"))
    command = [sys.executable, "-I", "-c", ORACLE]
    done = subprocess.run(command, input=json.dumps(paths), capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == set(REFUSED)
    assert {name for name, program in (REFUSED | ACCEPTED).items() if refusal(program)} == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cpython_refuses_does_not_pass(name, sandbox):
    verdicts = [run_function(sandbox, REFUSED[name]), run_script(sandbox, REFUSED[name], ("", ""))]
    # Nor as a whole program before which a problem has a setup, however that ends.
    for setup in ("", "import math", "def helper(x):\n    pass", "from __future__ import annotations"):
        given = problem(setup=setup, tests=TESTS)
        verdicts += run_problem(sandbox, given, [whole_program(given, REFUSED[name])])
    for verdict in verdicts:
        assert verdict.outcome is Outcome.COMPILE_ERROR, verdict
        assert verdict.detail


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_cpython_accepts_passes(name, sandbox):
    verdicts = [run_function(sandbox, ACCEPTED[name])]
    for setup in ("", "import math", "from __future__ import annotations\nimport math"):
        given = problem(setup=setup, tests=TESTS)
        verdicts += run_problem(sandbox, given, [whole_program(given, ACCEPTED[name])])
    assert [verdict.outcome for verdict in verdicts] == [Outcome.PASSED] * 4, verdicts


def test_a_text_in_another_encoding_keeps_its_letters(sandbox):
    program = "# coding: latin-1\nprint(ascii('\u00e9'), len('\u00e9'))\n"
    assert run_script(sandbox, program, ("", "'\\xe9' 1")).outcome is Outcome.PASSED


def test_no_code_stays_no_code(sandbox):
    for setup in ("", "import math"):
        given = problem(setup=setup, tests=TESTS)
        programs = [whole_program(given, text) for text in ("", " \n", "\ufeff")]
        assert {v.outcome for v in run_problem(sandbox, given, programs)} == {Outcome.NO_CODE}


def test_a_script_is_compiled_as_a_whole_too(sandbox):
    given = problem(kind=ProblemKind.STDIO, entry_point="", reference="", tests=(Test(TestKind.STDIO, "", "1\n"),))
    texts = ("print(1)\nfrom __future__ import annotations\n", "from __future__ import annotations\nprint(1)\n")
    verdicts = run_problem(sandbox, given, [whole_program(given, text) for text in texts])
    assert [v.outcome for v in verdicts] == [Outcome.COMPILE_ERROR, Outcome.PASSED]

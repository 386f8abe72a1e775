"""HumanEvalPack and HumanEval-X in Python and JavaScript: HumanEval in several languages, the tests of each in its own.

Python's tests are taken as they are. Of JavaScript's, each assertion is turned into one in Python
(`javascript_tests`); what cannot be, the assertions in loops over random inputs, is left out and counted in the log.
Three problems have nothing else: their inputs are fixed here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from rrtf_ray.core.javascript import defined_names
from rrtf_ray.problems.formats.javascript_tests import assertions_of
from rrtf_ray.problems.python_source import fitted_body, functions_of, parsed, split_of, with_modules
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem, ProblemKind, Test, TestKind

FIELDS = ("task_id", "prompt", "declaration", "canonical_solution", "test", "example_test")
PACK_FIELDS = (*FIELDS, "buggy_solution", "entry_point")

_log = logging.getLogger(__name__)
_LANGUAGES = {"Python": Language.PYTHON, "JavaScript": Language.JAVASCRIPT}


def convert(rows: Iterator[Row]) -> Iterator[tuple[Row, Problem]]:
    """One problem per row; `task_id` says which language it is in."""
    for row in rows:
        task_id = row.text("task_id")
        language = _LANGUAGES.get(task_id.partition("/")[0])
        if language is None:
            known = ", ".join(f"{name}/..." for name in _LANGUAGES)
            raise row.error(f"task_id={task_id!r} is of no language that can be run here; valid are {known}")
        prompt, reference = row.text("prompt"), row.text("canonical_solution", "")
        if language is Language.PYTHON:
            entry_point, test = _python(row, prompt)
            reference = fitted_body(prompt, reference)
            test = with_modules(test, prompt + reference)
        else:
            entry_point, test = _javascript(row, prompt + reference)
        yield (
            row,
            Problem(
                id=task_id,
                prompt=prompt,
                kind=ProblemKind.FUNCTION,
                entry_point=entry_point,
                tests=(Test(TestKind.CHECK, test),),
                reference=reference,
                split=split_of(task_id),
                language=language,
            ),
        )


def _python(row: Row, prompt: str) -> tuple[str, str]:
    """The entry point and the test."""
    if row.fields.get("entry_point"):
        return row.text("entry_point"), row.text("test")
    functions = functions_of(parsed(row, "prompt", prompt + "    pass\n"))
    if not functions:
        raise row.error("the field 'prompt' defines no function; give its name in the field 'entry_point'")
    return functions[-1].name, row.text("test")


def _javascript(row: Row, program: str) -> tuple[str, str]:
    """The entry point (the last function that is defined and tested) and the test in Python."""
    test = row.text("test")
    names = [name for name in defined_names(program) if name in test]
    given = row.text("entry_point", "")
    if given not in names:  # one row of HumanEvalPack spells it in another way
        given = names[-1] if names else given
    found = assertions_of(test, given)
    if not found.lines:
        fixed = _FIXED.get(given)
        if fixed is None:
            why = f"the first assertion is {found.left_out[0]!r}" if found.left_out else "it has no assertions"
            raise row.error(f"the field 'test' has nothing that Python could test ({why}); remove the row")
        return given, fixed
    if found.left_out:
        _log.info("%s: left out %d assertions: %s", row.place, len(found.left_out), "; ".join(found.left_out))
    return given, found.check()


def _words() -> list[str]:
    return ["".join(chr(97 + (7 * n * n + 11 * i + n * i) % 26) for i in range(n)) for n in range(20)]


def _cyclic(text: str) -> str:
    groups = [text[i : i + 3] for i in range(0, len(text), 3)]
    return "".join(group[1:] + group[0] if len(group) == 3 else group for group in groups)


def _shifted(text: str) -> str:
    return "".join(chr((ord(letter) - 97 + 5) % 26 + 97) for letter in text)


def _decoding(encoded: dict[str, str]) -> str:
    return "def check(candidate):\n" + "".join(f"    assert candidate({e!r}) == {w!r}\n" for w, e in encoded.items())


def _zeros() -> str:
    lists = [[(5 * i * k + 3 * i + k) % 21 - 10 or 1 for i in range(2 * (1 + k % 4))] for k in range(1, 21)]
    poly = "def poly(xs, x):\n    return sum(c * x ** i for i, c in enumerate(xs))\n\n\n"
    return (
        poly
        + "def check(candidate):\n"
        + "".join(f"    assert abs(poly({xs}, candidate({xs}))) < 1e-4\n" for xs in lists)
    )


_FIXED = {
    "decodeCyclic": _decoding({word: _cyclic(word) for word in _words()}),
    "decodeShift": _decoding({word: _shifted(word) for word in _words()}),
    "findZero": _zeros(),
}

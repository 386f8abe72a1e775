"""What the formats ask of Python source: docstrings, asserts, entry points. Pure, stdlib only."""

from __future__ import annotations

import ast
import builtins
import re
import sys

from rrtf_ray.core.extraction import extract_for
from rrtf_ray.core.python_code import symbols
from rrtf_ray.errors import DataError
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Language, Problem, Split

_HUMANEVAL_ID = re.compile(r"(?:\w+/)?HumanEval/.*|(?:Python|JavaScript)/\d+")
_MBPP_ID = re.compile(r"mbpp\w*/(\d+)", re.IGNORECASE)


def split_of(task_id: str) -> Split:
    """The usual split of a public problem: HumanEval is held out (`JavaScript/0` and so on in HumanEval-X, and
    `SingleLineInfilling/HumanEval/0/L0` and so on with holes), and so is MBPP's test split (11 to 510).

    MBPP's 1-10 are its few-shot prompts, 511-600 its validation and 601-974 its train split: all train here.
    """
    if _HUMANEVAL_ID.fullmatch(task_id):
        return Split.HELD_OUT
    match = _MBPP_ID.fullmatch(task_id)
    return Split.HELD_OUT if match and 11 <= int(match.group(1)) <= 510 else Split.TRAIN


def docstring(text: str) -> str:
    """`text` as a module docstring with the same value, whatever quotes and backslashes are in it."""
    text = text.strip("\n")
    if "\\" not in text and '"""' not in text and not text.endswith('"'):
        return f'"""\n{text}\n"""\n'
    if "\\" in text and '"""' not in text:
        return f'r"""\n{text}\n"""\n'
    return '"""\n' + text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"') + '\n"""\n'


def parsed(row: Row, name: str, source: str) -> ast.Module:
    """The syntax tree of a field; raises DataError with the place and the syntax error."""
    try:
        return ast.parse(source, "<response>")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise row.error(f"the field {name!r} is not valid Python ({error}): {_first_line(source)!r}") from error


def functions_of(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions that a module defines at top level, in order."""
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def fitted_body(prompt: str, body: str) -> str:
    """A reference's body with the indentation of the prompt's docstring, where only its own keeps it from compiling.

    Data sets that cut a function in two and rewrote the first part have bodies of 1, 2 or 3 blanks or tabs.
    """
    if _compiles(prompt + body):
        return body
    wanted = re.search(r"\n([ \t]+)\S", prompt)
    if not wanted:
        return body
    lines, base = body.split("\n"), 0
    for i, line in enumerate(lines):
        text = line.lstrip()
        if not text or (text.startswith("#") and text == line):
            continue
        if text == line:  # the next top-level definition
            break
        width = len(line[: -len(text)].expandtabs())
        base = base or width
        lines[i] = wanted.group(1) + " " * (width - base) + text
    fitted = "\n".join(lines)
    return fitted if _compiles(prompt + fitted) else body


def _compiles(source: str) -> bool:
    try:
        compile(source, "<response>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def with_modules(test: str, program: str) -> str:
    """A test that takes modules of the standard library for granted (`math.isclose`), with their imports."""
    used, bound = symbols(test)
    taken = sorted((used - bound - symbols(program)[1] - set(dir(builtins))) & sys.stdlib_module_names)
    return "".join(f"import {name}\n" for name in taken) + test


def called_function(row: Row, tests: list[str], defined: list[str]) -> str:
    """The one of the `defined` functions that the tests call; where they call several, the last one defined.

    Raises:
        DataError: the tests call none of them.
    """
    called = {
        node.func.id
        for test in tests
        for node in ast.walk(parsed(row, "test_list", test))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    candidates = [name for name in defined if name in called]
    if not candidates:
        raise row.error(
            f"the tests call {', '.join(sorted(called)) or 'nothing'}, but the reference defines "
            f"{', '.join(defined) or 'no function'}; a test has to call a function of the reference"
        )
    return candidates[-1]


def check_reference(row: Row, problem: Problem) -> None:
    """Raise DataError unless the reference makes a program, which has to be valid where it is Python."""
    if not problem.reference:
        return
    program = extract_for(problem, problem.reference).program
    if not program:
        raise row.error(f"the reference of problem {problem.id!r} holds no code: {_first_line(problem.reference)!r}")
    if problem.language is not Language.PYTHON:  # only node knows what is valid there: `problems check` runs it
        return
    try:
        compile(program, "<response>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(
            f"{row.place}: the reference of problem {problem.id!r} is not valid Python ({error}); "
            "correct it, or leave the reference empty"
        ) from error


def _first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0][:80]

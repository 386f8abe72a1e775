"""The form in which a protocol puts a problem: the prompt as it is, or its docstring first."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace

from rrtf_ray.problems.python_source import docstring
from rrtf_ray.records import Language, Problem


def docstring_first(problem: Problem) -> Problem:
    """The problem with the text of its function's docstring in triple quotes before its source (PanGu-Coder2).

    A prompt that does not end in a docstring stays as it is: most other formats have their text first already.
    """
    if problem.language is not Language.PYTHON or problem.suffix:
        return problem
    try:
        tree = ast.parse(problem.prompt)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return problem
    function = tree.body[-1] if tree.body else None
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return problem
    last = function.body[-1]  # HumanEval/115 has an import before its docstring
    if not isinstance(last, ast.Expr) or not isinstance(last.value, ast.Constant):
        return problem
    lines = problem.prompt.split("\n")  # as Python counts them; splitlines knows more line ends
    if not isinstance(last.value.value, str) or lines[last.lineno - 1][: last.col_offset].strip():
        return problem  # not a text, or on the signature's own line
    source = "\n".join(lines[: last.lineno - 1]) + "\n"
    return replace(problem, prompt=docstring(inspect.cleandoc(last.value.value)) + source)

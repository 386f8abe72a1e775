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
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or len(function.body) != 1:
        return problem
    text, begins = ast.get_docstring(function, clean=False), function.body[0].lineno
    lines = problem.prompt.splitlines(keepends=True)
    if text is None or lines[begins - 1][: function.body[0].col_offset].strip():  # on the signature's own line
        return problem
    source = "".join(lines[: begins - 1])
    return replace(problem, prompt=docstring(inspect.cleandoc(text)) + source)

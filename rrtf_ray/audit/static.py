"""What reading a problem shows, without running anything: its answer in its statement, and what changes by itself.

In: a problem. Out: sentences. Pure. Python only, but for the answer.

Limits: names are looked at, not what they are bound to; a clock that only a helper's module reaches is missed.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator

from rrtf_ray.core.extraction import extract_for
from rrtf_ray.core.python_code import tree_of
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.records import Language, Problem, TestKind

_LEAST_ANSWER = 20
"""Characters of code, without white space, from which on it is no accident that a statement has them."""
_CHANGING = {
    "time": frozenset({"time", "datetime", "perf_counter", "monotonic", "process_time", "sleep"}),
    "randomness": frozenset({"random", "secrets", "uuid", "uuid4", "urandom", "shuffle"}),
    "the network": frozenset({"socket", "requests", "urllib", "http", "ftplib", "smtplib", "aiohttp", "httpx"}),
}
_CLOCKS = frozenset({"now", "today", "utcnow"})
"""Of `datetime`, which by itself says nothing of the clock."""


def answer_in_statement(problem: Problem) -> bool:
    """Whether the prompt holds the reference: its completion or its function's body as text, white space aside, or a
    function of the same syntax tree (names and comments aside)."""
    if not problem.reference:
        return False
    completion = extract_for(problem, problem.reference).completion
    code = "\n".join(line for line in completion.splitlines() if not line.lstrip().startswith(("#", "//")))
    prompt = _bare(problem.prompt)
    name = problem.entry_point.rpartition(".")[2]
    wanted = [code]
    if problem.language is Language.PYTHON:
        wanted += [body for body, _ in _functions(_reference(problem), name)]
    if any(len(_bare(text)) >= _LEAST_ANSWER and _bare(text) in prompt for text in wanted):
        return True
    if problem.language is not Language.PYTHON or len(_bare(code)) < _LEAST_ANSWER:
        return False
    answer = _bodies(_reference(problem), name)
    return any(answer & _bodies(block) for block in _code_in(problem.prompt))


def changes_by_itself(problem: Problem) -> list[str]:
    """What the tests or the reference depend on that is not in the problem: `the reference uses time (time.time)`."""
    if problem.language is not Language.PYTHON:
        return []
    found = []
    tests = "\n".join(test.code for test in problem.tests if test.kind not in (TestKind.STDIO, TestKind.VALUE))
    for who, source in (("a test uses", tests), ("the reference uses", problem.reference and _reference(problem))):
        for what, how in dict(_uses(source)).items():
            found.append(f"{who} {what} ({how})")
    return found


def _reference(problem: Problem) -> str:
    return extract_for(problem, problem.reference).program


def _uses(source: str) -> Iterator[tuple[str, str]]:
    """(what, the expression), the last of each kind. An import alone is no use; a seeded generator is no chance."""
    tree = tree_of(source)
    if tree is None:
        return
    modules = {
        (alias.asname or alias.name).partition(".")[0]: (getattr(node, "module", None) or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    seeded = any(isinstance(node, ast.Call) and ast.unparse(node.func).endswith("seed") for node in ast.walk(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        parts = ast.unparse(node.func).split(".")
        module = modules.get(parts[0])
        if module is None:
            continue
        for what, names in _CHANGING.items():
            clock = module != "datetime" or parts[-1] in _CLOCKS
            if module in names and clock and not (what == "randomness" and (seeded or _is_seeded(node, parts))):
                yield what, ast.unparse(node.func)


def _is_seeded(call: ast.Call, parts: list[str]) -> bool:
    return parts[-1] == "Random" and bool(call.args or call.keywords)


def _bare(text: str) -> str:
    return "".join(text.split())


def _code_in(prompt: str) -> Iterator[str]:
    """The prompt as code, with a body where its last function has none, and its fenced blocks."""
    yield prompt
    yield f"{prompt}\n    pass\n"
    yield from re.findall(r"```\w*\n(.*?)```", prompt, re.DOTALL)


def _bodies(source: str, name: str = "") -> set[str]:
    """The normal forms of the functions (of that name) that say more than a docstring and a word."""
    return {
        normal_form(f"def _({arguments}):\n{textwrap.indent(body, '    ')}", Language.PYTHON)
        for body, arguments in _functions(source, name)
        if len(_bare(body)) >= _LEAST_ANSWER
    }


def _functions(source: str, name: str) -> Iterator[tuple[str, str]]:
    """(body without docstring, arguments) of the functions of that name, or of all."""
    tree = tree_of(source)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name in ("", node.name):
            body = node.body[ast.get_docstring(node) is not None :]
            if body:
                yield "\n".join(map(ast.unparse, body)) + "\n", ast.unparse(node.args)

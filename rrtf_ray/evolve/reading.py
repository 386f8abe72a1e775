"""What teachers answered, read: a statement, programs, inputs. Whatever cannot be read is Rejected with its reason.

In: drafts. Out: a statement with a probe (a problem that has no tests yet), programs, inputs as literals. Pure; nothing
of an answer is executed here.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rrtf_ray.audit.static import answer_in_statement
from rrtf_ray.behaviour.calls import calls_of
from rrtf_ray.core.answers import answer_of
from rrtf_ray.core.blocks import blocks_of, fences_of
from rrtf_ray.core.contamination import CloseTexts
from rrtf_ray.core.extraction import extract_for
from rrtf_ray.core.python_code import tree_of
from rrtf_ray.core.sameness import normal_form
from rrtf_ray.core.words import words_of
from rrtf_ray.evolve.records import ASKED_AGAIN, OF_FAULT, Draft, Rejected, Rejection, Task
from rrtf_ray.problems.formats.expected import is_literal
from rrtf_ray.records import Fault, Language, Problem, ProblemKind, TeacherResponse, Test, TestKind
from rrtf_ray.teachers.asking import Reply

LEAST_WORDS = 8
"""Of a statement, without its code."""
_TEXT = frozenset({"", "text", "txt", "plaintext", "markdown", "md"})
_PYTHON = frozenset({"", "python", "py", "python3", "pycon"})
_OF_THE_REQUEST = re.compile(
    r"\b(?:the task to change|new programming task|(?:given|rewritten|new|original) (?:prompt|problem statement)"
    r"|as an ai|(?:i'm|i am) sorry|i can(?:'t|not) (?:help|write|assist))\b",
    re.IGNORECASE,
)
_CODE = ast.FunctionDef | ast.Assign | ast.Assert
_LONGEST = 20_000
"""Characters of a statement, and of one input."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that can be used. probe: a problem with it, whose only test says nothing. examples: the statement's
    own, as (call, value) in source; functions only."""

    prompt: str
    entry_point: str
    words: str
    examples: tuple[tuple[str, str], ...]
    probe: Problem


@dataclass(frozen=True, slots=True)
class Solution:
    """A program that could be read. completion: what follows the prompt."""

    program: str
    completion: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """calls: positional arguments (of a STDIO problem: the input as the only one), each once. properties: sources of
    lambdas. left_out: what could not be read, and why."""

    calls: tuple[tuple[Any, ...], ...]
    properties: tuple[str, ...]
    left_out: tuple[str, ...]


def response_to(reply: Reply, model: str) -> TeacherResponse:
    """The record of an answer that is no program."""
    fault = reply.fault or (Fault.CUT_OFF if reply.finish_reason == "length" else None)
    return TeacherResponse(reply.text, model, reply.finish_reason, reply.num_tokens, fault)


def checked(draft: Draft, max_similarity: float) -> Statement:
    """The draft's statement. Raises Rejected for one that cannot be read, or is too near to its parent."""
    task = draft.task
    text = _answered(draft.statement, "the statement")
    statement = _function(task, text) if task.kind is ProblemKind.FUNCTION else _text(task, text)
    if len(statement.words.split()) < LEAST_WORDS:
        raise Rejected(Rejection.TOO_SHORT, f"{len(statement.words.split())} words: {statement.words.strip()!r}")
    if found := _OF_THE_REQUEST.search(statement.words):
        raise Rejected(Rejection.COPIED_REQUEST, f"the statement says {found.group()!r}")
    parent = [(task.parent.id, words_of(prose_of(task.parent.statement)))]
    texts = CloseTexts(parent, max_similarity, same_numbers=False)
    if near := texts.close_to(words_of(prose_of(statement.prompt))):
        raise Rejected(Rejection.COPY_OF_PARENT, f"similarity {near[0][1]:.2f} to {task.parent.id!r}")
    return statement


def solutions_of(draft: Draft, statement: Statement, agree: int) -> list[Solution]:
    """The programs. Raises Rejected where they are fewer than must agree, or one of them is in the statement."""
    faults = Counter(answer.fault for answer in draft.solutions if answer.fault is not None)
    if len(draft.solutions) - faults.total() < agree:
        again = next((OF_FAULT[fault] for fault in faults if OF_FAULT[fault] in ASKED_AGAIN), None)
        alike = OF_FAULT[next(iter(faults))] if len(faults) == 1 and faults.total() == len(draft.solutions) else None
        counts = ", ".join(f"{number} {fault.value}" for fault, number in faults.most_common())
        detail = f"{len(draft.solutions) - faults.total()} of {len(draft.solutions)} solutions are programs ({counts})"
        raise Rejected(again or alike or Rejection.TOO_FEW_SOLUTIONS, detail)
    found = []
    parent = draft.task.parent
    known = nameless(parent.reference) if parent.language is Language.PYTHON else ""
    for answer in draft.solutions:
        if answer.fault is not None:
            continue
        got = extract_for(statement.probe, answer.text)
        found.append(Solution(got.program, got.completion))
        if answer_in_statement(replace(statement.probe, reference=got.completion)):
            raise Rejected(Rejection.ANSWER_IN_STATEMENT, "the statement has the body of a solution")
        if known and nameless(got.program) == known:
            raise Rejected(Rejection.COPY_OF_PARENT, f"a solution is the reference of {parent.id!r}")
    return found


def inputs_of(draft: Draft, statement: Statement, most: int) -> Inputs:
    """The inputs and properties. Raises Rejected where there are none."""
    assert draft.inputs is not None
    text = _answered(draft.inputs, "the inputs")
    code = _block(text, _PYTHON, "the inputs")
    tree = tree_of(code)
    if tree is None:
        raise Rejected(Rejection.NO_INPUTS, "the block of inputs is not Python")
    lists = dict(_assigned(tree))
    left_out: list[str] = []
    calls: dict[str, tuple[Any, ...]] = {}
    for name in ("VALUES", "EDGE_CASES"):
        for node in lists.get(name, ()):
            call = _call(node, draft.task.kind)
            if call is None or len(repr(call)) > _LONGEST:
                left_out.append(f"{_short(ast.unparse(node))}: not a literal of all arguments")
            else:
                calls.setdefault(repr(call), call)
    if not calls and statement.entry_point:  # asserts in their place: their calls are inputs, their values are not used
        asserts = replace(statement.probe, tests=(Test(TestKind.ASSERT, code),))
        calls = {repr(call): call for call in calls_of(asserts, "")}
    if not calls:
        raise Rejected(Rejection.NO_INPUTS, "no VALUES or EDGE_CASES that can be read")
    properties = tuple(ast.unparse(node) for node in lists.get("PROPERTIES", ()) if isinstance(node, ast.Lambda))
    return Inputs(tuple(calls.values())[:most], properties, tuple(left_out))


def prose_of(prompt: str) -> str:
    """What a statement says, without its code: its docstrings, or all of a text."""
    tree = tree_of(prompt) or tree_of(f"{prompt}\n    pass\n")
    nodes = ast.walk(tree) if tree else ()
    found = [ast.get_docstring(node) for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)]
    return "\n".join(filter(None, found)) or prompt


def nameless(program: str) -> str:
    """The normal form of a program, whatever its functions are called and its types are annotated."""
    tree = tree_of(program)
    if tree is None:
        return program.strip()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.name, node.returns = "_", None
            for argument in (*node.args.posonlyargs, *node.args.args):
                argument.annotation = None
    tree.body = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return normal_form(ast.unparse(tree), Language.PYTHON)


def _answered(response: TeacherResponse, what: str) -> str:
    """The text of an answer, without what a model thought before it."""
    text = answer_of(response.text)
    if response.fault is not None:
        raise Rejected(OF_FAULT[response.fault], f"{what}: {_short(text) or 'nothing came'}")
    return text


def _block(text: str, languages: frozenset[str], what: str) -> str:
    """The code of the first block in one of these languages, or a text that is code as it stands. Raises Rejected where
    there is none."""
    blocks = blocks_of(text, fences_of(text), "") if fences_of(text) else []
    found = next((block.code for block in blocks if block.language in languages), None)
    if found is not None:
        return found
    if blocks:
        named = ", ".join(sorted({block.language for block in blocks}))
        raise Rejected(Rejection.OTHER_LANGUAGE, f"{what}: a block of {named}")
    if languages is _PYTHON and (tree := tree_of(text)) and any(isinstance(node, _CODE) for node in tree.body):
        return text
    raise Rejected(Rejection.PROSE, f"{what}: no block in {_short(text)!r}")


def _function(task: Task, text: str) -> Statement:
    """Imports, and one function with a docstring and no body."""
    code = _block(text, _PYTHON, "the statement")
    tree = tree_of(code)
    if tree is None:
        raise Rejected(Rejection.PROSE, "the statement's block is not Python")
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    others = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.Import | ast.ImportFrom)]
    if len(functions) != 1 or others:
        raise Rejected(
            Rejection.PROSE, f"{len(functions)} functions and {len(others)} other statements, not one function"
        )
    function = functions[0]
    words = ast.get_docstring(function)
    if words is None or len(code) > _LONGEST:
        raise Rejected(Rejection.PROSE, "a function without docstring" if words is None else "a statement without end")
    if not all(map(_is_empty, function.body[1:])):
        raise Rejected(Rejection.ANSWER_IN_STATEMENT, "the function of the statement has a body")
    lines = code.splitlines()
    start = min([function.lineno, *(node.lineno for node in function.decorator_list)])
    imports = [ast.unparse(node) for node in tree.body if node is not function]
    signature = "\n".join(lines[start - 1 : function.body[0].end_lineno])
    prompt = "\n".join([*imports, *([""] if imports else []), signature]) + "\n"
    return _statement(task, prompt, function.name, words, _examples(words, function.name))


def _text(task: Task, text: str) -> Statement:
    """A statement in a block of text, or around no block at all."""
    words = _block(text, _TEXT, "the statement").strip()
    if len(words) > _LONGEST:
        raise Rejected(Rejection.PROSE, "a statement without end")
    how = "Read from standard input and write to standard output."
    prompt = words if "standard input" in words.lower() else f"{words}\n\n{how}"
    return _statement(task, prompt + "\n", "", words, ())


def _statement(
    task: Task, prompt: str, entry_point: str, words: str, examples: tuple[tuple[str, str], ...]
) -> Statement:
    test = Test(TestKind.VALUE, "()", "None") if entry_point else Test(TestKind.STDIO, "", "")
    probe = Problem(task.id, prompt, task.kind, entry_point, (test,))
    return Statement(prompt, entry_point, words, examples, probe)


def _is_empty(node: ast.stmt) -> bool:
    """Whether a statement of a body stands for a body that is not there."""
    if isinstance(node, ast.Raise):
        return "NotImplementedError" in ast.unparse(node)
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _examples(words: str, name: str) -> tuple[tuple[str, str], ...]:
    """The examples of a docstring that call the function."""
    try:
        found = doctest.DocTestParser().get_examples(words)
    except ValueError:  # prompts that are laid out badly
        return ()
    sources = [(example.source.strip(), example.want.strip()) for example in found]
    return tuple((call, want) for call, want in sources if call.startswith(f"{name}(") and _is_expression(call))


def _is_expression(source: str) -> bool:
    try:
        ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _assigned(tree: ast.Module) -> Iterator[tuple[str, Sequence[ast.expr]]]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.List | ast.Tuple):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                yield target.id, node.value.elts


def _call(node: ast.expr, kind: ProblemKind) -> tuple[Any, ...] | None:
    """The arguments that a literal stands for; None where it is none."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if kind is ProblemKind.STDIO:
        return (value,) if isinstance(value, str) else None
    return value if isinstance(value, tuple) and is_literal(value) else None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:120]} ..."

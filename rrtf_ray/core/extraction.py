"""Find the program in a model's response: in Python here, in JavaScript in `core.javascript`.

In: the raw response, the problem's prompt, entry point, kind and setup. Out: the completion (the code as it follows
the prompt, which training sees) and the program (the source to run, empty for no code). Reasoning and the marks around
an answer are left out first, by `core.answers`.

Three shapes of responses are distinguished: fenced code with chatter around it, code that defines the entry point
itself, and code that continues the prompt. What a base model adds after its answer (`print(...)`, asserts, a next
problem, prose) is left out; what the answer uses stays, wherever it is. A fault inside the answer itself, such as a
syntax error, stays as well: it is the model's.

Pure, stdlib only. Limit: a name that is only reached by `globals()`, `eval` or a string does not count as used.
"""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass

from rrtf_ray.core import javascript
from rrtf_ray.core.answers import answer_of
from rrtf_ray.core.blocks import Block, blocks_of, chosen, fences_of
from rrtf_ray.core.python_code import bound_names, has_code, parses, split, symbols, top_level_chunks, tree_of
from rrtf_ray.records import Language, Problem, ProblemKind

_BUILTINS = frozenset(dir(builtins))
_MODULE_NAMES = frozenset({"__name__", "__file__", "__doc__"})


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was found in a response.

    completion: the code as it follows the prompt, indentation included; empty for no code.
    program: setup, prompt (or what of it is needed) and completion as one source; empty for no code.
    """

    completion: str
    program: str


def extract_for(problem: Problem, response: str) -> Extraction:
    """The completion and the program in a response to `problem`."""
    p = problem
    if p.suffix:
        return _middle(p, response)
    if p.language is Language.JAVASCRIPT:
        return Extraction(*javascript.extract(answer_of(response), p.prompt, p.entry_point, p.kind, p.setup))
    return extract(response, p.prompt, p.entry_point, p.kind, p.setup)


def extract(
    response: str, prompt: str, entry_point: str, kind: ProblemKind = ProblemKind.FUNCTION, setup: str = ""
) -> Extraction:
    """The completion and the program in a `response` in Python."""
    prompt, setup = _normalised(prompt), _normalised(setup)
    response = _answer(_normalised(response), prompt)
    if kind is ProblemKind.STDIO:
        code = _script(response)
        return Extraction(code, _assembled(setup, code) if code else "")
    root = re.match(r"\w*", entry_point.strip())
    name = root.group() if root else ""
    code = _without_fence(response, prompt, name)
    if not code.strip():
        return Extraction("", "")
    lead, chunks = split(prompt, code)
    if (not has_code(lead) or _is_chatter(prompt, lead)) and any(name in bound_names(chunk) for chunk in chunks):
        completion = _own_definition(chunks, name)
        return Extraction(completion, _assembled(setup, _context(prompt, name), completion))
    completion = _continuation(prompt, lead, chunks, name)
    if not completion.strip():
        return Extraction("", "")
    return Extraction(completion, _assembled(setup, prompt + completion))


def _middle(problem: Problem, response: str) -> Extraction:
    """The code between prompt and suffix: as it is, or the first block of a response that has one."""
    prompt, suffix, given = (_normalised(text) for text in (problem.prompt, problem.suffix, response))
    middle = answer_of(given)
    if given and not middle.strip() and middle != given:
        return Extraction("", "")  # it ended within its reasoning
    if (fences := fences_of(middle)) and not parses(prompt + middle + suffix):
        middle = blocks_of(middle, fences, "")[0].code
    if problem.language is Language.JAVASCRIPT:
        return Extraction(middle, javascript.whole_program(prompt + middle + suffix, problem.setup))
    return Extraction(middle, _assembled(_normalised(problem.setup), prompt + middle + suffix))


def whole_program_for(problem: Problem, text: str) -> str:
    """The source to run for a `text` that is already a whole program; empty for no code."""
    if problem.language is Language.JAVASCRIPT:
        return javascript.whole_program(text, problem.setup)
    text = _normalised(text)
    return _assembled(_normalised(problem.setup), text) if text.strip() else ""


def _answer(response: str, prompt: str) -> str:
    """The answer in a response; marks within a response that is code as it stands are part of the code."""
    answer = answer_of(response)
    if answer == response or _is_value(response):
        return answer
    return response if parses(response) or parses(prompt + response) else answer


def _is_value(response: str) -> bool:
    """Whether a response is one literal: a JSON object or a quoted text is wrapped around code, no code itself."""
    tree = tree_of(response.strip())
    return tree is not None and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr)


def _normalised(text: str) -> str:
    """Without a byte order mark and with plain line ends, as Python reads them, in literals as well."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _is_chatter(prompt: str, lead: str) -> bool:
    """Whether the text before the first top-level statement is a sentence after one blank, not a body."""
    starts_line = prompt[-1:] in ("", "\n")
    return starts_line and not lead.lstrip("\n").startswith(("  ", "\t")) and not parses(prompt + lead)


# --- choosing what belongs


def _continuation(prompt: str, lead: str, chunks: list[str], name: str) -> str:
    """The part of a continuation that belongs to the answer; empty if there is no code in it."""
    if not has_code(lead) and chunks and _lost_indentation(chunks[0]):
        lead, chunks = lead + chunks[0], chunks[1:]
    if has_code(lead) or (lead.strip() and not chunks):
        used, _ = symbols(prompt + lead)
        keep = _needed(chunks, used | {name}, name, answered=parses(prompt + lead))
        return _joined([lead, *chunks], [True, *keep])
    keep = []
    for chunk in chunks:  # code of another name, or misplaced code: kept up to the first prose
        keep.append((not keep or keep[-1]) and _is_statement(chunk))
    return _joined(["", *chunks], [True, *keep]) if any(keep) else ""


def _lost_indentation(chunk: str) -> bool:
    """Whether a body's first line has lost its indentation and the next has it: the fault is the answer's, and kept."""
    first, _, rest = chunk.partition("\n")
    following = next((line for line in rest.split("\n") if line.strip()), "")
    tree = tree_of(first) or tree_of(first + " pass")
    if not following.startswith((" ", "\t")) or tree is None or not tree.body:
        return False
    return not isinstance(tree.body[0], ast.Expr) or _is_statement(first) or first[:1] in "\"'"


def _own_definition(chunks: list[str], name: str) -> str:
    """The code of a response that defines the entry point itself, from its first helper to its last."""
    first = next(i for i, chunk in enumerate(chunks) if name in bound_names(chunk))
    keep = [_is_statement(chunk) or bool(bound_names(chunk)) for chunk in chunks[: first + 1]]
    used = {name}.union(*(symbols(chunk)[0] for chunk, kept in zip(chunks, keep, strict=False) if kept))
    keep += _needed(chunks[first + 1 :], used, name, answered=parses(chunks[first]))
    return _joined(["", *chunks], [True, *keep])


def _needed(chunks: list[str], used: set[str], name: str, *, answered: bool) -> list[bool]:
    """Which chunks after the answer it needs: those that bind a name that it uses or fill a variable."""
    facts = [(tree_of(chunk), *symbols(chunk)) for chunk in chunks]
    keep = [False] * len(chunks)
    variables: set[str] = set()
    changed = True
    while changed:
        changed = False
        for i, (tree, uses, binds) in enumerate(facts):
            if not keep[i] and _belongs(chunks[i], tree, binds, used, variables, name, answered):
                keep[i] = changed = True
                used = used | uses
                if tree is not None and isinstance(tree.body[0], ast.Assign | ast.AnnAssign):
                    variables |= binds & used
    return keep


def _belongs(
    chunk: str,
    tree: ast.Module | None,
    binds: set[str],
    used: set[str],
    variables: set[str],
    name: str,
    answered: bool,
) -> bool:
    if tree is None:  # a broken helper stays, so its error shows; a broken second attempt does not
        return bool(bound_names(chunk) & (used - {name} if answered else used))
    statement = tree.body[0] if tree.body else None
    if statement is None or isinstance(statement, ast.Assert) or _is_main_guard(statement):
        return False
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        binds = binds - _BUILTINS  # `sum = 0` of a demonstration must not replace the builtin that the answer uses
    if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
        return statement.level == 0
    return bool(binds & used) or _fills(statement, variables, used)


def _fills(statement: ast.stmt, variables: set[str], used: set[str]) -> bool:
    """Whether a statement changes one of `variables`, or sets an attribute or item of a used name."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            root = _root(node.func)
            if root in variables or (root == "sys" and node.func.attr.startswith("set")):
                return True
        elif (
            isinstance(node, ast.Attribute | ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and _root(node) in variables | used - _BUILTINS
        ):
            return True
    return False


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_statement(chunk: str) -> bool:
    """Whether a chunk is code that an answer may contain: no prose, demonstration, check or bare value."""
    tree = tree_of(chunk)
    if tree is None or not tree.body:
        return False
    first = tree.body[0]
    if isinstance(first, ast.Expr):  # `table.append(1)` may be part of an answer, `print(f(1))` is not
        return isinstance(first.value, ast.Call) and isinstance(first.value.func, ast.Attribute)
    return not isinstance(first, ast.Assert) and not _is_main_guard(first)


def _is_main_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__name__" in {
        node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)
    }


def _joined(pieces: list[str], keep: list[bool]) -> str:
    """The kept pieces with their spacing, without blank lines and comments above a dropped one."""
    if all(keep):
        text = "".join(pieces)
        core = _without_tail(text)
        return text if text[len(core) :].strip() == "" else core + "\n"
    parts: list[str] = []
    for i, piece in enumerate(pieces):
        if not keep[i]:
            continue
        if i + 1 < len(pieces) and keep[i + 1]:
            parts.append(piece)
        elif core := _without_tail(piece):
            parts.append(core + ("\n\n\n" if any(keep[i + 1 :]) else "\n"))
    return "".join(parts)


def _without_tail(piece: str) -> str:
    """Without trailing blank lines and comments at column 0, unless there is nothing else."""
    lines = piece.split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return "\n".join(lines[:end]) if end else ""


# --- fences, prompts and scripts


def _without_fence(response: str, prompt: str, name: str) -> str:
    """The code of a response with fences; the response itself if it has none, or has them in a string."""
    fences = fences_of(response)
    if not fences or parses(prompt + response) or parses(response):
        return response
    before = response[: fences[0].start()]
    if before[:1] in " \t" and has_code(before) and parses(prompt + before):
        return _without_tail(before) + "\n"  # a continuation, with an example or an explanation in fences after it
    blocks = blocks_of(response, fences, name)
    if name and (answer := chosen(blocks, lambda block: _defines(block.code, name))):
        return _with_helpers(answer.code, blocks, prompt)
    if not name and (answer := chosen(blocks, _prints) or chosen(blocks, _is_whole)):
        return answer.code
    python = [block.code for block in blocks if block.is_python and block.code.strip()]
    return python[0] if python else max((block.code for block in blocks), key=len, default="")


def _defines(code: str, name: str) -> bool:
    return any(name in bound_names(chunk) for chunk in top_level_chunks(code))


def _missing(code: str) -> set[str]:
    """The names that code uses and that nothing binds."""
    used, bound = symbols(code)
    return used - bound - _BUILTINS - _MODULE_NAMES


def _is_whole(block: Block) -> bool:
    """Whether a block is a program by itself, not a snippet of one."""
    return has_code(block.code) and parses(block.code) and not _missing(block.code)


def _prints(block: Block) -> bool:
    return _is_whole(block) and bool({"print", "sys", "os", "open"} & symbols(block.code)[0])


def _with_helpers(code: str, blocks: list[Block], prompt: str) -> str:
    """The answer, after what it uses of the other blocks: a helper may be explained in a block of its own."""
    given = symbols(prompt + "    pass\n")[1]
    found: list[str] = []
    others = [chunk for block in blocks if block.code != code for chunk in top_level_chunks(block.code)]
    while missing := _missing("".join([*found, code])) - given:
        helper = next((c for c in others if c not in found and parses(c) and bound_names(c) & missing), None)
        if helper is None:
            break
        found.insert(0, helper if helper.endswith("\n") else helper + "\n")
    return "".join([*found, code])


def _context(prompt: str, name: str) -> str:
    """The prompt's imports, helpers and constants, without the entry point's stub and without docstrings."""
    chunks = [chunk for chunk in top_level_chunks(prompt) if name not in bound_names(chunk) and chunk[:1] not in "\"'"]
    return "".join(chunks)


def _script(response: str) -> str:
    """The whole program in a response to a STDIO problem: the first Python block, or the response itself."""
    if parses(response):
        return response if has_code(response) else ""
    if fences_of(response):
        return _without_fence(response, "", "")
    lead, chunks = split("", response)
    for end in range(len(chunks), 0, -1):  # a base model's next problem, cut off in the middle
        last = chunks[end - 1]
        if last[:3] not in ('"""', "'''") and not _looks_like_prose(last):
            continue
        if has_code("".join(chunks[: end - 1])) and parses(lead + "".join(chunks[: end - 1])):
            return _without_tail(lead + "".join(chunks[: end - 1])) + "\n"
    return "" if chunks and all(map(_looks_like_prose, chunks)) else response


def _looks_like_prose(chunk: str) -> bool:
    """Whether a chunk does not parse, begins like a sentence and has no sign of code in its first line."""
    line = chunk.split("\n", 1)[0]
    return not parses(chunk) and bool(re.match(r"[A-Z*#>-]", line)) and not re.search(r"[=\[\]{}]|:\s*$", line)


def _assembled(*parts: str) -> str:
    """The parts as one source, with `from __future__` imports first."""
    program = "\n".join(part if part.endswith("\n") else part + "\n" for part in parts if part.strip())
    if "__future__" not in program:
        return program
    lead, chunks = split("", program)
    is_future = [re.match(r"from\s+__future__\b", chunk) is not None for chunk in chunks]
    if not any(is_future):
        return program
    first = [chunk.rstrip() + "\n" for chunk, future in zip(chunks, is_future, strict=True) if future]
    rest = [chunk for chunk, future in zip(chunks, is_future, strict=True) if not future]
    return "".join(first) + lead + "".join(rest)

"""Find the program in a model's response to a JavaScript problem: what `extraction` does for Python.

In: the raw response, the problem's prompt, entry point, kind and setup. Out: the completion (the code as it follows the
prompt) and the program (the source to run), both empty for no code.

A response in fences, one that defines the entry point itself and one that continues the prompt are distinguished. What
a base model adds after its answer (`console.log(...)`, a next problem, a second definition, prose) is left out; what
the answer uses stays, wherever it is, and so does a fault inside the answer.

Pure, stdlib only. Limits: nothing is parsed, so broken code can be read. A statement begins at column 0 outside of
brackets; names are distinguished by spelling, not by scope; a regular expression is told from a division by the text
before it. Types and `export` are kept, and a script with them does not compile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent
from typing import NamedTuple

from rrtf_ray.records import ProblemKind

_TOKEN = re.compile(r"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^\\\n"])*"?|'(?:\\.|[^\\\n'])*'?|[`{}/]""", re.DOTALL)
_TEMPLATE = re.compile(r"(?:\\.|\$(?!\{)|[^\\`$])*(?:`|\$\{)?", re.DOTALL)
_REGEX = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
_BEFORE_REGEX = re.compile(r"(?:^|[(,=:\[!&|?{;+*%<>~^-]|\b(?:return|typeof|case|in|of|throw|else|void|delete))$")
_BRACKET = re.compile(r"([()\[\]{}])")
_NAME = re.compile(r"(?<![\w$])(?<!(?<!\.\.)\.)[^\W\d][\w$]*|(?<![\w$.])\$[\w$]*")
# Lines at column 0 that belong to the statement before them, right or wrong.
_CONTINUES = re.compile(r"[\])},?:{]|\.\w|&&|\|\||(?:else|catch|finally|return)\b")
_DEFINES = re.compile(r"(?:export\s+(?:default\s+)?)?(?:(?:async\s+)?function\b[\s*]*|class\s+)([\w$]+)")
_DECLARES = re.compile(r"(?:export\s+)?(?:const|let|var)\s+(\{[^{}]*\}|\[[^\[\]]*\]|[\w$]+)")
_IMPORTS = re.compile(r"import\b([^'\"]*)\bfrom\b")
_ASSIGNS = re.compile(r"(?:(?:globalThis|global|this|exports|module\.exports)\.)?([\w$]+)\s*=(?![=>])")
_EXPORTS = re.compile(r"(?:module\.)?exports\b")
_LOCAL = re.compile(r"\b(?:const|let|var|class|function)\b[\s*]*(\{[^{}]*\}|\[[^\[\]]*\]|[\w$]+)")
_PARAMETERS = re.compile(r"\bfunction\b[\s*]*[\w$]*\s*\(([^()]*)\)|\(([^()]*)\)\s*=>|(?<![\w$])([\w$]+)\s*=>")
_CHANGES = re.compile(
    r"(?<![\w$.])([\w$]+)(?:(?:\s*\.[\w$]+|\[[^\[\]]*\])*\s*(?:(?:[-+*/%&|^?]{1,2})?=(?![=>])|\+\+|--)"
    r"|\.(?:push|unshift|set|add|fill|splice)\()"
)
_STATEMENT = re.compile(
    r"(?!console\b)(?:(?:const|let|var|function|class|async|import|export|for|while|if|do|try|switch)\b|['\"`(\[]"
    r"|[\w$]+(?:(?:\.[\w$]+|\[[^\[\]]*\])+\s*\(|(?:\.[\w$]+|\[[^\[\]]*\])*\s*(?:[-+*/%&|^?]{0,2}=(?!=)|\+\+|--)))"
)
_PROSE = re.compile(r" ?(?:[A-Z][\w'’]*(?:[,:!.]? [\w(`][^=;{}\n]*|[.!:])$|[*>#]|\d+\. |- [A-Z`*])", re.MULTILINE)
_FENCE = re.compile(r"^([ \t]*)(?:```+|~~~+)[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_JAVASCRIPT = frozenset({"javascript", "js", "node", "nodejs", "mjs", "cjs", "jsx", "es6", "typescript", "ts"})


class _Chunk(NamedTuple):
    """A top-level statement with what follows it; blank: see _blanked; binds, uses: names at top level."""

    text: str
    blank: str
    binds: set[str]
    uses: set[str]


def extract(response: str, prompt: str, entry_point: str, kind: ProblemKind, setup: str) -> tuple[str, str]:
    """The completion and the program in `response`."""
    response, prompt = _normalised(response), _normalised(prompt)
    if kind is ProblemKind.STDIO:
        code = _script(_without_fence(response, ""))
        return code, whole_program(code, setup)
    found = re.search(r"(?!new\b)\b[\w$]+|\$[\w$]*", entry_point)
    name = found.group() if found else ""
    code = _without_fence(response, name)
    if not _blanked(prompt + "\n@").endswith("@"):  # the response continues a comment or template of the prompt
        return _continued(prompt, code, name, setup)
    code = _without_chatter(code)
    if not _blanked(code).strip():
        return "", ""
    chunks = _split("", re.sub(r"\A\s*^ ?(?=\S)", "", code, flags=re.MULTILINE))
    first = next((i for i, chunk in enumerate(chunks) if name in chunk.binds), None)
    if first is None or _closes("".join(chunk.text for chunk in chunks[:first])):
        return _continued(prompt, code, name, setup)
    head = [not chunks[0].blank.strip(), *(bool(_STATEMENT.match(chunk.blank)) for chunk in chunks[1:first]), True]
    completion = _joined(chunks, _needed(chunks, head))
    return completion, whole_program(completion, setup, _context(prompt, completion, name))


def whole_program(text: str, *before: str) -> str:
    """The source to run for a `text` that is already a whole program, after setups; empty for no code."""
    text = _normalised(text)
    parts = [*(_context(_normalised(part), text) for part in before), text] if text.strip() else []
    return "\n".join(part if part.endswith("\n") else part + "\n" for part in parts if part.strip())


def defined_names(source: str) -> list[str]:
    """The names that `source` defines at top level, in order."""
    return list(dict.fromkeys(name for chunk in _split("", _normalised(source)) for name in sorted(chunk.binds)))


def _normalised(text: str) -> str:
    """Without a byte order mark or a `#!` line, which is valid in front only, and with plain line ends."""
    return re.sub(r"\A#![^\n]*", "", text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))


# --- reading code by lines and brackets


def without_layout(source: str) -> str:
    """`source` without comments, and with no more white space than its words need; texts in it stay as they are."""
    source = _normalised(source)
    marked = _blanked(source, literal="\0")
    code = re.sub(r"\s+", lambda run: _space(run, marked), marked)
    literals = (character for character, mark in zip(source, marked, strict=True) if mark == "\0")
    return re.sub("\0", lambda _: next(literals), code)


def _space(run: re.Match[str], marked: str) -> str:
    between = marked[max(0, run.start() - 1) : run.start()], marked[run.end() : run.end() + 1]
    if not all(re.fullmatch(r"[\w$]", side) for side in between):
        return ""
    return "\n" if "\n" in run.group() else " "


def _blanked(text: str, literal: str = " ") -> str:
    """`text` with blanks for comments, strings, templates and regular expressions, line ends in them included.

    Except for comments, the first character is kept. literal: what the others become, in place of a blank.
    """
    out, position, templates = list(text), 0, list[bool]()
    while match := _TOKEN.search(text, position):
        start, end, token = match.start(), match.end(), match.group()
        first, last, position = start + 1, end, end  # what to blank, and where to continue
        if token == "{":
            templates.append(False)
        elif token == "`" or (token == "}" and templates and templates.pop()):
            part = _TEMPLATE.match(text, end)
            position = part.end() if part else end
            last = position - (text[position - 1] in "`{")
            if text.endswith("${", end, position):
                templates.append(True)
        elif token == "/":
            before = "".join(out[max(0, start - 80) : start]).rstrip()
            regex = _REGEX.match(text, start) if _BEFORE_REGEX.search(before) else None
            last = position = regex.end() if regex else end
        elif token[0] == "/":
            first = start
        out[first:last] = (" " if first == start else literal) * max(0, last - first)
    return "".join(out)


def _statements(blank: str) -> Iterator[int]:
    """Offsets of top-level statements: at column 0, outside of brackets."""
    depth = 0
    for line in re.finditer(r"[^\n]+", blank):
        if depth == 0 and not line.group()[0].isspace() and not _CONTINUES.match(line.group()):
            yield line.start()
        for bracket in _BRACKET.findall(line.group()):
            depth = max(0, depth + (1 if bracket in "([{" else -1))


def _split(before: str, code: str) -> list[_Chunk]:
    """`code` as what still belongs to the last statement of `before`, and the top-level statements after that."""
    text = before + code
    blank = _blanked(text)
    cuts = [len(before), *(cut for cut in _statements(blank) if cut >= len(before)), len(text)]
    return [_Chunk(text[a:b], blank[a:b], _bound(blank[a:b]), _used(blank[a:b])) for a, b in pairwise(cuts)]


def _closes(code: str) -> bool:
    """Whether a brace is closed that was not opened here: the end of the prompt's function."""
    depth = 0
    for brace in re.findall(r"[{}]", _blanked(code)):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return True
    return False


def _bound(blank: str) -> set[str]:
    """The top-level names that a statement binds."""
    if match := _DEFINES.match(blank) or _ASSIGNS.match(blank):
        return {match.group(1)}
    if match := _IMPORTS.match(blank) or _DECLARES.match(blank):
        names = set(_NAME.findall(match.group(1)))
        depth, top = 0, ""
        for part in _BRACKET.split(blank[match.end() :]):
            if _BRACKET.match(part):
                depth = max(0, depth + (1 if part in "([{" else -1))
            elif not depth:
                top += part
        return names | set(re.findall(r",\s*([\w$]+)\s*(?=[=,;]|\Z)", top))
    return set()


def _used(blank: str) -> set[str]:
    """The names that a statement uses and does not declare itself."""
    local = {name for match in _LOCAL.finditer(blank) for name in _NAME.findall(match.group(1))}
    for match in _PARAMETERS.finditer(blank):
        pieces = next(group for group in match.groups() if group is not None).split(",")
        local |= {name.group() for name in map(_NAME.search, pieces) if name}
    return set(_NAME.findall(blank)) - local


# --- choosing what belongs


def _continued(prompt: str, code: str, name: str, setup: str) -> tuple[str, str]:
    """The completion and the program of a response that continues the prompt."""
    chunks = _split(prompt, code)
    if not chunks[0].blank.strip() and not any(name in chunk.binds for chunk in chunks):
        keep = [True]  # code of another name: kept up to the first demonstration or prose
        for chunk in chunks[1:]:
            keep.append(keep[-1] and bool(_STATEMENT.match(chunk.blank)))
        keep[0] = any(keep[1:])
    else:
        # What the response adds to the prompt's last statement belongs to it, and is read together with it.
        known = _split("", prompt + chunks[0].text)
        keep = _needed([*known, *chunks[1:]], [True] * len(known), name)[len(known) - 1 :]
    completion = _joined(chunks, keep)
    return completion, whole_program(prompt + completion, setup) if completion.strip() else ""


def _needed(chunks: list[_Chunk], head: list[bool], name: str = "") -> list[bool]:
    """Which chunks to keep: the first ones by `head`, and after them what the answer needs and does not have."""
    keep = head + [False] * (len(chunks) - len(head))
    kept = [chunk for chunk, kept in zip(chunks, keep, strict=True) if kept]
    used = {name}.union(*(chunk.uses for chunk in kept))
    bound = set[str]().union(*(chunk.binds for chunk in kept))
    changed = True
    while changed:
        changed = False
        for i, chunk in enumerate(chunks[len(head) :], len(head)):
            declares = _DEFINES.match(chunk.blank) or _DECLARES.match(chunk.blank)
            changes = not declares and (bound & set(_CHANGES.findall(chunk.blank)) or _EXPORTS.match(chunk.blank))
            if not keep[i] and (chunk.binds & used - bound or changes):
                keep[i] = changed = True
                used |= chunk.uses
                bound |= chunk.binds
    return keep


def _joined(chunks: list[_Chunk], keep: list[bool]) -> str:
    """The kept chunks, without the comments above a dropped one or at the end."""
    last = max((i for i, kept in enumerate(keep) if kept), default=-1)
    parts = []
    for i, chunk in enumerate(chunks[: last + 1]):
        if keep[i] and i < last and keep[i + 1]:
            parts.append(chunk.text)
        elif keep[i] and chunk.blank.strip():
            core = _without_tail(chunk)
            unchanged = i + 1 == len(chunks) and not chunk.text[len(core) :].strip()
            parts.append(chunk.text if unchanged else core + ("\n\n" if i < last else "\n"))
    return "".join(parts)


def _without_tail(chunk: _Chunk) -> str:
    """Up to its last code, with a comment on the same line."""
    end = len(chunk.blank.rstrip())
    rest = chunk.text[end:].split("\n", 1)[0]
    return chunk.text[:end] + ("" if "/*" in rest else rest.rstrip())


def _context(source: str, code: str, name: str = "") -> str:
    """The statements of `source` that bind nothing that `code` binds: JavaScript rejects a second `const`."""
    taken = {name, *defined_names(code)}
    chunks = _split("", source)
    if not any(chunk.binds & taken for chunk in chunks):
        return source
    return "".join(chunk.text for chunk in chunks[1:] if not chunk.binds & taken)


# --- fences, chatter and scripts


def _without_chatter(code: str) -> str:
    """`code` without the sentences that it begins with."""
    lines = code.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip() and not _PROSE.match(line)), len(lines))
    return "\n".join(lines[first:]) if any(line.strip() for line in lines[:first]) else code


def _without_fence(response: str, name: str) -> str:
    """The code of a response with fences; the response itself if it has none."""
    fences = list(_FENCE.finditer(response))
    if not fences:
        return response
    before = _without_chatter(response[: fences[0].start()])
    only_closes = not name and len(fences) % 2 == 1 and not fences[0].group(2) and before.strip()
    if only_closes or (name and (name in defined_names(before) or _closes(before))):
        return before  # the fences after it hold examples
    blocks: list[tuple[str, str]] = []
    opened: re.Match[str] | None = None
    for fence in [*fences, None]:
        if opened is not None:
            code = response[opened.end() + 1 : fence.start() if fence else len(response)]
            blocks.append((opened.group(2).lower(), dedent(code) if opened.group(1) else code))
        opened = fence if fence and (opened is None or fence.group(2)) else None
    named = [code for language, code in blocks if language in _JAVASCRIPT and code.strip()]
    codes = named + [code for _, code in blocks]
    defining = [code for code in codes if name and name in defined_names(code)]
    return (defining or named or [max(codes, key=len, default="")])[0]


def _script(code: str) -> str:
    """A whole program, up to the first prose after it; empty for no code."""
    chunks = _split("", _without_chatter(code))
    size = next((i for i, chunk in enumerate(chunks) if i and _PROSE.match(chunk.text)), len(chunks))
    return _joined(chunks[:size], [True] * size)

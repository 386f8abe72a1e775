"""Python code that may be broken, read by lines and brackets: its top-level statements, and the names in them.

Pure, stdlib only.
"""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from collections.abc import Iterator
from itertools import pairwise

_TOKEN = re.compile(r'#[^\n]*|"""|\'\'\'|["\']|[\[({]|[\])}]|\\\n|\n')
_STRING_END = {
    '"': re.compile(r'(?:\\.|[^\\\n"])*', re.DOTALL),
    "'": re.compile(r"(?:\\.|[^\\\n'])*", re.DOTALL),
    '"""': re.compile(r'(?:\\.|[^\\])*?"""', re.DOTALL),
    "'''": re.compile(r"(?:\\.|[^\\])*?'''", re.DOTALL),
}
# Lines at column 0 that can only belong to the statement before them, valid or not. A `return` there is a syntax error
# of the body: cutting it off would turn the model's compile error into something else.
_CONTINUES = re.compile(r"(?:else|finally)\s*:|(?:elif|except)\b|return\b|[\])}]")
_DEFINES = re.compile(r"(?:async\s+def|def|class)\s+(\w+)\s*[(:]|(\w+)(?:\s*:[^=\n]+)?\s*=(?!=)")

# Python warns of a model's invalid escapes at each parse; this filter matches our sources only, and needs no lock.
warnings.filterwarnings("ignore", module=r"<response>")


def _boundaries(text: str, start: int) -> Iterator[int]:
    """Offsets of top-level statements, from `start` on: at column 0, not in a string or bracket."""
    decorated = False
    for offset in _line_starts(text):
        if offset >= len(text) or text[offset] in " \t\n\f#":
            continue
        if not decorated and offset >= start and not _CONTINUES.match(text, offset):
            yield offset
        decorated = text[offset] == "@"


def _line_starts(text: str) -> Iterator[int]:
    """Offsets of the lines that do not begin inside a string or bracket, or after a backslash."""
    yield 0
    depth = position = 0
    while match := _TOKEN.search(text, position):
        token, position = match.group(), match.end()
        if token in _STRING_END:
            end = _STRING_END[token].match(text, position)
            if end is None:  # an unclosed triple quote runs to the end
                return
            position = end.end()
            if len(token) == 1 and text[position : position + 1] == token:  # else unterminated: ends with its line
                position += 1
        elif token in "[({":
            depth += 1
        elif token in "])}":
            depth = max(0, depth - 1)
        elif token == "\n" and depth == 0:
            yield position


def split(prompt: str, code: str) -> tuple[str, list[str]]:
    """`code` as what still belongs to the prompt's last statement, and the top-level chunks after that."""
    text = prompt + code
    cuts = [*_boundaries(text, len(prompt)), len(text)]
    chunks = [text[begin:end] for begin, end in pairwise(cuts)]
    return text[len(prompt) : cuts[0]], chunks


def top_level_chunks(source: str) -> list[str]:
    """The top-level statements of `source`, which may be broken, as texts; without what precedes them."""
    return split("", source)[1]


def has_code(text: str) -> bool:
    """Whether there is more than blank lines and comments."""
    return any(line.strip() and not line.lstrip().startswith("#") for line in text.split("\n"))


def parses(source: str) -> bool:
    """Whether `source` is valid Python."""
    return tree_of(source) is not None


def tree_of(source: str) -> ast.Module | None:
    """The syntax tree of `source`; None if it is not Python."""
    try:
        return ast.parse(source, "<response>")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def symbols(source: str) -> tuple[set[str], set[str]]:
    """The module-level names that `source` uses, and those that it binds; none if it does not compile."""
    try:
        top = symtable.symtable(source, "<response>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), set()
    used: set[str] = set()
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    tables = [top]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        for symbol in table.get_symbols():
            if symbol.is_referenced() if table is top else symbol.is_global():
                used.add(symbol.get_name())
    return used, bound


def bound_names(chunk: str) -> set[str]:
    """The module-level names that a chunk binds; if it does not compile, what its first line binds."""
    bound = symbols(chunk)[1]
    if bound or parses(chunk):
        return bound
    header = re.sub(r"\A(?:@[^\n]*\n)+", "", chunk)
    match = _DEFINES.match(header)
    return {match.group(1) or match.group(2)} if match else set()

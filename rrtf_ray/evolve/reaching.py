"""What a solution reaches for besides its input: the clock, chance, the network, files, other modules.

In: a program's source. Out: a sentence, empty for none. Pure. Modules are on a list of those that compute; whatever is
not on it is refused, so a module nobody thought of is not trusted.

Limit: an attribute that a computed name reaches is missed; values that change are then seen by the reruns.
"""

from __future__ import annotations

import ast

from rrtf_ray.core.python_code import tree_of
from rrtf_ray.records import ProblemKind

MODULES = frozenset(
    ("__future__", "abc", "array", "base64", "bisect", "calendar", "cmath", "collections", "contextlib", "copy",
     "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq",
     "itertools", "json", "keyword", "math", "numbers", "operator", "queue", "re", "statistics", "string", "struct",
     "textwrap", "types", "typing", "unicodedata", "zlib")
)  # fmt: skip
_OF_SCRIPTS = frozenset({"sys", "io"})
_CALLS = frozenset({"open", "eval", "exec", "compile", "__import__", "globals", "breakpoint", "id", "memoryview"})
_ATTRIBUTES = frozenset({"__builtins__", "__globals__", "__subclasses__", "__loader__", "__code__", "__import__"})
_CLOCKS = frozenset({"now", "today", "utcnow"})


def reaches(program: str, kind: ProblemKind) -> str:
    """What the program reaches for: `uses time`. A program that does not parse reaches for nothing."""
    tree = tree_of(program)
    if tree is None:
        return ""
    allowed = MODULES | (_OF_SCRIPTS if kind is ProblemKind.STDIO else frozenset())
    calls = (_CALLS | (frozenset({"input"}) if kind is ProblemKind.FUNCTION else frozenset())) - _bound(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in _modules(node):
                if name not in allowed:
                    return f"uses {name}"
        elif isinstance(node, ast.Name) and node.id in calls:
            return f"uses {node.id}"
        elif isinstance(node, ast.Attribute) and node.attr in _ATTRIBUTES:
            return f"uses {node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CLOCKS:
            return f"uses the clock ({ast.unparse(node.func)})"
    return ""


def _modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "."]
    return [name.partition(".")[0] or "." for name in names]


def _bound(tree: ast.Module) -> frozenset[str]:
    """The names that the program binds anywhere."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return frozenset(names | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)})

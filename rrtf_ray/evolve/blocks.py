"""Whether the tests run every block of a solution: one that no test enters is not tested, whatever else they notice.

In: a program. Out: copies of it, each of which ends where it enters one block. Pure. Blocks that raise are left out, as
they answer inputs that are not allowed. Faults in a block that is never entered cannot be told from equals by calls
like those of the tests, so mutants do not show it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from rrtf_ray.core.python_code import tree_of

MAX_BLOCKS = 40
_FIELDS = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Ending:
    """A program that ends on entering a block. first: the block's first line of source."""

    program: str
    first: str


def endings(program: str) -> list[Ending]:
    """One for each block, at most MAX_BLOCKS; none for what is not Python."""
    tree = tree_of(program)
    if tree is None:
        return []
    found = []
    stop = ast.parse("raise SystemExit('entered')").body[0]
    for block in _blocks(tree):
        first = ast.unparse(block[0]).partition("\n")[0]
        block.insert(0, stop)
        found.append(Ending(ast.unparse(ast.fix_missing_locations(tree)) + "\n", first))
        del block[0]
        if len(found) == MAX_BLOCKS:
            break
    return found


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    """The blocks in statements, those of classes left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef):
            continue
        for field in _FIELDS:
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                inner = [part for part in block if not _is_text(part)]
                if inner and not isinstance(inner[0], ast.Raise):
                    yield block


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)

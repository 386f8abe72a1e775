"""Tests without their assertions, to find out which calls they make before there is a program to call.

Many tests make their calls in loops, or with arguments that they compute, so that the calls cannot be read off their
source; but few let a call depend on what an earlier one gave. Run once with a stand-in for every result
(`shared.rehearsal`), such tests show all their calls. What they show is only a guess: a program's results count
only where its tests then make the very same calls.
"""

from __future__ import annotations

import ast
import marshal
from collections.abc import Callable, Sequence
from typing import Any

from rrtf_ray.records import Test, TestKind
from rrtf_ray.sandbox.shared.jobs import Step


def rehearsal_of(tests: Sequence[Test], check_name: str, literal: Callable[[str], Any]) -> list[Step]:
    """What `shared.rehearsal` runs; empty where a test has no such form. literal: reads a VALUE test's arguments."""
    steps: list[Step] = []
    for test in tests:
        if test.kind is TestKind.VALUE:
            steps.append(("value", marshal.dumps(list(literal(test.code)))))
        elif test.kind in (TestKind.CHECK, TestKind.ASSERT):
            name = check_name if test.kind is TestKind.CHECK else ""
            steps.append((test.kind.value, compile(_silenced(test.code, name), "<tests>", "exec", dont_inherit=True)))
        else:
            return []
    return steps


def _silenced(source: str, check_name: str) -> ast.Module:
    """No assertion fails and no statement ends the ones after it; `check` is renamed to `check_name`."""
    tree = _Silence().visit(ast.parse(source))
    holder: Any = tree
    if check_name:
        holder = [s for s in tree.body if isinstance(s, ast.FunctionDef) and s.name == "check"][-1]
        holder.name = check_name
    holder.body = [_guarded(statement) for statement in holder.body]
    return ast.fix_missing_locations(tree)


class _Silence(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        return ast.copy_location(ast.Expr(node.test), node)


def _guarded(statement: ast.stmt) -> ast.stmt:
    if not isinstance(statement, ast.Expr | ast.Assign | ast.For | ast.With | ast.If):
        return statement
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
    return ast.copy_location(ast.Try([statement], [handler], [], []), statement)

"""Which pairs of programs are worth asking people about: those that tests cannot order.

Two programs of a problem are compared if both pass all tests, or pass the same share of them; programs that differ only
in layout, comments or the names of local variables are one. More is learned where the model itself is undecided, and
where a problem weighs in training: some of its candidates pass, and some do not.
"""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from rrtf_ray.core.preference import posterior
from rrtf_ray.core.python_code import tree_of
from rrtf_ray.identity import program_digest, stable_seed
from rrtf_ray.records import Candidate, Group, Language, Outcome, Source, Vote

MOST_PAIRS = 20
"""Of one problem: among n programs, a few comparisons of each are enough to order them."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two programs of a problem, by their digests, first < second. priority: in (0, 1], before any vote."""

    problem_id: str
    first: str
    second: str
    priority: float


def pairs_of(group: Group, most: int = MOST_PAIRS) -> list[Pair]:
    """The pairs of a group's programs that are worth a vote, the most telling first. Needs verdicts."""
    problem = group.problem
    distinct: dict[str, Candidate] = {}
    for candidate in group.candidates:
        if _can_be_asked(candidate):
            distinct.setdefault(canonical(candidate.program, problem.language), candidate)
    tied: dict[float, list[Candidate]] = defaultdict(list)
    for candidate in distinct.values():
        assert candidate.verdict
        tied[candidate.verdict.pass_ratio].append(candidate)
    weight = _weight(group)
    found = [
        _pair(problem.id, a, b, weight * (1.0 if ratio == 1 else 0.5))
        for ratio, equal in tied.items()
        for a, b in combinations(equal, 2)
    ]
    # Equal priorities are put in an order that has nothing to do with who wrote what.
    found.sort(key=lambda pair: (-pair.priority, stable_seed(pair.first, pair.second)))
    return found[:most]


def priorities(pairs: Sequence[Pair], votes: Iterable[Vote], prior: float = 1.0) -> list[float]:
    """How soon each pair should be asked, after votes: the information that one more is expected to give, times the
    pair's own priority. pairs, votes: of one problem."""
    found = posterior(votes, prior)
    return [pair.priority * found.information(pair.first, pair.second) for pair in pairs]


def canonical(code: str, language: Language = Language.PYTHON) -> str:
    """A text that is equal for programs that differ only in layout, comments, docstrings and names of local variables
    (JavaScript: in layout)."""
    if language is Language.JAVASCRIPT:
        return " ".join(code.split())
    tree = tree_of(code)
    if tree is None:
        return code.rstrip()
    try:
        return ast.dump(_Renamed().visit(tree))
    except RecursionError:
        return code.rstrip()


def _can_be_asked(candidate: Candidate) -> bool:
    verdict = candidate.verdict
    return bool(
        candidate.program and verdict and verdict.outcome in (Outcome.PASSED, Outcome.FAILED) and verdict.pass_ratio > 0
    )


def _pair(problem_id: str, a: Candidate, b: Candidate, weight: float) -> Pair:
    first, second = sorted((program_digest(a.program), program_digest(b.program)))
    closeness = 1.0
    if a.logprob is not None and b.logprob is not None:
        closeness = math.exp(-abs(a.logprob / max(1, a.num_tokens) - b.logprob / max(1, b.num_tokens)))
    return Pair(problem_id, first, second, weight * (0.5 + 0.5 * closeness))


def _weight(group: Group) -> float:
    """1 where half of the student's candidates pass, 0.5 where all or none do."""
    outcomes = [c.verdict.outcome for c in group.candidates if c.verdict and c.source is Source.STUDENT]
    rate = sum(outcome is Outcome.PASSED for outcome in outcomes) / len(outcomes) if outcomes else 0.0
    return 0.5 + 2 * rate * (1 - rate)


class _Renamed(ast.NodeTransformer):
    """Without docstrings, and with the local names of each function numbered in the order in which they appear."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self._function(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg = self._names.get(node.arg, node.arg)
        return self.generic_visit(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> ast.AST:
        outer = self._names
        self._names = outer | {name: f"_{len(outer) + i}" for i, name in enumerate(_locals(node))}
        if not isinstance(node, ast.Lambda) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        self.generic_visit(node)
        self._names = outer
        return node


def _locals(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[str]:
    """Parameters and what the function assigns, in order; not those of functions within it."""
    found: dict[str, None] = {}
    shared: set[str] = set()
    stack: list[ast.AST] = [function.args, *(function.body if isinstance(function.body, list) else [function.body])]
    while stack:
        node = stack.pop(0)
        if isinstance(node, ast.arg):
            found[node.arg] = None
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found[node.id] = None
        elif isinstance(node, ast.Global | ast.Nonlocal):
            shared |= set(node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        stack[:0] = list(ast.iter_child_nodes(node))
    return [name for name in found if name not in shared]

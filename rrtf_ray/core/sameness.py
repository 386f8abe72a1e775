"""Whether two programs differ in more than their looks.

In: source. Out: a normal form; programs with equal forms differ at most in comments, docstrings, white space and, in
Python, in how they name what is local to a function. Pure, stdlib only.

Limits: names that a function imports, and those of classes and modules, count as different; so does a program that does
not parse from any other text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from itertools import count

from rrtf_ray.core import javascript
from rrtf_ray.core.python_code import tree_of
from rrtf_ray.records import Language

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def normal_form(source: str, language: Language) -> str:
    """A text that is equal for programs which differ in their looks only."""
    if language is Language.JAVASCRIPT:
        return javascript.without_layout(source)
    tree = tree_of(source)
    if tree is None:
        return source.strip()
    try:
        return ast.dump(_Renamed().visit(tree))
    except RecursionError:
        return source.strip()


def whole_form(program: str, language: Language, name: str) -> str:
    """As `normal_form`, of a whole program: what its own functions, classes and variables are called, the order of its
    definitions and imports of types do not count either. Constants do, and in JavaScript all names but `name`, that of
    the entry point."""
    tree = tree_of(program) if language is Language.PYTHON else None
    if tree is None:
        return _with_neutral(normal_form(program, language), name)
    body = [statement for statement in tree.body if not _is_about_types(statement)]
    definitions = [statement for statement in body if isinstance(statement, _DEFINITION)]
    others = [statement for statement in body if not isinstance(statement, _DEFINITION)]
    try:
        definitions.sort(key=_shape)
        whole = ast.FunctionDef("", ast.arguments([], [], None, [], [], None, []), [*others, *definitions], [])
        return _with_neutral(ast.dump(_Renamed().visit(whole)), name)
    except RecursionError:
        return program.strip()


def _shape(definition: ast.stmt) -> list[str]:
    """The kinds of node in a definition and its constants: an order that names do not change."""
    return [
        repr(node.value) if isinstance(node, ast.Constant) else type(node).__name__ for node in ast.walk(definition)
    ]


def _with_neutral(form: str, name: str) -> str:
    """A method keeps its name in a normal form, and so does everything in JavaScript."""
    return re.sub(rf"(?<![\w$]){re.escape(name)}(?![\w$])", "entry_point", form) if name and name in form else form


def _is_about_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module in ("typing", "__future__")


class _Renamed(ast.NodeTransformer):
    """Numbers the names of each function, lambda and comprehension in the order in which they are bound."""

    def __init__(self) -> None:
        self._scopes: list[dict[str, str]] = []
        self._numbers = count()

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = self._visited(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._new(node.name)
        body, node.body = self._visited(node), []
        self.generic_visit(node)
        node.body = body
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self._outside(node.args)
        self._enter(_parameters(node.args))
        node.args = self._named(node.args)
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        return self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.AST:
        return self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.AST:
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.AST:
        return self._comprehension(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._new(node.id), node.ctx)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        return ast.Nonlocal([self._new(name) for name in node.names])

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        return self._with_name(node, "name")

    def visit_MatchAs(self, node: ast.MatchAs) -> ast.AST:
        return self._with_name(node, "name")

    def visit_MatchStar(self, node: ast.MatchStar) -> ast.AST:
        return self._with_name(node, "name")

    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        return self._with_name(node, "rest")

    def _with_name(self, node: ast.AST, attribute: str) -> ast.AST:
        name = getattr(node, attribute)
        if name:
            setattr(node, attribute, self._new(name))
        return self.generic_visit(node)

    def _function(self, node: _Function) -> ast.AST:
        node.name = self._new(node.name)
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.returns = None
        self._outside(node.args)
        outer = {name for child in node.body for name in _outer_names(child)}
        names = [*_parameters(node.args), *(name for child in node.body for name in _bound(child))]
        self._enter(name for name in names if name not in outer)
        node.args = self._named(node.args)
        node.body = self._visited(node)
        self._scopes.pop()
        return node

    def _comprehension(self, node: _Comprehension) -> ast.AST:
        first = node.generators[0]
        begun = self.visit(first.iter)  # belongs to the scope outside
        self._enter(name for part in node.generators for name in _bound(part.target))
        first.iter = ast.Constant(None)
        self.generic_visit(node)
        first.iter = begun
        self._scopes.pop()
        return node

    def _visited(self, node: ast.Module | ast.ClassDef | _Function) -> list[ast.stmt]:
        """The statements within, without a docstring."""
        documented = ast.get_docstring(node, clean=False) is not None
        return [self.visit(statement) for statement in node.body[documented:]]

    def _outside(self, args: ast.arguments) -> None:
        """Defaults belong to the scope outside; annotations say nothing to the interpreter."""
        args.defaults = [self.visit(default) for default in args.defaults]
        args.kw_defaults = [default and self.visit(default) for default in args.kw_defaults]

    def _named(self, args: ast.arguments) -> ast.arguments:
        for arg in _all_args(args):
            arg.arg, arg.annotation = self._new(arg.arg), None
        return args

    def _enter(self, names: Iterable[str]) -> None:
        self._scopes.append({name: f"_{next(self._numbers)}" for name in dict.fromkeys(names)})

    def _new(self, name: str) -> str:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), name)


def _all_args(args: ast.arguments) -> list[ast.arg]:
    extra = [arg for arg in (args.vararg, args.kwarg) if arg]
    return [*args.posonlyargs, *args.args, *args.kwonlyargs, *extra]


def _parameters(args: ast.arguments) -> list[str]:
    return [arg.arg for arg in _all_args(args)]


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a statement or target binds in its own scope, in the order of the source."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return
        case ast.Lambda():
            return
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            for child in ast.walk(node):  # of a comprehension only `:=` reaches the scope outside
                if isinstance(child, ast.NamedExpr):
                    yield child.target.id
            return
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def _outer_names(node: ast.AST) -> Iterator[str]:
    """What a function's own statements declare global or nonlocal."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _outer_names(child)

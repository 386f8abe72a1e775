"""Every exception class of the package crosses a process border whole."""

import ast
import builtins
import importlib
import pickle

import pytest

from rrtf_ray.serving.limits import Reason
from tests.test_structure import PACKAGE, module_of

# Arguments of those classes that take more, or something else, than a text.
ARGUMENTS = {
    "_FieldError": (("no whole number", "tests[0].timeout"), {}),
    "Unusable": (("x", "SyntaxError: invalid syntax"), {}),
    "Rejected": ((Reason.QUEUE, 2.5), {}),
    "Refusal": ((429, "too many"), {"param": "n", "code": "some_code", "retry_after_s": 2.5}),
}


def exception_classes():
    """(module, name) of each, read from the source: importing every module would load Ray, vLLM and DeepSpeed."""
    bases = {
        (module_of(path), node.name): {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    }
    known = {n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, BaseException)}
    found = set()
    while more := {key for key, names in bases.items() if key not in found and names & known}:
        found |= more
        known |= {name for _, name in more}
    return sorted(found)


def test_the_classes_are_found():
    names = {name for _, name in exception_classes()}
    assert ARGUMENTS.keys() | {"RRTFError", "ConfigError", "MachineryFault", "Gone"} <= names


@pytest.mark.parametrize(("module", "name"), exception_classes())
def test_an_exception_survives_pickling(module, name):
    kind = getattr(importlib.import_module(module), name)
    arguments, options = ARGUMENTS.get(name, (("a text",), {}))
    error = kind(*arguments, **options)
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is kind
    assert (str(copied), copied.args, vars(copied)) == (str(error), error.args, vars(error))

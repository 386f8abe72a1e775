import pytest

from rrtf_ray.core.sameness import normal_form
from rrtf_ray.records import Language

PROGRAM = '''def solve(numbers, k=2):
    """Says what it does."""
    total = 0
    for n in numbers:
        if n % k:
            total += n  # odd ones
    return sorted([n * total for n in numbers], key=lambda n: -n)
'''


def same(one, other, language=Language.PYTHON):
    return normal_form(one, language) == normal_form(other, language)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # odd ones", ""),
        ('    """Says what it does."""\n', ""),
        ("n % k", "(n  %  k)"),
        ("total", "answer"),
        ("numbers", "values"),
        ("[n * total for n in numbers]", "[item * total for item in numbers]"),
        ("lambda n: -n", "lambda x: -x"),
        ("numbers, k=2", "numbers: list[int], k: int = 2"),
    ],
)
def test_looks_do_not_count(old, new):
    assert old in PROGRAM
    assert same(PROGRAM, PROGRAM.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("n % k", "n % 2"),
        ("total += n", "total += k"),
        ("k=2", "k=3"),
        ("-n)", "n)"),
        ("def solve", "def other"),
        ("sorted(", "list("),
        ("n * total for n in numbers", "n * n for n in numbers"),
    ],
)
def test_what_it_does_counts(old, new):
    assert old in PROGRAM
    assert not same(PROGRAM, PROGRAM.replace(old, new))


def test_names_are_told_apart_by_scope():
    assert same("def f(a, b):\n    return a - b\n", "def f(b, a):\n    return b - a\n")
    assert not same("def f(a, b):\n    return a - b\n", "def f(a, b):\n    return b - a\n")
    nested = "def f(x):\n    def g(y):\n        nonlocal x\n        x = y\n        return x\n    return g(x)\n"
    assert same(nested, nested.replace("y", "other").replace("g(", "inner("))
    assert not same(nested, nested.replace("nonlocal x", "pass"))
    counter = "def f():\n    global total\n    total = 1\n"
    assert not same(counter, counter.replace("total", "count"))  # a name of the module
    walrus = "def f(xs):\n    return [y for x in xs if (y := x + 1)], y\n"
    assert same(walrus, walrus.replace("y", "z"))
    matched = (
        "def f(x):\n    match x:\n        case [first, *rest]:\n            return first, rest\n"
        "        case {'a': one, **more}:\n            return one, more\n    try:\n        pass\n"
        "    except E as error:\n        return error\n"
    )
    assert same(matched, matched.replace("rest", "tail").replace("more", "others").replace("error", "e"))
    assert not same(matched, matched.replace("first, rest", "rest, first"))
    in_class = "class A:\n    x = 1\n    def f(self, y):\n        return self.x + y\n"
    assert same(in_class, in_class.replace("self", "this").replace("y)", "z)").replace("+ y", "+ z"))
    assert not same(in_class, in_class.replace("x", "y"))


def test_broken_python_is_compared_as_text():
    assert same("def f(:\n", "def f(:\n\n")
    assert not same("def f(:\n", "def f( :\n")
    deep = "x = " + "-" * 5000 + "1"
    assert normal_form(deep, Language.PYTHON)


def test_javascript_without_comments_and_white_space():
    program = 'function f(a) {\n  const s = "a  // b";  // text\n  return /a b/.test(s) ? a + 1 : `x ${a}  y`;\n}\n'
    other = 'function f(a){/* more */const s="a  // b";return /a b/.test(s)?a+1:`x ${a}  y`;}'
    assert same(program, other, Language.JAVASCRIPT)
    for old, new in (('"a  //', '"a //'), ("}  y`", "} y`"), ("/a b/", "/ab/"), ("return /", "return/")):
        assert old in program
        changed = program.replace(old, new)
        assert same(program, changed, Language.JAVASCRIPT) == (old == "return /")
    assert not same("let a = 1", "leta = 1", Language.JAVASCRIPT)

"""Source texts that are odd, broken or too much for the parser, and entry points of every make.

What Python itself accepts must pass; the rest must fail without taking anything else with it.
"""

from __future__ import annotations

from .entry import GOOD, Ends, Entry, check
from .tasks import LOOPS, MEMBERS, SCRIPT, SUM, WITH_SETUP

METHOD = check(
    "method",
    """
assert candidate([1, 2]) == 3
assert candidate([5, 5]) == 10
""",
    solution="class Solution:\n    def f(self, xs):\n        return sum(xs)\n",
    wrong="class Solution:\n    def f(self, xs):\n        return len(xs)\n",
    entry_point="Solution().f",
)
EVERYWHERE = (SUM, SCRIPT)
INDENTED = GOOD.replace("\n", "\n    ")
TOO_DEEP = "the parser and the compiler, which recurse"


def deep(name: str, statement: str) -> Entry:
    """A statement that Python cannot compile, and does not crash over."""
    return Entry(name, TOO_DEEP, f"{GOOD}{statement}\n")


def makes(name: str, source: str, attacks: str = "", passes: bool | None = True) -> Entry:
    """A way to make the entry point."""
    return Entry(name, attacks or "whoever looks for a `def`", source, passes=passes)


ENTRIES = (
    # nothing
    Entry("empty", "whoever expects a program", "", tasks=EVERYWHERE),
    Entry("white space", "whoever expects a program", " \n\t\n\f\r\n", tasks=EVERYWHERE),
    Entry("byte order mark alone", "whoever strips the white space only", "\ufeff\n", tasks=EVERYWHERE),
    Entry("comments", "whoever searches the text", "# " + GOOD.replace("\n", "\n# "), tasks=EVERYWHERE),
    Entry("docstring", "whoever searches the text", f'"""\n{GOOD}"""\n', tasks=EVERYWHERE),
    # characters
    Entry("byte order mark", "the first line", "\ufeffdef f(xs):\n    return sum(xs)\n", passes=True),
    Entry("two byte order marks", "whoever strips all of them", "\ufeff\ufeff" + GOOD),
    Entry(
        "line ends",
        "whoever splits lines other than Python does",
        "text = '''\r\n\r'''\rassert text == '\\n\\n'\r\ndef f(xs):\r    return sum(xs)\r",
        passes=True,
    ),
    Entry(
        "separators that end no line",
        "whoever splits lines as str.splitlines does",
        "".join(f"# comment{c}raise SystemExit(1)\n" for c in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
        + "assert len('\x0b\x0c\x1c\x85\u2028') == 5\n" + GOOD,
        passes=True,
    ),
    Entry("form feeds", "whoever counts columns", "\f\n\fdef f(xs):\f\n\f    return sum(xs)\f\n\f", passes=True),
    Entry(
        "tabs and spaces",
        "the indentation, mixed but in one sense",
        "def f(xs):\n\tif xs:\n\t    return sum(xs)\n\treturn 0\n",
        passes=True,
    ),
    Entry("tabs against spaces", "the indentation", "def f(xs):\n        if xs:\n\treturn sum(xs)\n        return 0\n"),
    Entry("null byte", "C code that ends a text there", GOOD + "# \0\n", tasks=EVERYWHERE),
    Entry("half a character", "the encoding of the source", "# \ud83d\ud83d\n" + GOOD, tasks=EVERYWHERE),
    Entry("end-of-file character", "whoever reads as DOS did", GOOD + "\x1a"),
    Entry("no-break space", "eyes: an indentation that is none", "def f(xs):\n\u00a0   return sum(xs)\n"),
    Entry("zero-width space", "eyes: a name that is another", "def f\u200b(xs):\n    return sum(xs)\n"),
    Entry("look-alike letter", "eyes: a name that is another", "def f(xs):\n    return \u0455um(xs)\n"),
    Entry(
        "right-to-left marks",
        "eyes, by text that changes places",
        "# \u202e)sx(mus nruter\u202c\nnote = '\u2066\u200f\u061c\u2069'\nassert len(note) == 4\n" + GOOD,
        passes=True,
    ),
    Entry(
        "equal names",
        "whoever compares names before they are normalised",
        "def \uff46(\U0001d431\u017f):\n    return \uff53\uff55\uff4d(xs)\n",
        passes=True,
    ),
    Entry(
        "other cookie",
        "the encoding of the source",
        "#!/usr/bin/python2\n# -*- coding: latin-1 -*-\ns = '\u00e9\u20ac'\nassert len(s) == 2\n" + GOOD,
        passes=True,
    ),
    Entry("unknown cookie", "the encoding of the source", "# coding: no-such-codec\n" + GOOD, passes=None),
    Entry(
        "second reading",
        "eyes: by the cookie's encoding the comment is a program",
        "# coding: utf-7\n# +AAo-def f(xs): return sum(xs)\n",
        passes=None,
    ),
    # first and last lines
    Entry(
        "future import",
        "a setup that stands before the first line",
        '"""Half and one."""\n\n# a comment\nfrom __future__ import annotations\n\n'
        "def f(x: Unknown) -> Unknown:\n    return half(x) + 1\n",
        passes=True,
        tasks=(WITH_SETUP,),
    ),
    Entry("late future import", "a setup before the first line", "x = 1\nfrom __future__ import division\n"),
    Entry("no newline at the end", "whoever joins sources", GOOD + "# the end", passes=True),
    Entry("continuation at the end", "whoever joins sources", GOOD + "x = 1 + \\"),
    Entry("cut off", "whoever completes it", "def f(xs):\n    return sum(xs", tasks=EVERYWHERE),
    Entry("cut off in a text", "whoever joins sources", GOOD + 'x = """and so on\n', tasks=EVERYWHERE),
    Entry("fences", "whoever runs a whole response", f"```python\n{GOOD}```\n", tasks=EVERYWHERE),
    # not this Python
    Entry("colon left out", "the parser", "def f(xs)\n    return sum(xs)\n"),
    Entry("body not indented", "the parser", "def f(xs):\nreturn sum(xs)\n"),
    Entry("return outside", "the compiler, which sees what the parser does not", GOOD + "return f\n", tasks=EVERYWHERE),
    Entry(
        "Python 2",
        "the parser",
        "def f(xs):\n    print 'sum of', xs\n    return sum(xs)\nprint f(map(int, raw_input().split()))\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "newer Python",
        "an interpreter that is older than the program",
        "type Numbers = list[int]\ndef f[T](xs: list[T]) -> T:\n    return int(f'{f'{sum(xs)}'}')\n",
        passes=None,
    ),
    Entry(
        "newest forms",
        "a parser of one's own",
        "def f(xs, /, *rest, key=None, **_):\n"
        "    match xs:\n        case []:\n            return 0\n"
        "        case [int() as x, *more] if (total := x + sum(more)) >= 0:\n            pass\n"
        "    try:\n        raise ExceptionGroup('several', [ValueError(total)])\n"
        "    except* ValueError as group:\n        (error,) = group.exceptions\n"
        "        text = f\"{f'{error!s:>{10}}'}\"\n    return int(text)\n",
        passes=True,
    ),
    Entry(
        "warnings of the compiler",
        "whoever takes a warning for an error",
        "import warnings\nwarnings.simplefilter('error')\ndef f(xs):\n"
        "    eval(compile(\"'\\\\d' is 3\", 'x', 'eval')) if False else None\n    return sum(xs)\n"
        "pattern = '\\d' if f([]) is 0 else '\\w'\n",
        passes=True,
    ),
    # too much
    Entry(
        "long lines",
        "buffers of lines and names",
        f"xs = [{'1, ' * 50_000}]\n{'x = 1; ' * 2000}\n{'n' * 100_000} = 1\ntext = '{'a' * 1_000_000}'\n" + GOOD,
        passes=True,
    ),
    Entry(
        "many lines",
        "tables of line numbers",
        "\n" * 100_000 + "def line():\n    raise ValueError\ntry:\n    line()\nexcept ValueError as error:\n"
        "    assert error.__traceback__.tb_lineno == 100_004\n" + GOOD,
        passes=True,
    ),
    Entry("megabytes", "memory and time, by the compiler", "x = [1]\n" * 1_000_000 + GOOD, passes=None, ends=Ends.CPU),
    deep("brackets", f"x = {'(' * 100_000}{')' * 100_000}"),
    deep("brackets without end", "x = " + "{[(" * 60),
    deep("signs", f"x = {'-' * 100_000}1"),
    deep("sum of many", f"x = {'1 + ' * 100_000}1"),
    deep("attributes", f"x = f{'.a' * 100_000}"),
    deep("calls", f"x = f{'()' * 100_000}"),
    deep("lambdas", f"x = {'lambda: ' * 10_000}1"),
    deep("indentation", "".join(f"{' ' * i}if f:\n" for i in range(200)) + " " * 200 + "pass"),
    deep("blocks", "".join(f"{' ' * i}for x in f:\n" for i in range(30)) + " " * 30 + "pass"),
    deep("branches", "if f == 0:\n    x = 0\n" + "".join(f"elif f == {i}:\n    x = {i}\n" for i in range(20_000))),
    Entry(
        "as deep as allowed",
        TOO_DEEP,
        "def f(xs):\n    n = len(xs)\n    if n == 999:\n        return 0\n"
        + "".join(f"    elif n == {1000 + i}:\n        return {i}\n" for i in range(300))
        + f"    return sum(xs) + {'(' * 90}0{')' * 90} + {'-' * 90}0{' + 0' * 500}\n"
        + "".join(f"{' ' * i}if f:\n" for i in range(90)) + f"{' ' * 90}pass\n"
        + "@lambda g: g\n" * 500 + f"def g():\n    return {'[y for y in ' * 90}[1]{']' * 90}\nassert g() == [1]\n",
        passes=True,
    ),
    Entry(
        "large constants",
        "the compiler, which computes them",
        "def unused():\n    return 2 ** 10 ** 9, 'x' * 10 ** 11, ((0,) * 999,) * 10 ** 9, 1 << 10 ** 9 << 10, 1e999\n"
        f"hexadecimal = 0x{'f' * 100_000}\ntext = {repr('word ') * 20_000}\n" + GOOD,
        passes=True,
    ),
    Entry("too many digits", "the time to read a number, quadratic", f"x = {'9' * 100_000}\n" + GOOD),
    # where the entry point comes from
    makes("lambda", "f = lambda xs: sum(xs)\n"),
    makes("partial", "import functools\nf = functools.partial(sum, start=0)\n"),
    makes("builtin", "f = sum\n"),
    makes("object with __call__", "class F:\n    def __call__(self, xs):\n        return sum(xs)\nf = F()\n"),
    makes("class", "class f(int):\n    def __new__(cls, xs):\n        return int.__new__(cls, sum(xs))\n"),
    makes("bound method", "class F:\n    @classmethod\n    def f(cls, xs):\n        return sum(xs)\nf = F.f\n"),
    makes("exec", "exec('def f(xs):\\n    return sum(xs)\\n')\n"),
    makes("globals", "def make():\n    global f\n    globals()['g'] = sum\n    f = lambda xs: g(xs)\nmake()\n"),
    makes("star import", "from math import *\nfrom operator import *\ndef f(xs):\n    return int(fsum(xs))\n"),
    makes("defined twice", "def f(xs):\n    return None\ndef f(xs):\n    return sum(xs)\n"),
    makes("defined twice, worse", GOOD + "def f(xs):\n    return None\n", passes=False),
    makes("defined in a branch", f"if __name__ == '__main__':\n    f = None\nelse:\n    {INDENTED}"),
    makes("deleted", GOOD + "del f\n", passes=False),
    makes("other name", GOOD.replace("def f", "def F"), passes=False),
    makes("number", "f = 3\n", passes=False),
    makes("none", "f = None\n", passes=False),
    makes("method of a class", METHOD.solution, passes=False),
    makes("in the main part", f"if __name__ == '__main__':\n    {INDENTED}", passes=False),
    makes("attribute of the module", "def __getattr__(name):\n    return sum\n", passes=None),
    makes("other module", "import sys, types\nsys.modules[__name__] = types.SimpleNamespace(f=sum)\n", passes=None),
    makes("coroutine", "async def f(xs):\n    return sum(xs)\n", "a result that nobody awaits", passes=False),
    makes("function of a function", "def f():\n    return sum\n", passes=False),
    Entry(
        "cached",
        "whoever looks for a `def`",
        "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef f(n):\n    return n * n\n",
        passes=True,
        tasks=(LOOPS,),
    ),
    Entry(
        "generator in place of a list",
        "a type that the tests ask for",
        "def f(n):\n    for d in range(1, n + 1):\n        if n % d == 0:\n            yield d\n",
        tasks=(MEMBERS,),
    ),
    Entry("function in place of a method", "an entry point that is an expression", GOOD, tasks=(METHOD,)),
    Entry(
        "static method of a base",
        "an entry point that is an expression",
        "class Base:\n    @staticmethod\n    def f(xs):\n        return sum(xs)\n"
        "class Solution(Base):\n    __slots__ = ()\n    def __init__(self, *_, verbose=False):\n        pass\n",
        passes=True,
        tasks=(METHOD,),
    ),
    # names
    makes(
        "names for type checkers",
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from somewhere import Numbers\ndef f(xs: Numbers) -> 'Nothing':\n    return sum(xs)\n",
        "annotations that cannot be evaluated",
    ),
    makes(
        "builtins hidden",
        "print = len = type = list = dict = isinstance = id = str = int = open = iter = Exception = None\n" + GOOD,
        "whoever runs in the program's names",
    ),
    makes(
        "builtins replaced",
        "import builtins\nadd = sum\nfor name in ('print', 'len', 'isinstance', 'type', 'sorted', 'getattr', 'open'):\n"
        "    delattr(builtins, name)\ndef f(xs):\n    return add(xs)\n",
        "whoever runs with the program's builtins",
        passes=None,
    ),
    makes(
        "the module's own names",
        "__builtins__ = {}\n__name__ = __file__ = __spec__ = __doc__ = __loader__ = __annotations__ = 0\n"
        "def f(xs):\n    total = 0\n    for x in xs:\n        total += x\n    return total\n",
        "whoever runs in the program's names",
    ),
    makes(
        "names of the tests",
        "def check(candidate):\n    raise SystemError\n"
        "candidate = _rrtf_check = _rrtf_result = _rrtf_caught = program = tests = None\n" + GOOD,
        "names that the tests use",
    ),
    Entry(
        "guard of a script",
        "the name that a script runs under",
        "def main():\n    print(sum(map(int, input().split())))\n\n\nif __name__ == '__main__':\n    main()\n",
        passes=True,
        tasks=(SCRIPT,),
    ),
    Entry(
        "guard of a function",
        "the name that a script runs under",
        GOOD + "if __name__ == '__main__':\n    print(f([int(x) for x in input().split()]))\n    raise SystemExit(1)\n",
        passes=True,
    ),
)  # fmt: skip

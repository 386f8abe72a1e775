"""Results that are hard to copy, to compare, to describe or to wait for; and results that look odd and are right."""

from __future__ import annotations

from .entry import Ends, Entry, asserts, check
from .tasks import (
    ASSERTS,
    CALLBACK,
    CLOSE,
    IN_PLACE,
    LOOPS,
    MEMBERS,
    NONE,
    RAISES_ANYTHING,
    SCRIPT,
    SCRIPT_FLOAT,
    SHAPE,
    SUM,
    TRUTH,
    VALUES,
    VALUES_NESTED,
)

BITS = asserts(
    "bits",
    "assert f(1) == 1",
    "assert f(0) == 0",
    "assert f(3) in (1, 2) and not f(4)",
    solution="def f(n):\n    return n % 2\n",
    wrong="def f(n):\n    return n\n",
)
LISTS = asserts(
    "lists",
    "assert f(3) == [0, 1, 2]",
    "assert f(0) == []",
    "assert sorted(f(2), reverse=True) == [1, 0]",
    "first, second = f(1), f(2)\nassert first == [0] and second == [0, 1]",
    solution="def f(n):\n    return list(range(n))\n",
    wrong="def f(n):\n    return list(range(1, n + 1))\n",
)
TEXTS = asserts(
    "texts",
    r"assert f(0xD800) == '\ud800'",
    r"assert f(0x41) == 'A'",
    r"assert f(0) == '\0' and f(0x10FFFF) == '\U0010ffff' and f(0x2028) == '\u2028'",
    solution="def f(n):\n    return chr(n)\n",
    wrong="def f(n):\n    return chr(n & 0xFFF)\n",
)
BYTES = asserts(
    "bytes",
    "assert f(256) == bytes(range(256))",
    "assert f(0) == b''",
    solution="def f(n):\n    return bytes(range(n))\n",
    wrong="def f(n):\n    return bytes(n)\n",
)
ROUNDED = asserts(
    "rounded",
    "assert round(f(3)) == 3",
    "assert int(f(4)) == 4",
    solution="def f(n):\n    return n + 0.25\n",
    wrong="def f(n):\n    return n + 1\n",
)
WORDS = asserts(
    "words",
    "assert 'a' in f(1)",
    "assert len(f(2)) == 2",
    solution="def f(n):\n    return ['a', 'b'][:n]\n",
    wrong="def f(n):\n    return ['b'] * n\n",
)
ITERATED = check(
    "iterated",
    """
assert list(candidate(3)) == [0, 1, 2]
found = []
for x in candidate(2):
    found.append(x)
assert found == [0, 1]
assert dict(enumerate(candidate(1))) == {0: 0}
""",
    solution="def f(n):\n    return iter(range(n))\n",
    wrong="def f(n):\n    return iter(range(1, n))\n",
)
OWN_ARGUMENT = check(
    "own argument",
    """
xs = [3, 1]
assert candidate(xs) == sum(xs)
ys = [[2]]
assert candidate(ys[0]) == sum(map(sum, ys))
""",
    solution=SUM.solution,
    wrong=SUM.wrong,
)

ALL_FORMS = (SUM, LOOPS, VALUES, MEMBERS, IN_PLACE)
ASKED = "__iter__ = __len__ = __getitem__ = __next__ = __bool__ = __repr__ = __str__ = __getattr__ = __call__ = {}\n"
"""All that a test may ask of an object, in a class body."""


def odd(name: str, attacks: str, source: str, **others: object) -> Entry:
    return Entry(name, attacks, source, **{"tasks": ALL_FORMS, **others})  # type: ignore[arg-type]


def right(name: str, source: str, *tasks: object) -> Entry:
    """A right result of an unusual kind."""
    return Entry(name, "nothing: it is right as Python sees it", source, passes=True, tasks=tasks)  # type: ignore[arg-type]


ENTRIES = (
    odd(
        "list in itself",
        "copying and comparison without end",
        "def f(*_):\n    xs = []\n    xs.append(xs)\n    return xs\n",
    ),
    odd(
        "nested lists",
        "recursion of whoever copies, reads or compares: some hundreds and 100 000 levels",
        "def f(x, *_):\n    found = 1\n    for _ in range(950 if x in (1, 6, [1, 2]) else 10**5):\n"
        "        found = [found]\n"
        "    return found\n",
        ends=Ends.CPU,
    ),
    odd(
        "nested tuples",
        "recursion of whoever hashes or compares",
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(*_):\n    found = ()\n    for _ in range(1500):\n"
        "        found = (found, {1: {2}})\n    return found\n",
    ),
    odd(
        "lists of the same lists",
        "copying of a few lists that are exponentially many values",
        "def f(*_):\n    xs = [1]\n    for _ in range(40):\n        xs = [xs, xs]\n    return xs\n",
        ends=Ends.CPU,
    ),
    odd(
        "colliding sets",
        "quadratic time in whoever makes sets again",
        "def f(x, *_):\n    n = 1200 if x in (1, 6, [1, 2]) else 3000\n"
        "    keys = [k * ((1 << 61) - 1) for k in range(n)]\n"
        "    return dict.fromkeys(keys) if n > 2000 else set(keys)\n",
        ends=Ends.CPU,
    ),
    odd(
        "ten million digits",
        "numbers: text, comparison and description",
        "x = 1 << 33_000_000\ndef f(*_):\n    return x\n",
        ends=Ends.CPU,
    ),
    odd(
        "hundred thousand digits",
        "numbers in arithmetic",
        "def f(*_):\n    return 1 << 100_000\n",
        tasks=(*ALL_FORMS, CLOSE),
    ),
    odd(
        "string of 50 MB",
        "memory of whoever reads",
        "def f(*_):\n    return 'x' * 50_000_000\n",
        passes=False,
        ends=Ends.CPU,
    ),
    odd("list of a million", "whoever reads or compares", "def f(*_):\n    return list(range(10**6))\n", ends=Ends.CPU),
    odd(
        "a million in a range",
        "whoever goes through a small result that is long",
        "def f(*_):\n    return range(1, 10**6)\n",
        tasks=(*ALL_FORMS, WORDS),
    ),
    odd(
        "endless range",
        "whoever goes through a small result that is nearly endless",
        "def f(n):\n    return range(1, 2 * 10**8) if n in (1, 8) else range(n)\n",
        tasks=(MEMBERS, WORDS),
        ends=Ends.CPU,
    ),
    odd(
        "great decimal number",
        "whoever turns a number of ten bytes into an integer of a million bits",
        "import decimal\ndef f(n):\n    return decimal.Decimal('1e300000')\n",
        tasks=(ROUNDED, SUM),
        ends=Ends.CPU,
    ),
    odd(
        "endless iterator",
        "a test that goes through its result",
        "import itertools\ndef f(*_):\n    return itertools.count()\n",
        tasks=(SUM, ITERATED, MEMBERS, WORDS),
        ends=Ends.CPU,
    ),
    odd(
        "iterator that sleeps",
        "a test that goes through its result",
        "import time\ndef f(*_):\n    yield 0\n    time.sleep(60)\n",
        tasks=(ITERATED, MEMBERS),
        ends=Ends.WALL,
    ),
    odd(
        "iterator that ends early",
        "a test that goes through its result: StopIteration, GeneratorExit and the end of the process",
        "import os\nclass f:\n    def __init__(self, n):\n        self.n = n\n    def __iter__(self):\n"
        "        return self\n"
        "    def __next__(self):\n        if self.n == 3:\n            raise StopIteration\n"
        "        if self.n == 2:\n            raise GeneratorExit\n        os._exit(0)\n",
        tasks=(ITERATED, MEMBERS, LOOPS),
    ),
    odd(
        "object that never answers",
        "a test that asks an object for its length, items, text or attributes",
        "def wait(*_):\n    while True:\n        pass\nclass Slow:\n    " + ASKED.format("wait")
        + "def f(*_):\n"
        "    return Slow()\n",
        tasks=(SUM, VALUES, MEMBERS, SHAPE, TRUTH, ASSERTS, ITERATED),
        ends=Ends.CPU,
    ),
    odd(
        "object that exits when asked",
        "a test that asks an object for its length, items, text or attributes",
        "import sys\ndef leave(*_):\n    sys.exit(0)\nclass Gone:\n    " + ASKED.format("leave")
        + "def f(*_):\n"
        "    return Gone()\n",
        tasks=(SUM, VALUES, MEMBERS, SHAPE, TRUTH, ASSERTS, ITERATED),
    ),
    odd(
        "object of objects",
        "a test that asks on and on: every answer is another object",
        "class Deep:\n    def more(self, *_):\n        return Deep()\n    " + ASKED.format("more")
        + "def f(*_):\n"
        "    return Deep()\n",
        tasks=(SUM, VALUES, MEMBERS, SHAPE, TRUTH, ASSERTS, ITERATED),
        ends=Ends.CPU,
    ),
    odd(
        "a different answer to every look",
        "a test that asks an object twice",
        "import itertools\nnumbers = itertools.count()\nclass Changing:\n    def __len__(self):\n"
        "        return next(numbers)\n"
        "    def __getitem__(self, i):\n        return next(numbers)\n    def __iter__(self):\n"
        "        return iter([next(numbers)] * 3)\n    side = property(__len__)\n    def area(self):\n"
        "        return next(numbers)\ndef f(*_):\n    return Changing()\n",
        tasks=(SUM, MEMBERS, SHAPE, ASSERTS, ITERATED),
    ),
    odd(
        "copying that never ends",
        "whoever copies: a class that is asked for",
        "class Slow:\n    @property\n    def __class__(self):\n        while True:\n            pass\ndef f(*_):\n"
        "    return Slow()\n",
        ends=Ends.CPU,
    ),
    odd(
        "many objects",
        "whoever keeps objects for the tests",
        "def f(*_):\n    return [object() for _ in range(10**5)]\n",
        ends=Ends.CPU,
    ),
    odd(
        "types and modules",
        "whoever copies",
        "import sys\ndef f(x, *_):\n    return [int, sys, f, type, NotImplemented, ...]\n",
    ),
    odd("NaN", "comparison: NaN is unequal to all, and a key that is never found",
        "def f(*_):\n    nan = float('nan')\n    return [nan, {nan: nan}, -0.0, complex(nan, nan)]\n",
        tasks=(*ALL_FORMS, VALUES_NESTED)),
    odd("NaN for a number", "comparison with a tolerance", "def f(*_):\n    return float('nan')\n",
        tasks=(SUM, CLOSE, TRUTH, NONE, VALUES, LOOPS)),
    odd(
        "infinite",
        "comparison with a tolerance",
        "def f(*_):\n    return float('inf')\n",
        tasks=(SUM, CLOSE, TRUTH, VALUES),
    ),
    odd("tuple for a list", "a test that asks for a list", "def f(n):\n    return tuple(range(n))\n", tasks=(LISTS,)),
    odd(
        "argument given back",
        "tests that compare with the argument",
        "def f(x, *_):\n    return x\n",
        tasks=(*ALL_FORMS, ASSERTS),
    ),
    Entry(
        "argument emptied",
        "a test that computes what it expects from the list that it has lent; Python lets this pass as well",
        "def f(xs):\n    xs.clear()\n    return 0\n",
        passes=None,
        tasks=(OWN_ARGUMENT,),
    ),
    odd(
        "argument changed after the return",
        "a test that looks at its argument later",
        "import threading, time\ndef f(xs):\n    def late():\n        time.sleep(0.001)\n        xs.sort()\n"
        "    threading.Thread(target=late).start()\n",
        tasks=(IN_PLACE,),
        passes=None,
    ),
    odd(
        "argument filled with liars",
        "a test that compares its argument",
        "class Liar(int):\n    __eq__ = __ge__ = __le__ = lambda *_: True\n    __hash__ = int.__hash__\n"
        "def f(xs):\n    xs[:] = [Liar(7) for _ in xs] + [object()]\n    xs.pop()\n",
        tasks=(IN_PLACE,),
    ),
    odd(
        "argument that holds itself",
        "a test that compares its argument",
        "def f(xs):\n    xs[:] = [xs, xs]\n",
        tasks=(IN_PLACE,),
    ),
    odd(
        "callback without end",
        "the tests' own function, called for ever",
        "def f(function, x):\n    while True:\n        function(x)\n",
        tasks=(CALLBACK,),
        ends=Ends.CPU,
    ),
    odd(
        "callback on its own result",
        "the tests' own function, whose result doubles with every call",
        "def f(function, x):\n    while True:\n        x = function(x)\n",
        tasks=(CALLBACK,),
        ends=Ends.CPU,
    ),
    odd(
        "callback in a recursion",
        "the stack, on both sides",
        "def f(function, x):\n    return f(lambda y: function(f(function, y)), x)\n",
        tasks=(CALLBACK,),
        ends=Ends.CPU,
    ),
    odd("callback with odd arguments", "the tests' own function",
        "def f(function, x):\n    for given in ([], [function], [f, f], [object()], [1 << 100_000], [[[]] * 9]):\n"
        "        try:\n            function(*given)\n        except Exception:\n            pass\n"
        "    return function\n",
        tasks=(CALLBACK,)),
    odd(
        "endless call that should raise",
        "a test that takes any exception, and so the end of a program that is stopped",
        "def f(n):\n    while n < 0:\n        pass\n    return round(n ** 0.5)\n",
        tasks=(RAISES_ANYTHING,),
        ends=Ends.CPU,
    ),
    odd(
        "sleep in the call that should raise",
        "a test that takes any exception, and so the end of a program that is stopped",
        "import time\ndef f(n):\n    time.sleep(60 if n < 0 else 0)\n    return round(n ** 0.5)\n",
        tasks=(RAISES_ANYTHING,),
        ends=Ends.WALL,
    ),
    odd(
        "exception of 50 MB",
        "whoever describes or copies exceptions",
        "def f(*_):\n    raise type('x' * 10**6, (ValueError,), {})('y' * 10**7, [1] * 10**5)\n",
        tasks=(*ALL_FORMS, RAISES_ANYTHING),
        ends=Ends.CPU,
    ),
    odd(
        "recursion limit of a few frames",
        "whoever works in the program's interpreter after it",
        "import sys\ndef f(xs):\n    for limit in range(5, 200):\n        try:\n"
        "            sys.setrecursionlimit(limit)\n"
        "            break\n        except RecursionError:\n            pass\n    return sum(xs)\n",
        tasks=(SUM, VALUES),
        passes=None,
    ),
    odd(
        "digits and a letter",
        "whoever looks for a number in the output: quadratic time in a regular expression",
        "print('1' * 16_000 + 'x')\n",
        tasks=(SCRIPT_FLOAT, SCRIPT),
    ),
    odd(
        "numbers without number",
        "whoever compares the output",
        "print('1e5 ' * 15_000)\n",
        tasks=(SCRIPT_FLOAT, SCRIPT),
    ),
    odd(
        "output of odd characters",
        "whoever reads the output as text",
        "import sys\nsys.stdout.buffer.write(bytes(range(256)) * 8 + '\\u2028\\x85\\u0661 \\u0663'.encode())\n",
        tasks=(SCRIPT_FLOAT, SCRIPT),
    ),
    right("bool for an integer", "def f(n):\n    return n % 2 == 1\n", BITS),
    right("float for an integer", "def f(n):\n    return float(n % 2)\n", BITS),
    right("fraction for an integer", "import fractions\ndef f(n):\n    return fractions.Fraction(n % 2)\n", BITS),
    right("subclass of int", "class Own(int):\n    pass\ndef f(n):\n    return Own(n % 2)\n", BITS),
    right("subclass of list", "class Own(list):\n    pass\ndef f(n):\n    return Own(range(n))\n", LISTS),
    right("subclass of str", "class Own(str):\n    pass\ndef f(s):\n    return Own(s[::-1])\n", ASSERTS),
    right("negative zero", "def f(n):\n    return float(n % 2) or -0.0\n", BITS),
    right(
        "one list for all results",
        "xs = []\ndef f(n):\n    xs[:] = range(n)\n    return list(xs) if n == 1 else xs\n",
        LISTS,
    ),
    right("lone surrogates", "def f(n):\n    return chr(n)\n", TEXTS),
    right("every byte", "def f(n):\n    return bytearray(range(n))\n", BYTES),
)  # fmt: skip

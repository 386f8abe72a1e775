"""Programs that are right in a manner that is seldom seen. Every one must pass.

Of an honest program, what is attacked is whoever judges it: too strict a view of what is right.
"""

from __future__ import annotations

from .entry import GOOD, Entry, Task, asserts, check, script, values
from .tasks import (
    ASSERTS,
    CLOSE,
    IN_PLACE,
    LOOPS,
    MEMBERS,
    NONE,
    RAISES,
    SCRIPT,
    SCRIPT_FLOAT,
    SHAPE,
    SUM,
    TRUTH,
    VALUES,
    VALUES_NESTED,
)

ITERABLE = check(
    "iterable",
    """
assert list(candidate(3)) == [0, 1, 4]
assert sum(candidate(4)) == 14
assert sorted(candidate(3), reverse=True) == [4, 1, 0]
assert tuple(x + 1 for x in candidate(2)) == (1, 2)
total = 0
for x in candidate(5):
    total += x
assert total == 30
""",
    solution="def f(n):\n    return [i * i for i in range(n)]\n",
    wrong="def f(n):\n    return [0] * n\n",
)
SET = check(
    "set",
    """
assert candidate("abca") == {"a", "b", "c"}
assert candidate("") == set()
assert "a" in candidate("ab") and "c" not in candidate("ab")
assert candidate("ab") - {"a"} == {"b"}
assert len(candidate("aa")) == 1
assert candidate("ab") <= {"a", "b", "c"}
""",
    solution="def f(s):\n    return set(s)\n",
    wrong="def f(s):\n    return {'a', 'b', 'c'}\n",
)
COUNTS = check(
    "counts",
    """
assert candidate("aab") == {"a": 2, "b": 1}
assert candidate("") == {}
assert candidate("aab")["a"] == 2
assert candidate("ab").get("c", 0) == 0
assert sorted(candidate("ba").items()) == [("a", 1), ("b", 1)]
assert list(candidate("ba")) == ["b", "a"]
assert max(candidate("abb").values()) == 2
assert isinstance(candidate("a"), dict)
""",
    solution="def f(s):\n    return {c: s.count(c) for c in s}\n",
    wrong="def f(s):\n    return dict.fromkeys(s, 1)\n",
)
MISSING = check(
    "missing keys",
    """
counts = candidate("aab")
assert counts["a"] == 2
assert counts["z"] == 0
assert candidate("")["z"] == 0
""",
    solution="from collections import Counter\ndef f(s):\n    return Counter(s)\n",
    wrong="def f(s):\n    return {c: s.count(c) for c in s}\n",
)
CACHE = asserts(
    "cache",
    """
cache = Cache(2)
cache.put(1, 10)
cache.put(2, 20)
assert cache.get(1) == 10
cache.put(3, 30)
assert cache.get(2) == -1
assert cache.get(3) == 30
""",
    "cache = Cache(1)\ncache.put('a', 1)\ncache.put('b', 2)\nassert cache.get('a') == -1 and cache.get('b') == 2",
    solution=(
        "class Cache:\n    def __init__(self, size):\n        self.size, self.kept = size, {}\n"
        "    def get(self, key):\n        if key not in self.kept:\n            return -1\n"
        "        self.kept[key] = self.kept.pop(key)\n        return self.kept[key]\n"
        "    def put(self, key, value):\n        self.kept.pop(key, None)\n        self.kept[key] = value\n"
        "        if len(self.kept) > self.size:\n            del self.kept[next(iter(self.kept))]\n"
    ),
    wrong=(
        "class Cache:\n    def __init__(self, size):\n        self.kept = {}\n"
        "    def get(self, key):\n        return self.kept.get(key, -1)\n"
        "    def put(self, key, value):\n        self.kept[key] = value\n"
    ),
    entry_point="Cache",
)
STACK = asserts(
    "stack",
    "s = Stack()\ns.push(1)\ns.push(2)\nassert s.pop() == 2\nassert s.peek() == 1\nassert len(s) == 1",
    "s = Stack()\nassert s.is_empty()\ns.push(0)\nassert not s.is_empty()",
    solution=(
        "class Stack:\n    def __init__(self):\n        self.items = []\n"
        "    def push(self, x):\n        self.items.append(x)\n    def pop(self):\n        return self.items.pop()\n"
        "    def peek(self):\n        return self.items[-1]\n    def is_empty(self):\n        return not self.items\n"
        "    def __len__(self):\n        return len(self.items)\n"
    ),
    wrong=(
        "class Stack:\n    def __init__(self):\n        self.items = []\n"
        "    def push(self, x):\n        self.items.append(x)\n    def pop(self):\n        return self.items.pop(0)\n"
        "    def peek(self):\n        return self.items[-1]\n    def is_empty(self):\n        return not self.items\n"
        "    def __len__(self):\n        return len(self.items)\n"
    ),
    entry_point="Stack",
)
EQUALS = check(
    "equal objects",
    """
assert candidate(1, 2) == candidate(1, 2)
assert candidate(1, 2) != candidate(2, 1)
assert candidate(1, 2)[0] == 1
assert tuple(candidate(1, 2)) == (1, 2)
""",
    solution="def f(x, y):\n    return (x, y)\n",
    wrong="def f(x, y):\n    return (x, x)\n",
)
IDENTITY = check(
    "identity",
    """
xs = [1]
ys = candidate(xs)
assert ys is xs
assert xs == [1, 0]
zs = candidate(candidate(ys))
assert zs is xs and len(xs) == 4
""",
    solution="def f(xs):\n    xs.append(0)\n    return xs\n",
    wrong="def f(xs):\n    return xs + [0]\n",
)
EMPTIED = check(
    "emptied",
    """
from collections import deque
---
counts, seen, line = {"a": 0, "b": 1}, {0, 1}, deque([0, 1, 0])
candidate(counts)
assert counts == {"b": 1}
candidate(seen)
assert seen == {1}
candidate(line)
assert line == deque([1])
""",
    solution=(
        "def f(xs):\n    if isinstance(xs, dict):\n        for key in [key for key in xs if not xs[key]]:\n"
        "            del xs[key]\n    else:\n        while 0 in xs:\n            xs.remove(0)\n"
    ),
    wrong="def f(xs):\n    xs.clear()\n",
)
NODES = check(
    "nodes",
    """
def items(node):
    return [] if node is None else [node.value, *items(node.next)]
---
assert items(candidate(Node(1, Node(2, Node(3))))) == [3, 2, 1]
assert candidate(None) is None
assert candidate(Node(5)).next is None
""",
    setup="class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next\n",
    solution=(
        "def f(node):\n    last = None\n    while node:\n        node.next, last, node = last, node, node.next\n"
        "    return last\n"
    ),
    wrong="def f(node):\n    return node\n",
)
NOT_NUMBERS = values(
    "not numbers",
    ("(0.0,)", "nan"),
    ("(1.0,)", "inf"),
    ("(-1.0,)", "-inf"),
    ("(2.0,)", "[nan, {'x': -inf}]"),
    solution=("def f(x):\n    inf = float('inf')\n    return [inf - inf, {'x': -inf}] if x == 2 else x * inf\n"),
    wrong="def f(x):\n    return float('nan')\n",
)
LARGE = check(
    "large numbers",
    """
assert candidate(200) == 2 ** 200
assert candidate(200) == 1606938044258990275541962092341162602522202993782792835301376
assert candidate(64) - 1 == 0xFFFF_FFFF_FFFF_FFFF
assert candidate(20_000).bit_length() == 20_001
assert -candidate(53) == -9007199254740992
""",
    solution="def f(n):\n    return 2 ** n\n",
    wrong="def f(n):\n    return int(2.0 ** min(n, 1000)) + (n > 1000)\n",
)
LENGTHS = check(
    "long results",
    """
assert candidate(3) == [0, 1, 2]
assert len(candidate(20_000)) == 20_000
assert candidate(20_000)[-1] == 19_999
assert candidate(20_000) == list(range(20_000))
""",
    solution="def f(n):\n    return list(range(n))\n",
    wrong="def f(n):\n    return [0, 1, 2] * (n // 3)\n",
)
DEPTH = check(
    "depth",
    "assert candidate(3) == 6\nassert candidate(900) == 405450\nassert candidate(5000) == 12502500\n",
    solution="def f(n):\n    return n * (n + 1) // 2\n",
    wrong="def f(n):\n    return n * n // 2\n",
)
STATE = check(
    "state",
    "assert candidate() == 1\nassert candidate() == 2\nassert candidate() + candidate() == 7\n",
    solution="n = 0\ndef f():\n    global n\n    n += 1\n    return n\n",
    wrong="def f(n=0):\n    n += 1\n    return n\n",
)
MESSAGE = check(
    "message",
    """
assert candidate(4) == 2
try:
    candidate(-1)
except ValueError as error:
    assert str(error) == "negative: -1"
    assert error.args
else:
    assert False
try:
    candidate("x")
except Exception as error:
    assert type(error).__name__ == "TypeError"
else:
    assert False
""",
    solution=("def f(n):\n    if n < 0:\n        raise ValueError(f'negative: {n}')\n    return n // 2\n"),
    wrong="def f(n):\n    if n < 0:\n        raise ValueError(n)\n    return n // 2\n",
)
TEXT = values(
    "any characters",
    ("('a',)", r"'a\ud800\x00\U0001f600\u2028'"),
    ("('',)", r"'\ud800\x00\U0001f600\u2028'"),
    solution="def f(s):\n    return s + '\\ud800\\0\\U0001f600\\u2028'\n",
    wrong="def f(s):\n    return s + '?\\0\\U0001f600\\u2028'\n",
)
BYTES = check(
    "latin bytes",
    """
assert candidate("ab") == b"ab"
assert candidate("\\xff")[0] == 255
assert list(candidate("")) == []
""",
    solution="def f(s):\n    return s.encode('latin-1')\n",
    wrong="def f(s):\n    return s.encode('utf-8')\n",
)
LINES = script(
    "lines",
    ("3\n1\n2\n3\n", "2\n4\n6\n"),
    ("1\n-5\n", "-10\n"),
    ("0\n", ""),
    solution="for _ in range(int(input())):\n    print(2 * int(input()))\n",
    wrong="for _ in range(int(input())):\n    print(int(input()) + 2)\n",
)
ADDS = "a, b = map(int, input().split())\n"


def same_sum(name: str, result: str, attacks: str, prelude: str = "") -> Entry:
    """`result`: an expression of the sum `n` that equals it."""
    source = f"{prelude}def f(xs):\n    n = sum(xs)\n    return {result}\n"
    return Entry(name, attacks, source, passes=True, tasks=(SUM, VALUES))


def given(name: str, task: Task, source: str, attacks: str) -> Entry:
    return Entry(name, attacks, source, passes=True, tasks=(task,))


def uses(name: str, source: str, attacks: str = "") -> Entry:
    """A function program that does this at import."""
    return Entry(name, attacks or "a confinement that bars the library", source + GOOD, passes=True)


ENTRIES = (
    # numbers
    same_sum("float", "float(n)", "equality of types"),
    same_sum("complex", "complex(n)", "equality of types"),
    same_sum("decimal", "Decimal(n).quantize(Decimal('0.00'))", "equality of types", "from decimal import Decimal\n"),
    same_sum("fraction", "Fraction(2 * n, 2)", "equality of types", "from fractions import Fraction\n"),
    same_sum(
        "member of an IntEnum",
        "E(n)",
        "types by name",
        "import enum\nE = enum.IntEnum('E', {'A': 3, 'B': 10, 'C': 0})\n",
    ),
    same_sum(
        "own kind of int",
        "Money(n)",
        "types by name",
        "class Money(int):\n    __slots__ = ()\n    def __repr__(self):\n        return f'{int(self)} euro'\n"
        "    __str__ = __repr__\n",
    ),
    given("int for bool", TRUTH, "import builtins\ndef f(n):\n    return builtins.bool(~n & 1)\n", "equality of types"),
    given(
        "not numbers in containers",
        NOT_NUMBERS,
        "import math\ndef f(x):\n    if x == 2:\n        return [math.nan, {'x': -math.inf}]\n"
        "    return math.nan if x == 0 else math.copysign(math.inf, x)\n",
        "equality, which NaN has not",
    ),
    given(
        "own kind of float",
        CLOSE,
        "class Metres(float):\n    def __repr__(self):\n        return f'{float(self)} m'\n    __str__ = __repr__\n"
        "def f(xs):\n    return Metres(sum(xs) / len(xs))\n",
        "types by name",
    ),
    given("powers by shift", LARGE, "def f(n):\n    return 1 << n\n", "numbers beyond floats and beyond 4300 digits"),
    # texts
    given(
        "own kind of str",
        ASSERTS,
        "class Text(str):\n    def __str__(self):\n        return 'text'\n    def loud(self):\n"
        "        return self.upper()\n"
        "def f(s):\n    return Text(''.join(reversed(s)))\n",
        "equality of types",
    ),
    given(
        "any text",
        TEXT,
        "def f(s):\n    return ''.join([s, chr(0xD800), '\\x00', chr(0x1F600), chr(0x2028)])\n",
        "texts that no encoding takes",
    ),
    given("bytearray", BYTES, "def f(s):\n    return bytearray(map(ord, s))\n", "equality of types"),
    # containers
    given(
        "generator", ITERABLE, "def f(n):\n    for i in range(n):\n        yield i * i\n", "results that come in pieces"
    ),
    given("map", ITERABLE, "def f(n):\n    return map(pow, range(n), [2] * n)\n", "results that come in pieces"),
    given(
        "iterator of its own",
        ITERABLE,
        "class f:\n    def __init__(self, n):\n        self.i, self.n = -1, n\n    def __iter__(self):\n"
        "        return self\n"
        "    def __next__(self):\n        self.i += 1\n        if self.i == self.n:\n            raise StopIteration\n"
        "        return self.i ** 2\n",
        "results that come in pieces",
    ),
    given(
        "class with __getitem__",
        ITERABLE,
        "class f:\n    def __init__(self, n):\n        self.n = n\n    def __getitem__(self, i):\n"
        "        if i >= self.n:\n            raise IndexError(i)\n        return i * i\n",
        "iteration by index",
    ),
    given(
        "array",
        ITERABLE,
        "import array\ndef f(n):\n    return array.array('q', (i * i for i in range(n)))\n",
        "types of the library that are no builtins",
    ),
    given(
        "deque",
        ITERABLE,
        "import collections\ndef f(n):\n    return collections.deque([i * i for i in range(n)], n)\n",
        "types of the library that are no builtins",
    ),
    given("values of a dict", ITERABLE, "def f(n):\n    return {i: i * i for i in range(n)}.values()\n", "views"),
    given("frozenset", SET, "def f(s):\n    return frozenset(s)\n", "equality of types"),
    given("keys of a dict", SET, "def f(s):\n    return dict.fromkeys(s).keys()\n", "views"),
    given(
        "Counter", COUNTS, "from collections import Counter\ndef f(s):\n    return Counter(s)\n", "equality of types"
    ),
    given(
        "OrderedDict",
        COUNTS,
        "from collections import OrderedDict\ndef f(s):\n    return OrderedDict((c, s.count(c)) for c in s)\n",
        "equality of types",
    ),
    given(
        "defaultdict",
        COUNTS,
        "from collections import defaultdict\ndef f(s):\n    counts = defaultdict(lambda: 0)\n"
        "    for c in s:\n        counts[c] += 1\n    return counts\n",
        "a function within a value",
    ),
    given(
        "missing keys of a defaultdict",
        MISSING,
        "from collections import defaultdict\ndef f(s):\n    counts = defaultdict(int)\n"
        "    for c in s:\n        counts[c] += 1\n    return counts\n",
        "a function within a value",
    ),
    given(
        "nested defaultdicts",
        VALUES_NESTED,
        "from collections import *\nE = namedtuple('E', 'a z')\n"
        "def f(s):\n    found = defaultdict(lambda: defaultdict(int))\n"
        "    for c in s:\n        found['counts'][c] += 1\n    n = max(found['counts'].values())\n"
        "    found.update(share=n / len(s), order=sorted(found['counts']), ends=E(s[0], s[-1]))\n"
        "    return found\n",
        "a function within a value",
    ),
    given(
        "own kind of list",
        MEMBERS,
        "class Numbers(list):\n    def __init__(self, *xs):\n        super().__init__(xs)\n    @property\n"
        "    def total(self):\n        return sum(self)\n"
        "def f(n):\n    return Numbers(*(d for d in range(1, n + 1) if n % d == 0))\n",
        "types by name",
    ),
    given(
        "named tuple",
        EQUALS,
        "import typing\nclass Point(typing.NamedTuple):\n    x: int = 0\n    y: int = 0\n"
        "def f(x, y):\n    return Point(y=y, x=x)\n",
        "types by name",
    ),
    given(
        "tuple of its own",
        EQUALS,
        "class Pair(tuple):\n    def __new__(cls, *xs):\n        return super().__new__(cls, xs)\n"
        "def f(x, y):\n    return Pair(x, y)\n",
        "types by name",
    ),
    given("long list", LENGTHS, "def f(n):\n    return [*range(n)]\n", "buffers of results"),
    # objects
    given(
        "dataclass",
        SHAPE,
        "from dataclasses import dataclass, field\n@dataclass(frozen=True, slots=True, order=True)\nclass Square:\n"
        "    side: int\n    notes: list = field(default_factory=list)\n    def area(self):\n"
        "        return self.side ** 2\n"
        "f = Square\n",
        "attributes of objects",
    ),
    given(
        "named tuple with a method",
        SHAPE,
        "from typing import NamedTuple\nclass f(NamedTuple):\n    side: int\n    def area(self):\n"
        "        return self.side ** 2\n",
        "methods of what is a value as well",
    ),
    given(
        "properties",
        SHAPE,
        "class f:\n    __slots__ = ('_n',)\n    def __init__(self, n):\n        self._n = n\n"
        "    @property\n    def side(self):\n        return self._n\n"
        "    def __getattr__(self, name):\n        if name == 'area':\n            return lambda: self._n ** 2\n"
        "        raise AttributeError(name)\n",
        "attributes of objects",
    ),
    given(
        "namespace of functions",
        SHAPE,
        "import types\ndef f(n):\n    def area():\n        return n * n\n"
        "    return types.SimpleNamespace(side=n, area=area)\n",
        "attributes of objects",
    ),
    given(
        "OrderedDict with methods",
        CACHE,
        "from collections import OrderedDict\nclass Cache(OrderedDict):\n    def __init__(self, size):\n"
        "        super().__init__()\n        self.size = size\n    def get(self, key):\n        if key not in self:\n"
        "            return -1\n        self.move_to_end(key)\n        return self[key]\n"
        "    def put(self, key, value):\n"
        "        self[key] = value\n        self.move_to_end(key)\n        if len(self) > self.size:\n"
        "            self.popitem(last=False)\n",
        "methods of what is a value as well",
    ),
    given(
        "list with methods",
        STACK,
        "class Stack(list):\n    def push(self, x):\n        self.append(x)\n    def peek(self):\n"
        "        return self[-1]\n"
        "    def is_empty(self):\n        return len(self) == 0\n",
        "methods of what is a value as well",
    ),
    # arguments
    given(
        "sorted by a slice", IN_PLACE, "def f(xs):\n    xs[:] = sorted(xs)\n    return None\n", "changes of arguments"
    ),
    given(
        "sorted by a heap",
        IN_PLACE,
        "import heapq\ndef f(xs):\n    heapq.heapify(xs)\n    xs[:] = [heapq.heappop(xs) for _ in range(len(xs))]\n"
        "    return xs\n",
        "changes of arguments",
    ),
    given("argument returned", IDENTITY, "def f(xs):\n    ys = xs\n    ys += [0]\n    return ys\n", "identity"),
    given(
        "keys deleted",
        EMPTIED,
        "def f(xs):\n    if hasattr(xs, 'items'):\n        kept = {k: v for k, v in xs.items() if v}\n"
        "        xs.clear()\n"
        "        xs.update(kept)\n    elif hasattr(xs, 'appendleft'):\n        for _ in range(len(xs)):\n"
        "            x = xs.popleft()\n            xs.append(x) if x else None\n    else:\n        xs -= {0}\n",
        "changes of arguments",
    ),
    given(
        "list reversed by recursion",
        NODES,
        "def f(node):\n    if node is None or node.next is None:\n        return node\n    last = f(node.next)\n"
        "    node.next.next, node.next = node, None\n    return last\n",
        "changes of arguments' attributes",
    ),
    given(
        "class of the setup repeated",
        NODES,
        "class Node:\n    def __init__(self, value=0, next=None):\n        self.value = value\n"
        "        self.next = next\n"
        "def f(node: Node) -> Node:\n    last = None\n    while node is not None:\n"
        "        last = Node(node.value, last)\n"
        "        node = node.next\n    return last\n",
        "classes that both sides know",
    ),
    # errors
    given(
        "own kind of ValueError",
        RAISES,
        "import math\nclass Negative(ValueError):\n    def __init__(self, number, *, reason):\n"
        "        self.reason = reason\n"
        "def f(n):\n    if n < 0:\n        raise Negative(n, reason='negative') from None\n    return math.isqrt(n)\n",
        "exceptions that cannot be copied",
    ),
    given("error of the library", RAISES, "import math\ndef f(n):\n    return math.isqrt(n)\n", "exceptions"),
    given(
        "error while another is handled",
        RAISES,
        "def f(n):\n    try:\n        return {9: 3, 16: 4}[n]\n    except KeyError as error:\n"
        "        raise ValueError('no root', error, f) from error\n",
        "exceptions that cannot be copied",
    ),
    given(
        "message by __str__",
        MESSAGE,
        "class Negative(ValueError):\n    def __init__(self, n):\n        super().__init__(n)\n        self.n = n\n"
        "    def __str__(self):\n        return f'negative: {self.n}'\n"
        "def f(n):\n    if n < 0:\n        raise Negative(n)\n    return n // 2\n",
        "the text of an exception",
    ),
    given(
        "none or error",
        NONE,
        "def f(xs):\n    try:\n        return sorted(xs).pop()\n    except IndexError:\n        return None\n",
        "exceptions",
    ),
    # recursion and state
    given(
        "recursion",
        DEPTH,
        "import sys\nsys.setrecursionlimit(10_000)\ndef f(n):\n    return n + f(n - 1) if n else 0\n",
        "the stack",
    ),
    given(
        "recursion by memory",
        DEPTH,
        "from functools import lru_cache\nimport sys\nsys.setrecursionlimit(50_000)\n@lru_cache(None)\n"
        "def f(n):\n    return n + f(n - 1) if n else 0\n",
        "the stack, through C",
    ),
    given(
        "recursion below the limit",
        LOOPS,
        "def depth(n):\n    return 1 + depth(n - 1) if n else 0\ndef f(n):\n    assert depth(900) == 900\n"
        "    return n * n\n",
        "a stack that is used already",
    ),
    given(
        "recursion that fails",
        LOOPS,
        "def endless(n):\n    return endless(n + 1) + 1\ndef f(n):\n    try:\n        return endless(n)\n"
        "    except RecursionError:\n        return n * n\n",
        "a stack that is used up",
    ),
    given(
        "attribute of the function", STATE, "def f():\n    f.n += 1\n    return f.n\nf.n = 0\n", "calls in one process"
    ),
    given(
        "default argument", STATE, "def f(kept=[]):\n    kept.append(0)\n    return len(kept)\n", "calls in one process"
    ),
    given(
        "closure",
        STATE,
        "def make():\n    n = 0\n    def count():\n        nonlocal n\n        n += 1\n        return n\n"
        "    return count\nf = make()\n",
        "calls in one process",
    ),
    given(
        "method of an iterator", STATE, "import itertools\nf = itertools.count(1).__next__\n", "calls in one process"
    ),
    # the library
    uses(
        "noise",
        "import sys\nprint('x' * 5000, flush=True)\nprint('warning', file=sys.stderr)\nsys.stdout.write('no end')\n"
        "sys.__stdout__.write('p')\nsys.stdout.buffer.write(b'\\xff')\nsys.stdout.reconfigure(encoding='utf-8')\n"
        "print('\\u20ac')\n",
        "the channel of the results",
    ),
    uses(
        "streams",
        "import contextlib, io, sys\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n    print('caught')\n"
        "assert out.getvalue() == 'caught\\n'\nassert sys.stdin.read() == '' and not sys.stdout.isatty()\n"
        "assert sys.stdout.fileno() == 1 and sys.stdin.fileno() == 0\nsys.stdout = sys.stderr = io.StringIO()\n"
        "print('gone')\n",
        "the channel of the results",
    ),
    uses(
        "arguments",
        "import argparse, sys\nparser = argparse.ArgumentParser()\nparser.add_argument('--n', type=int, default=3)\n"
        "assert parser.parse_args().n == 3 and len(sys.argv) == 1\n",
        "the arguments of the interpreter",
    ),
    uses(
        "logging",
        "import logging, warnings\nlogging.basicConfig(level=logging.DEBUG)\nlogging.debug('%s', [1])\n"
        "logging.getLogger('x').exception('none')\nwarnings.warn('old', DeprecationWarning)\n",
    ),
    uses(
        "random with a seed",
        "import random, secrets, uuid\nrandom.seed(7)\nfirst = random.random()\nrandom.seed(7)\n"
        "assert random.random() == first and random.sample(range(9), 9) != random.sample(range(9), 9)\n"
        "assert len(secrets.token_hex(4)) == 8 and uuid.uuid4() != uuid.uuid4()\n",
    ),
    uses(
        "clocks",
        "import datetime, time\nstart = time.perf_counter()\ntime.sleep(0.01)\n"
        "assert 0.01 <= time.perf_counter() - start < 60 and time.time() > 1.6e9\n"
        "assert time.process_time() < 60 and datetime.datetime.now().year > 2020\n"
        "assert time.strftime('%Y', time.gmtime(0)) == '1970'\n",
    ),
    uses(
        "threads",
        "import queue, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n    assert list(pool.map(abs, [-1, -2])) == [1, 2]\n"
        "line = queue.Queue()\nthread = threading.Thread(target=line.put, args=(5,))\nthread.start()\n"
        "assert line.get(timeout=5) == 5\nthread.join()\n",
    ),
    uses(
        "asyncio",
        "import asyncio\nasync def twice(x):\n    await asyncio.sleep(0.001)\n    return 2 * x\n"
        "async def main():\n"
        "    return await asyncio.gather(twice(1), asyncio.wait_for(twice(2), 5), asyncio.to_thread(abs, -1))\n"
        "assert asyncio.run(main()) == [2, 4, 1]\n",
    ),
    uses(
        "its own file",
        "import os, pathlib, shutil, tempfile\npathlib.Path('notes.txt').write_text('a\\nb\\n')\n"
        "assert [line.strip() for line in open('notes.txt')] == ['a', 'b']\n"
        "with tempfile.TemporaryDirectory() as folder, open(folder + '/x', 'w+b') as file:\n"
        "    file.write(b'x' * 5000)\n"
        "    file.seek(0)\n    assert len(file.read()) == 5000 and os.listdir(folder) == ['x']\n"
        "with tempfile.NamedTemporaryFile('w') as file:\n    file.write('x')\nos.mkdir('d')\nshutil.rmtree('d')\n",
    ),
    uses(
        "databases and formats",
        "import base64, csv, gzip, hashlib, io, json, sqlite3, struct, zlib\n"
        "db = sqlite3.connect(':memory:')\nassert db.execute('select 1 + 1').fetchone() == (2,)\n"
        "assert list(csv.reader(io.StringIO('a,b'))) == [['a', 'b']] and json.loads('[1e3]') == [1000.0]\n"
        "assert zlib.decompress(zlib.compress(b'x')) == gzip.decompress(gzip.compress(b'x')) == b'x'\n"
        "assert hashlib.md5(b'').hexdigest().startswith('d41d') and struct.pack('>H', 1) == b'\\0\\1'\n",
    ),
    uses(
        "copies of its own classes",
        "import copy, dataclasses, pickle, typing\n@dataclasses.dataclass\nclass Point:\n    x: 'int'\n"
        "assert pickle.loads(pickle.dumps(Point(1))) == copy.deepcopy(Point(1)) == Point(1)\n"
        "assert typing.get_type_hints(Point) == {'x': int}\n",
        "the module that a program is",
    ),
    uses(
        "its own text",
        'import doctest, inspect, sys\ndef twice(x):\n    """\n    >>> twice(2)\n    4\n    """\n    return 2 * x\n'
        "assert 'return 2 * x' in inspect.getsource(twice) and str(inspect.signature(twice)) == '(x)'\n"
        "assert doctest.testmod(sys.modules[__name__]) == (0, 1)\n",
        "the module that a program is",
    ),
    uses(
        "typing",
        "from __future__ import annotations\nimport abc, enum, functools\nfrom typing import *\nT = TypeVar('T')\n"
        "class Box(Generic[T], Protocol):\n    item: T\nclass Row(TypedDict, total=False):\n    a: int\n"
        "class Base(abc.ABC):\n    @abc.abstractmethod\n    def g(self): ...\nclass Flag(enum.Flag):\n"
        "    A = enum.auto()\n"
        "@overload\ndef g(x: int) -> int: ...\n@functools.singledispatch\ndef g(x):\n    return 'any'\n"
        "@g.register\ndef _(x: list):\n    return 'list'\n"
        "assert g([]) == 'list' and g(0) == 'any' and Row(a=1)['a'] == 1\n",
    ),
    uses(
        "signals and exits",
        "import atexit, faulthandler, gc, signal, sys\nfired = []\natexit.register(print, 'bye')\n"
        "signal.signal(signal.SIGALRM, lambda *_: fired.append(1))\nsignal.setitimer(signal.ITIMER_REAL, 0.001)\n"
        "while not fired:\n    pass\nsignal.alarm(0)\nsys.setswitchinterval(0.001)\ngc.disable()\nsys.settrace(None)\n"
        "sys.excepthook = lambda *_: None\n",
    ),
    uses(
        "commands that may be missing",
        "import os, platform, subprocess\ntry:\n    out = subprocess.run(['uname'], capture_output=True).stdout\n"
        "except OSError:\n    out = b''\n"
        "assert isinstance(platform.platform(), str) and isinstance(os.environ.get('HOME', ''), str)\n"
        "assert (os.cpu_count() or 1) > 0 and os.getpid() > 0 and os.path.expanduser('~')\n",
    ),
    uses(
        "work at import",
        "import bisect, collections, functools, heapq, itertools, math, operator, re, statistics, string\n"
        "primes = [n for n in range(2, 2000) if all(n % d for d in range(2, math.isqrt(n) + 1))]\n"
        "assert len(primes) == 303\n"
        "assert heapq.nsmallest(2, primes) == [2, 3] and bisect.bisect(primes, 5) == 3\n"
        "assert functools.reduce(operator.mul, range(1, 6)) == 120 and statistics.mean([1, 2]) == 1.5\n"
        "assert len(list(itertools.permutations(range(5)))) == 120 and re.sub(r'(\\d)', r'<\\1>', 'a1') == 'a<1>'\n",
    ),
    # scripts
    given("input replaced", LINES, "import sys\ninput = sys.stdin.readline\n" + LINES.solution, "standard input"),
    given(
        "input by tokens",
        LINES,
        "import sys\ninput = iter(sys.stdin.buffer.read().split()).__next__\n" + LINES.solution,
        "standard input",
    ),
    given(
        "input by number",
        LINES,
        "n, *xs = map(int, open(0).read().split())\nprint(*[2 * x for x in xs], sep='\\n')\n",
        "standard input",
    ),
    given(
        "input by the system",
        LINES,
        "import os\nn, *xs = map(int, os.read(0, 1 << 16).split())\n"
        "os.write(1, b''.join(b'%d\\n' % (2 * x) for x in xs))\n",
        "standard input and output",
    ),
    given(
        "input by name",
        LINES,
        "n, *xs = map(int, open('/dev/stdin').read().split())\nprint(*[2 * x for x in xs], sep='\\n')\n",
        "standard input",
    ),
    given(
        "input by lines",
        LINES,
        "import fileinput\nn, *xs = map(int, fileinput.input())\nprint('\\r\\n'.join(str(2 * x) for x in xs))\n",
        "standard input",
    ),
    given(
        "input until it ends",
        LINES,
        "input()\nwhile True:\n    try:\n        print(2 * int(input('number? ' if False else '')))\n"
        "    except EOFError:\n        break\n",
        "standard input",
    ),
    given(
        "input without an end of line",
        LINES,
        "import sys\nlines = sys.stdin.read().strip().split('\\n')\n"
        "sys.stdout.write('\\n'.join(str(2 * int(x)) for x in lines[1:]))\n",
        "standard output",
    ),
    given(
        "output with white space",
        LINES,
        LINES.solution.replace("print(", "print('', end=' \\t\\n\\n  '); print("),
        "standard output",
    ),
    given(
        "output of its own",
        SCRIPT,
        ADDS + "import sys\nsys.stdout = open(1, 'w')\nprint(a + b)\n",
        "what is left in a buffer",
    ),
    given(
        "output in a file",
        SCRIPT,
        "import sys\nout = open(sys.stdout.fileno(), 'w')\n" + ADDS + "print(a + b, file=out)\n",
        "what is left in a buffer",
    ),
    given(
        "output of another encoding",
        SCRIPT,
        ADDS + "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint(a + b)\n",
        "what is left in a buffer",
    ),
    given(
        "output in a list",
        SCRIPT,
        "import io, os, sys\nclass Fast(io.StringIO):\n    def flush(self):\n"
        "        os.write(1, self.getvalue().encode())\n"
        "        self.truncate(0)\n        self.seek(0)\nsys.stdout = Fast()\n"
        + ADDS
        + "print(a + b)\nsys.stdout.flush()\n",
        "standard output",
    ),
    given(
        "output at exit",
        SCRIPT,
        ADDS + "import atexit\natexit.register(lambda: print(a + b))\n",
        "the end of the interpreter",
    ),
    given(
        "output by name",
        SCRIPT,
        ADDS + "with open('/dev/stdout', 'w') as out:\n    print(a + b, file=out)\n",
        "standard output",
    ),
    given(
        "output in a thread",
        SCRIPT,
        "import sys, threading\nsys.setrecursionlimit(1 << 20)\nthreading.stack_size(1 << 26)\n"
        "def depth(n):\n    return depth(n - 1) + 1 if n else 0\n"
        "def main():\n    assert depth(20_000) == 20_000\n    print(sum(map(int, input().split())))\n"
        "threading.Thread(target=main).start()\n",
        "the stack of a thread",
    ),
    given(
        "noise beside the output",
        SCRIPT,
        "import sys, warnings\nwarnings.warn('old')\nsys.stderr.write('debug: ' * 50_000)\n" + SCRIPT.solution,
        "standard error",
    ),
    given("exit by the console's name", SCRIPT, SCRIPT.solution + "exit()\n", "names that the interpreter adds"),
    given(
        "quit by the console's name",
        SCRIPT,
        "def main():\n    print(sum(map(int, input().split())))\n    quit(0)\nmain()\n",
        "names that the interpreter adds",
    ),
    given(
        "asyncio in a script",
        SCRIPT,
        "import asyncio, sys\nasync def main():\n    loop = asyncio.get_running_loop()\n"
        "    line = await loop.run_in_executor(None, sys.stdin.readline)\n    print(sum(map(int, line.split())))\n"
        "asyncio.run(main())\n",
        "threads that wait",
    ),
    given(
        "short floats",
        SCRIPT_FLOAT,
        "a, b = map(int, input().split())\nprint(repr((a + b) / 2), *['even'] * (a == b))\n",
        "how floats are written",
    ),
    given(
        "long floats",
        SCRIPT_FLOAT,
        "a, b = map(int, input().split())\nprint(f'{(a + b) / 2:.12e}', *['even'] * (a == b))\n",
        "how floats are written",
    ),
)

"""Tasks that between them use every form of test and every way in which a test looks at a result.

Each has results that differ, so that no constant passes.
"""

from __future__ import annotations

from .entry import SUM, Task, asserts, check, script, values

CLOSE = check(
    "close",
    """
import math
---
assert abs(candidate([1.0, 2.0]) - 1.5) < 1e-6
assert abs(candidate([0.5]) - 0.5) < 1e-6
assert math.isclose(candidate([2.0, 4.0]), 3.0)
assert round(candidate([1.0, 1.0, 2.0]), 2) == 1.33
assert 1.9 < candidate([1.0, 3.0]) < 2.1
""",
    solution="def f(xs):\n    return sum(xs) / len(xs)\n",
    wrong="def f(xs):\n    return xs[0]\n",
)
TRUTH = check(
    "truth",
    """
assert candidate(2)
assert not candidate(3)
assert candidate(4) is True
assert candidate(5) == False
assert candidate(6) != candidate(7)
""",
    solution="def f(n):\n    return n % 2 == 0\n",
    wrong="def f(n):\n    return True\n",
)
NONE = check(
    "none",
    """
assert candidate([]) is None
assert candidate([1, 5]) == 5
assert candidate([9]) is not None
""",
    solution="def f(xs):\n    return max(xs, default=None)\n",
    wrong="def f(xs):\n    return None\n",
)
MEMBERS = check(
    "members",
    """
assert 3 in candidate(6)
assert 4 not in candidate(6)
assert len(candidate(6)) == 4
assert sorted(candidate(4)) == [1, 2, 4]
assert set(candidate(9)) == {1, 3, 9}
assert isinstance(candidate(5), list)
assert max(candidate(8)) == 8
assert candidate(7)[0] == 1
assert tuple(candidate(7)) == (1, 7)
""",
    solution="def f(n):\n    return [d for d in range(1, n + 1) if n % d == 0]\n",
    wrong="def f(n):\n    return [1, n]\n",
)
LOOPS = check(
    "loops",
    """
CASES = [[1, 1], [2, 4], [3, 9]]
---
for x, y in CASES:
    assert candidate(x) == y
assert all(candidate(i) == i * i for i in range(5))
assert [candidate(i) for i in range(4)] == [0, 1, 4, 9]
assert sum(map(candidate, range(4))) == 14
""",
    solution="def f(n):\n    return n * n\n",
    wrong="def f(n):\n    return n + n\n",
)
RAISES = check(
    "raises",
    """
try:
    candidate(-1)
except ValueError:
    pass
else:
    assert False
assert candidate(9) == 3
assert candidate(16) == 4
""",
    solution="def f(n):\n    if n < 0:\n        raise ValueError(n)\n    return round(n ** 0.5)\n",
    wrong="def f(n):\n    return round(abs(n) ** 0.5)\n",
)
RAISES_ANYTHING = check(
    "raises anything",
    """
assert candidate(9) == 3
assert candidate(16) == 4
try:
    candidate(-1)
    raised = False
except:
    raised = True
assert raised
""",
    solution=RAISES.solution,
    wrong=RAISES.wrong,
)
CALLBACK = check(
    "callback",
    """
assert candidate(lambda x: x + 1, 3) == 4
assert candidate(str, 5) == "5"
assert candidate(lambda x: [x, x], 0) == [0, 0]
""",
    solution="def f(function, x):\n    return function(x)\n",
    wrong="def f(function, x):\n    return x\n",
)
SHAPE = check(
    "shape",
    """
square = candidate(3)
assert square.side == 3
assert square.area() == 9
assert candidate(5).area() == 25
""",
    solution=(
        "class f:\n    def __init__(self, side):\n        self.side = side\n"
        "    def area(self):\n        return self.side ** 2\n"
    ),
    wrong=(
        "class f:\n    def __init__(self, side):\n        self.side = side\n"
        "    def area(self):\n        return self.side\n"
    ),
)
IN_PLACE = check(
    "in place",
    """
xs = [3, 1, 2]
candidate(xs)
assert xs == [1, 2, 3]
ys = [[2, 1]]
candidate(ys[0])
assert ys == [[1, 2]]
assert len(ys[0]) == 2
""",
    solution="def f(xs):\n    xs.sort()\n",
    wrong="def f(xs):\n    xs.reverse()\n",
)
ASSERTS = asserts(
    "asserts",
    "assert f('ab') == 'ba'",
    "assert f('') == ''",
    "assert f('abc')[0] == 'c'",
    "x = 'xyz'\nassert f(f(x)) == x",
    "assert len(f('abcd')) == 4 and f('abcd').startswith('dc')",
    solution="def f(s):\n    return s[::-1]\n",
    wrong="def f(s):\n    return s\n",
)
ASSERTS_CLOSE = asserts(
    "asserts close",
    "assert abs(f(2.0) - 1.0) < 1e-6",
    "assert abs(f(5.0) - 2.5) < 1e-6",
    "assert all(abs(f(x) - x / 2) < 1e-6 for x in (0.0, 1.0, 3.0))",
    solution="def f(x):\n    return x / 2\n",
    wrong="def f(x):\n    return x\n",
)
VALUES = values(
    "values",
    ("([1, 2],)", "3"),
    ("([5, 5],)", "10"),
    ("([],)", "0"),
    solution=SUM.solution,
    wrong=SUM.wrong,
)
VALUES_NESTED = values(
    "nested values",
    ("('aab',)", "{'counts': {'a': 2, 'b': 1}, 'share': 0.6666666, 'order': ['a', 'b'], 'ends': ('a', 'b')}"),
    ("('zz',)", "{'counts': {'z': 2}, 'share': 1.0, 'order': ['z'], 'ends': ('z', 'z')}"),
    atol=1e-4,
    solution=(
        "def f(s):\n"
        "    counts = {c: s.count(c) for c in s}\n"
        "    return {'counts': counts, 'share': max(counts.values()) / len(s), 'order': sorted(counts),\n"
        "            'ends': (s[0], s[-1])}\n"
    ),
    wrong="def f(s):\n    return {'counts': {}, 'share': 1.0, 'order': sorted(set(s)), 'ends': (s[0], s[-1])}\n",
)
WITH_SETUP = check(
    "with setup",
    """
assert math.isclose(candidate(4.0), half(4.0) + 1)
assert math.isclose(candidate(half(16.0)), 5.0)
assert half(candidate(6.0)) == 2.0
""",
    setup="import math\n\n\ndef half(x):\n    return x / 2\n",
    solution="def f(x):\n    return x / 2 + 1\n",
    wrong="def f(x):\n    return x + 1\n",
)
SCRIPT = script(
    "script",
    ("1 2\n", "3\n"),
    ("20 22\n", "42\n"),
    solution="print(sum(map(int, input().split())))\n",
    wrong="print(3)\n",
)
SCRIPT_FLOAT = script(
    "script with floats",
    ("1 2\n", "1.50\n"),
    ("2 2\n", "2.00 even\n"),
    solution="a, b = map(int, input().split())\nprint((a + b) / 2, 'even' if a == b else '')\n",
    wrong="print(1.5)\n",
)

FUNCTIONS: tuple[Task, ...] = (
    SUM,
    CLOSE,
    TRUTH,
    NONE,
    MEMBERS,
    LOOPS,
    RAISES,
    CALLBACK,
    SHAPE,
    ASSERTS,
    ASSERTS_CLOSE,
    VALUES,
    VALUES_NESTED,
    WITH_SETUP,
)
SCRIPTS: tuple[Task, ...] = (SCRIPT, SCRIPT_FLOAT)
ALL: tuple[Task, ...] = FUNCTIONS + SCRIPTS + (RAISES_ANYTHING, IN_PLACE)

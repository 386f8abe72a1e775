"""Programs that write into the channels between a program and its tests, in the runner's own language or in none.

A program reaches two of them: the file with its results (descriptor 3) and the socket to its tests (4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .entry import GOOD, Ends, Entry, Task, asserts
from .forgery import BUILTINS, SQUARES, UNITTEST, UNITTEST_LOOPS
from .tasks import (
    ASSERTS_CLOSE,
    CALLBACK,
    CLOSE,
    IN_PLACE,
    LOOPS,
    MEMBERS,
    RAISES_ANYTHING,
    SCRIPT,
    SUM,
    TRUTH,
    VALUES,
    VALUES_NESTED,
    WITH_SETUP,
)

TASKS = (SUM, LOOPS, VALUES, TRUTH, CALLBACK, RAISES_ANYTHING, UNITTEST, UNITTEST_LOOPS)
BOTH = (SUM, LOOPS, UNITTEST_LOOPS)
"""The ways: results in a file for whoever owns the sandbox, in a file for the tests, and a conversation."""
TRUE_OF = asserts(
    "true of a result",
    "assert isinstance(f(3), list)",
    "assert any(f(2))",
    "assert bool(f(1))",
    solution="def f(n):\n    return list(range(1, n + 1))\n",
    wrong="def f(n):\n    return range(n)\n",
)

PUT = (
    "import json, os\n"
    "def write(data, fd):\n"
    "    try:\n        while data:\n            data = data[os.write(fd, data[: 1 << 20]):]\n"
    "    except OSError:\n        pass\n"
    "def framed(message):\n"
    "    if not isinstance(message, bytes):\n"
    "        message = json.dumps(message, ensure_ascii=False).encode('utf-8', 'surrogatepass')\n"
    "    return len(message).to_bytes(4, 'big') + message\n"
    "def put(message):\n    for fd in (3, 4):\n        write(framed(message), fd)\n"
    "LOADED = framed(['load', '', '', {'d': []}])\n"
)
"""`put` writes a message into both channels, which begin with LOADED."""
START = PUT + "for fd in (3, 4):\n    write(LOADED, fd)\n"
BARE = PUT + "write(LOADED, 4)\n"
"""The file begins with what comes next, as it does where the tests' calls are known from their text."""
END = (
    "import socket\ntry:\n    peer = socket.socket(fileno=4)\n    peer.shutdown(socket.SHUT_WR)\n"
    "    while peer.recv(1 << 16):\n        pass\nexcept OSError:\n    pass\nos._exit(0)\n"
)
"""It writes no more, and ends when its tests have."""
LISTS = (
    "size = 12 + 40 * 3 * 349_525\nfor fd in (3, 4):\n    write(size.to_bytes(4, 'big') + b'[\"v\",[', fd)\n"
    "    for _ in range(40):\n        write(b'[],' * 349_525, fd)\n    write(b'0],[]]', fd)\n"
)
"""A result of 14 million empty lists."""
SERVE = (
    "import socket\n"
    "def serve(answer):\n    try:\n        peer = socket.socket(fileno=4)\n"
    "    except OSError:\n        write(framed(['stays']), 3)\n        os._exit(0)\n"
    "    while True:\n"
    "        size = int.from_bytes(peer.recv(4, socket.MSG_WAITALL), 'big')\n"
    "        if not size:\n            os._exit(0)\n"
    "        write(framed(answer(json.loads(peer.recv(size, socket.MSG_WAITALL)))), 4)\n"
)
"""Answers for itself, over the socket: where there is none, it asks for one."""


def sends(
    name: str,
    attacks: str,
    *messages: Any,
    tasks: Sequence[Task] = TASKS,
    times: int = 20,
    start: str = START,
    ends: Ends = Ends.ITSELF,
) -> Entry:
    """These messages, over and over, in place of the runner's own."""
    source = f"{start}for message in {list(messages)!r} * {times}:\n    put(message)\n{END}"
    return Entry(name, attacks, source, tasks=tuple(tasks), ends=ends)


def gives(name: str, attacks: str, *trees: Any, tasks: Sequence[Task] = BOTH, start: str = START) -> Entry:
    """Results of these contents."""
    return sends(name, attacks, *(["v", tree, []] for tree in trees), tasks=tasks, times=6, start=start)


def bomb(name: str, attacks: str, tree: str, tasks: Sequence[Task] = BOTH) -> Entry:
    """A small result that takes much time or memory to read; `tree` is an expression of the program's."""
    return Entry(name, attacks, f"{START}put(['v', {tree}, []])\n{END}", tasks=tuple(tasks), ends=Ends.CPU)


HANDLE = {"h": [7, "function", "int", ""]}
KIND = {"h": [0, "class", "Kind", "ValueError"]}
ODD_TREES = (
    {},
    {"t": [], "d": []},
    {"?": []},
    {"t": 5},
    {"t": {"h": [0, "object", "x", ""]}},
    {"d": [1]},
    {"d": [[[], 1]]},
    {"d": {"h": [0, "object", "x", ""]}},
    {"s": [[]]},
    {"c": [1, 2, 3]},
    {"b": "\u1234"},
    {"a": 5},
    {"i": "0x"},
    {"i": 5},
    {"f": "no"},
    {"f": {"t": []}},
    {"h": []},
    {"h": [0, "kind", "x", ""]},
    {"h": ["0", "object", "x", ""]},
    {"o": ["Nothing", []]},
    {"o": [[], []]},
    {"m": [[], 1]},
    {"n": ["a b", ["x"], [1]]},
    {"n": ["a", ["x"], []]},
    {"x": ["nothing", []]},
    {"x": ["range", [1, 2, 0]]},
    {"x": ["Fraction", [1, 0]]},
    {"x": ["date", [0, 0, 0]]},
    {"x": ["timedelta", [10**300]]},
    {"x": ["Decimal", ["no"]]},
    {"x": ["deque", [[], -1]]},
    {"x": ["numpy", ["O", None, ""]]},
)
"""Contents that no encoder writes; each of them alone."""
ODD_EXCEPTIONS = (
    ["e", ["builtins", "KeyboardInterrupt"], "stopped", [], "KeyboardInterrupt"],
    ["e", ["builtins", "SystemExit"], "done", [0], "SystemExit"],
    ["e", ["builtins", "GeneratorExit"], "over", [], "GeneratorExit"],
    ["e", ["builtins", "StopIteration"], "over", [3], "StopIteration"],
    ["e", ["builtins", "BaseExceptionGroup"], "all", [], "BaseException"],
    ["e", ["builtins", "MemoryError"], "full", [], "MemoryError"],
    ["e", ["os", "_exit"], "no class", [0], "eval"],
    ["e", ["program", "with\0null"], "named oddly", [], "ValueError"],
    ["e", ["program", "\ud800"], "named oddly", [], "__import__"],
    ["e", ["rrtf_ray.sandbox.shared.remote", "Garbage"], "of the sandbox", [], "object"],
    ["e", ["rrtf_ray.sandbox.shared.channel", "Gone"], "of the sandbox", [], "object"],
    ["e", ["unittest.case", "SkipTest"], "skipped", [], "Exception"],
    ["e", ["unittest.case", "_ShouldStop"], "stopped", [], "Exception"],
    ["e", ["program", "Own"], "", [], "AssertionError"],
    ["e", ["program"], "short", [], "ValueError"],
    ["e", [[], {}], 5, 5, 5],
    ["e"],
)

ENTRIES = (
    Entry(
        "lengths",
        "the reader of messages: lengths that are too large, zero, or followed by less",
        f"{PUT}import struct\nfor fd in (3, 4):\n    for size in (0, 1, 9, 1 << 16, (1 << 32) - 1):\n"
        "        write(struct.pack('>I', size) + b'[\"m\"]', fd)\n" + END,
        tasks=(*TASKS, SCRIPT),
    ),
    sends("empty messages", "the reader of messages: nothing in them", b"", b"null", b"[]", b"[[]]", b'"v"'),
    sends("not text", "the reader of messages: bytes that are no UTF-8", b"\xff\xfe[1]", start=BARE),
    Entry(
        "not text in a later message",
        "the reader of messages: bytes that are no UTF-8, after a good one",
        f"{START}put(['v', 7, []])\nput(b'[\"v\",\"\\xff\",[]]')\n{END}",
        tasks=TASKS,
    ),
    sends("not JSON", "the reader of messages: text of other kinds", b"['v']", b"NaN", b'["v",Infinity,[]]', b'["v",1'),
    Entry(
        "nested messages",
        "the reader's recursion: brackets and tags of 100 000 levels, and of some thousands",
        f"{START}for n in (900, 4000, 100_000):\n"
        "    put(b'[\"v\",' + b'[' * n + b']' * n + b',[]]')\n"
        "    put(b'[\"v\",' + b'{\"t\":[' * n + b']}' * n + b',[]]')\n"
        f"{END}",
        tasks=TASKS,
    ),
    *(
        gives(f"odd content {i}", "the decoder: what no encoder writes", tree, start=BARE)
        for i, tree in enumerate(ODD_TREES, 1)
    ),
    *(
        sends(f"odd exception {i}", "the maker of exceptions: names, bases and arguments that no runner sends", message)
        for i, message in enumerate(ODD_EXCEPTIONS, 1)
    ),
    gives(
        "handles",
        "the tests' stand-ins: objects that the program does not have",
        {"h": [10**30, "object", "x", ""]},
        {"h": [-5, "iterator", "list", ""]},
        {"h": [-1, "function", "int", ""]},
        {"h": [99, "class", "int", "BaseException"]},
        [{"h": [0, "exception", "x", ""]}],
        tasks=TASKS,
    ),
    gives(
        "references",
        "the decoder's memory of objects: numbers that mean nothing, or something else",
        {"m": [0, [7]]},
        {"r": 0},
        {"r": 99},
        {"r": "x"},
        tasks=TASKS,
    ),
    gives(
        "odd numbers",
        "the decoder of numbers",
        {"f": "nan"},
        {"f": "-inf"},
        {"f": " 1_0.5 "},
        {"f": "1e999"},
        {"i": " -0xff "},
        {"c": [{"f": "nan"}, {"f": "inf"}]},
        {"f": "9" * 20000},
        tasks=TASKS,
    ),
    sends("no results but memory", "the count of results: it says that it has run out of memory", ["m"], times=1),
    sends("too few results", "the count of results: none", times=1),
    sends("one result", "the count of results: the first alone", ["v", 3, []], times=1),
    sends("too many results", "the count of results: a thousand", ["v", 0, []], ["m"], ["e", 1], times=500),
    sends(
        "changes of arguments",
        "arguments of the tests that the program was not given, or that contain themselves",
        ["v", None, [[0, [{"r": 0}]]]],
        ["v", None, [[0, [1, 2, 3]], [7, []], [-1, {"d": []}]]],
        ["v", None, [{"r": 0}]],
        ["v", None, 5],
        tasks=(SUM, LOOPS, IN_PLACE, CALLBACK),
    ),
    sends("forged end", "the choice between file and conversation", ["v", 3, []], ["stays"], times=2),
    sends("only the forged end", "the choice between file and conversation", ["stays"], times=1),
    sends(
        "calls of the tests' functions",
        "functions that the tests have lent, and some that they have not",
        *(["call", index, {"t": given}] for index in (0, 1, -1, 10**20, "0") for given in ([[]], [], [1, 2])),
        ["call", 0, []],
        ["call"],
        tasks=(SUM, CALLBACK, LOOPS),
    ),
    Entry(
        "calls without end",
        "the tests' functions, asked for ever by a program that never listens",
        f"{START}while True:\n    put(['call', 0, {{'t': [1]}}])\n",
        tasks=(CALLBACK,),
        ends=Ends.CPU,
    ),
    Entry(
        "names of the tests",
        "functions that the tests use, replaced by the message that tells the names of the program",
        f"{PUT}{SERVE}NUMBERS = ['abs', 'len', 'sum', 'round', 'half']\n"
        "names = [*NUMBERS, 'all', 'any', 'isinstance', 'math', 'sorted']\n"
        "pairs = [[name, {'h': [i, 'function', 'x', '']}] for i, name in enumerate(names)]\n"
        "write(framed(['load', '', '', {'d': pairs}]), 4)\n"
        "serve(lambda asked: ['v', 0.0 if asked[1] < len(NUMBERS) else True, []])\n",
        tasks=(ASSERTS_CLOSE, WITH_SETUP, CLOSE, MEMBERS, LOOPS),
    ),
    Entry(
        "builtins of the tests",
        "the builtin names, __import__ and all, replaced by the message that tells the names of the program",
        f"{PUT}{SERVE}names = ['abs', '__import__', '__build_class__', 'all', 'sum', 'map', 'range', 'half']\n"
        "pairs = [[name, {'h': [i, 'function', 'x', '']}] for i, name in enumerate(names)]\n"
        f"pairs += [[name, {KIND!r}] for name in ('BaseException', 'AssertionError', 'ValueError')]\n"
        "write(framed(['load', '', '', {'d': [['__builtins__', {'d': pairs}]]}]), 4)\n"
        "serve(lambda asked: ['v', 0.0 if asked[1] <= 0 else True, []])\n",
        tasks=(ASSERTS_CLOSE, LOOPS, UNITTEST_LOOPS),
    ),
    Entry(
        "names of the tests in a file",
        "functions that the tests use, replaced by classes, whose instances are true",
        f"{PUT}kind = {KIND!r}\nnames = ['isinstance', 'any', 'all', 'bool', 'abs', 'len', 'sorted', 'set']\n"
        "put(['load', '', '', {'d': [[name, kind] for name in names]}])\n"
        f"for _ in range(20):\n    put(['v', [0], []])\n{END}",
        tasks=(TRUE_OF, BUILTINS, MEMBERS, VALUES_NESTED),
    ),
    Entry(
        "builtins of the tests in a file",
        "all that the tests can name, replaced by nothing or by classes",
        f"{PUT}kind = {KIND!r}\nnames = ['isinstance', 'any', 'all', 'bool', 'BaseException', 'AssertionError']\n"
        "put(['load', '', '', {'d': [['__builtins__', {'d': [[name, kind] for name in names]}], [1, 2]]}])\n"
        f"for _ in range(20):\n    put(['v', [0], []])\n{END}",
        tasks=(TRUE_OF, BUILTINS, SUM),
    ),
    sends("how it was loaded", "the message that tells how it was loaded", ["load", "p", "passed", {"d": []}], times=2),
    sends("odd loading", "the message that tells how it was loaded", ["load", "", "", [["f", 3]]], ["load"], times=2),
    Entry(
        "instances of the tests' classes",
        "classes that both sides know: attributes of the class itself, methods, and a class of its own",
        f"{START}kind = {KIND!r}\nhandle = {HANDLE!r}\n"
        "for attributes in ([['side', handle]], [['area', handle], ['__eq__', handle]], [['__class__', kind]],\n"
        "                   [['__dict__', {'d': [['side', 3]]}]], [['__doc__', 1], [5, 5]], [['side', {'r': 0}]]):\n"
        "    put(['v', {'o': ['Square', attributes]}, []])\n"
        + END,
        tasks=(SQUARES, SUM),
    ),
    Entry(
        "answers written before the questions",
        "stand-ins, whose answers wait in the file",
        f"{START}for _ in range(50):\n    put(['v', {{'t': [{HANDLE!r}, 3]}}, []])\n    put(['v', {HANDLE!r}, []])\n"
        f"    put(['v', {{'t': {HANDLE!r}}}, []])\n{END}",
        tasks=TASKS,
    ),
    Entry(
        "garbage in the call that should raise",
        "a test that takes any exception, and so the judge's own of a message that cannot be read",
        f"{PUT}def f(n):\n    if n < 0:\n        put(b'garbage')\n        os._exit(0)\n    return round(n ** 0.5)\n",
        tasks=(RAISES_ANYTHING,),
    ),
    Entry(
        "garbage of 60 MB",
        "memory of whoever reads: zeros, line ends, and many small messages",
        f"{START}for part in (bytes(1 << 20), b'\\n' * (1 << 20), framed(['m']) * 100_000):\n"
        f"    for _ in range(20):\n        for fd in (3, 4):\n            write(part, fd)\n{END}",
        tasks=(SUM, LOOPS, SCRIPT),
        ends=Ends.CPU,
    ),
    Entry(
        "message of 40 MB",
        "memory of whoever reads: one message of empty lists",
        f"{START}{LISTS}{END}",
        tasks=BOTH,
        ends=Ends.CPU,
    ),
    Entry(
        "half a message",
        "a reader that waits for the rest",
        f"{START}for fd in (3, 4):\n    write(framed(['v', 3, []])[:-2], fd)\n{END}",
        tasks=TASKS,
    ),
    Entry(
        "half a message and sleep",
        "a reader that waits for the rest, for ever",
        f"{START}import time\nfor fd in (3, 4):\n    write(framed(['v', 3, []])[:-2], fd)\ntime.sleep(60)\n",
        tasks=BOTH,
        ends=Ends.WALL,
    ),
    Entry(
        "messages after the end",
        "the end: results that come after the runner's own",
        f"{PUT}import atexit, threading, time\n"
        "def late():\n    for _ in range(200):\n        put(['v', 0, []])\n        time.sleep(0.001)\n"
        "threading.Thread(target=late, daemon=True).start()\natexit.register(late)\ndef f(*_):\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "file of results cut off",
        "the file of results: its length, its place and its flags, in every call",
        "import fcntl, os\ndef f(*_):\n    for act in (lambda: os.ftruncate(3, 0), lambda: os.lseek(3, 1 << 40, 0),\n"
        "                lambda: os.lseek(3, 0, 0), lambda: fcntl.fcntl(3, fcntl.F_SETFL, os.O_APPEND),\n"
        "                lambda: os.posix_fallocate(3, 0, 1 << 20)):\n"
        "        try:\n            act()\n        except OSError:\n            pass\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "file of results with a hole",
        "whoever reads the file as a whole",
        f"{START}os.lseek(3, 60 << 20, 0)\nput(['v', 3, []])\nput(['stays'])\n{END}",
        tasks=(SUM, VALUES),
    ),
    Entry(
        "descriptors exchanged",
        "the channels: each in the other's place, and nothing in both",
        "import os\ndef f(*_):\n    for one, other in ((3, 4), (4, 3), (0, 4), (1, 3)):\n"
        "        try:\n            os.dup2(one, other)\n        except OSError:\n            pass\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "descriptors closed in a call",
        "the channels",
        "import os\ndef f(*_):\n    os.closerange(3, 100)\n    return 7\n",
        tasks=(SUM, LOOPS, VALUES, CALLBACK, UNITTEST),
    ),
    Entry(
        "socket at its ends",
        "the socket to the tests: half closed, with tiny buffers, with descriptors and urgent bytes in it",
        f"{START}import socket\ntry:\n    peer = socket.socket(fileno=4)\n"
        "    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)\n"
        "    socket.send_fds(peer, [framed(['v', 7, []])], [3, 0, 1])\n"
        "    peer.send(b'x', socket.MSG_OOB)\n    peer.shutdown(socket.SHUT_RD)\n    put(['v', 7, []])\n"
        "except OSError:\n    pass\ndef f(*_):\n    return 7\n",
        tasks=(LOOPS, CALLBACK, IN_PLACE),
    ),
    Entry(
        "exception without a name",
        "the text of the first failure, which is empty",
        "Nameless = type('', (Exception,), {})\nexec('def f(*_): raise Nameless')\n",
        tasks=TASKS,
    ),
    bomb(
        "exponent of a fraction",
        "the decoder: a number of ten bytes and millions of digits",
        "{'x': ['Fraction', ['1e6000000']]}",
    ),
    bomb(
        "endless parts",
        "the decoder: a range in place of a list",
        "{'x': ['deque', [{'x': ['range', [0, 4 * 10**8]]}, 0]]}",
    ),
    bomb(
        "tuples of tuples",
        "the decoder: references to references, whose hash takes exponential time",
        "[{'m': [0, {'t': [1, 1]}]}] + [{'m': [0, {'t': [{'r': 0}, {'r': 0}]}]}] * 27 + [{'s': [{'r': 0}]}]",
    ),
    bomb(
        "tuples without a floor",
        "the decoder: references to references, whose hash overflows the stack",
        "[{'m': [0, {'t': [1]}]}] + [{'m': [0, {'t': [{'r': 0}]}]}] * 200_000 + [{'s': [{'r': 0}]}]",
    ),
    bomb(
        "named tuples",
        "the decoder: a class for each value",
        "[{'n': ['a', ['a%d' % i], [1]]} for i in range(1100)]",
    ),
    gives(
        "named tuple of equal names",
        "the decoder: names that differ as text and are the same to the compiler",
        {"n": ["a", ["\ufb01", "fi"], [1, 2]]},
        tasks=TASKS,
        start=BARE,
    ),
    gives(
        "arrays",
        "the decoder: a library that the program cannot have, and that whoever judges might lack",
        {"x": ["numpy", ["<f8", None, "\0" * 8]]},
        {"x": ["numpy", ["<f8", [0], ""]]},
        {"x": ["numpy", ["(01)i4", None, ""]]},
        tasks=TASKS,
        start=BARE,
    ),
    Entry(
        "an honest program after hostile ones",
        "nothing: the process of the tests has read the messages of another",
        GOOD,
        passes=True,
        tasks=(SUM, VALUES),
        before=f"{START}{LISTS}{END}",
    ),
)  # fmt: skip

"""Programs that know no right answer and try to pass. None may, whatever the form of the test."""

from __future__ import annotations

from rrtf_ray.records import Test, TestKind

from .entry import Entry, Task, asserts, check
from .tasks import ASSERTS, CALLBACK, FUNCTIONS, IN_PLACE, LOOPS, RAISES_ANYTHING, SCRIPTS, SUM, VALUES

UNITTEST = Task(
    "unittest",
    (
        Test(
            TestKind.UNITTEST,
            "import unittest\n\n\nclass TestSum(unittest.TestCase):\n"
            "    def test_equal(self):\n        self.assertEqual(f([1, 2]), 3)\n"
            "    def test_close(self):\n        self.assertAlmostEqual(f([0.1, 0.2]), 0.3)\n"
            "    def test_true(self):\n        self.assertTrue(f([4]) == 4)\n"
            "    def test_in(self):\n        self.assertIn(f([7]), [6, 7, 8])\n",
        ),
    ),
    solution=SUM.solution,
    wrong=SUM.wrong,
)
UNITTEST_LOOPS = Task(
    "unittest with loops",
    (
        Test(
            TestKind.UNITTEST,
            "import unittest\n\n\nclass TestSum(unittest.TestCase):\n"
            "    def setUp(self):\n        self.first = f([1])\n"
            "    def test_loop(self):\n        for n in range(3):\n"
            "            with self.subTest(n=n):\n                self.assertEqual(f([n, n]), 2 * n)\n"
            "    def test_first(self):\n        self.assertEqual(self.first, 1)\n",
        ),
    ),
    solution=SUM.solution,
    wrong=SUM.wrong,
)
SQUARES = check(
    "squares",
    """
assert candidate(3) == Square(3)
assert candidate(4).area() == 16
assert isinstance(candidate(5), Square)
assert candidate(5) != Square(6)
""",
    setup=(
        "from dataclasses import dataclass\n\n\n@dataclass\nclass Square:\n    side: int\n\n"
        "    def area(self):\n        return self.side ** 2\n"
    ),
    solution="def f(side):\n    return Square(side)\n",
    wrong="def f(side):\n    return Square(3)\n",
)
BUILTINS = asserts(
    "builtins",
    "assert isinstance(f(3), list)",
    "assert all(f(2))",
    "assert len(f(4)) == 4 and sum(f(4)) == 10",
    "assert sorted(f(2)) == [1, 2] and max(f(2)) == 2",
    solution="def f(n):\n    return list(range(1, n + 1))\n",
    wrong="def f(n):\n    return list(range(n))\n",
)
TASKS: tuple[Task, ...] = (
    *FUNCTIONS,
    RAISES_ANYTHING,
    IN_PLACE,
    UNITTEST,
    UNITTEST_LOOPS,
    SQUARES,
    BUILTINS,
)
EVERYWHERE = (*TASKS, *SCRIPTS)

COMPARISONS = (
    "    def __eq__(self, other):\n        return True\n"
    "    def __ne__(self, other):\n        return True\n"
    "    def __hash__(self):\n        return 3\n"
    "    __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__\n"
    "    def __bool__(self):\n        return True\n"
)
"""Methods of a class: it equals, differs from, precedes, follows and contains everything."""
ARITHMETIC = (
    "    def same(self, *rest):\n        return self\n"
    "    __abs__ = __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __round__ = same\n"
    "    __neg__ = __getitem__ = __call__ = __enter__ = same\n"
    "    def __float__(self):\n        return 0.0\n"
    "    def __int__(self):\n        return 3\n"
    "    __index__ = __len__ = __int__\n"
    "    def __iter__(self):\n        return iter([self])\n"
    "    def __instancecheck__(self, other):\n        return True\n"
    "    __subclasscheck__ = __instancecheck__\n"
)
LIAR = f"class Liar:\n{COMPARISONS}{ARITHMETIC}    def __getattr__(self, name):\n        return self\n"
ANSWER = "def f(*_):\n    return Liar()\n"


def subclass(base: str, value: str) -> Entry:
    """An instance of a subclass of a builtin, with a value that is wrong everywhere and methods that lie."""
    return Entry(
        f"subclass of {base}",
        f"comparison with a value that claims to be {base}",
        f"class Liar({base}):\n{COMPARISONS}"
        "    def same(self, *rest):\n        return self\n"
        "    __abs__ = __sub__ = __rsub__ = __round__ = __getitem__ = same\n"
        "    def __len__(self):\n        return 4\n"
        "    def __iter__(self):\n        return iter([1, 2, 4])\n"
        "    def keys(self):\n        return ['counts', 'share', 'order', 'ends']\n"
        "    def __getattribute__(self, name):\n        return lambda *_: True\n"
        f"def f(*_):\n    return Liar({value})\n",
        tasks=TASKS,
    )


def raises(name: str, attacks: str, prelude: str, exception: str) -> Entry:
    return Entry(name, attacks, f"{prelude}def f(*_):\n    raise {exception}\n", tasks=TASKS)


def killed(name: str, attacks: str, source: str) -> Entry:
    """It has itself killed by the kernel, as a machine without memory would, so as to be run again and never judged."""
    lines = "".join(f"    {line}\n" for line in [*source.split("\n"), "time.sleep(0.2)"])
    return Entry(name, attacks, f"def f(*_):\n{lines}", tasks=(SUM, LOOPS, VALUES))


WALK = (
    "import gc, inspect, sys, traceback, types\n"
    "def frames():\n"
    "    found = list(sys._current_frames().values()) + [info.frame for info in inspect.stack()]\n"
    "    try:\n        raise ValueError\n    except ValueError as error:\n"
    "        found += [frame for frame, _ in traceback.walk_tb(error.__traceback__)]\n"
    "    found += [thing.gi_frame for thing in gc.get_objects() if isinstance(thing, types.GeneratorType)]\n"
    "    for frame in found:\n        while frame:\n            yield frame\n            frame = frame.f_back\n"
)
"""Every frame that there is."""

ENTRIES = (
    Entry("equals everything", "comparison, arithmetic, length and truth", LIAR + ANSWER, tasks=TASKS),
    Entry(
        "equals by reflection",
        "comparison, by the right of the right operand's class",
        f"class Base:\n    def __eq__(self, other):\n        return NotImplemented\n    __hash__ = None\n"
        f"class Liar(Base):\n{COMPARISONS}    def __getattr__(self, name):\n        return Base()\n" + ANSWER,
        tasks=TASKS,
    ),
    Entry(
        "another class",
        "isinstance and type, by a property",
        f"KINDS = [int, list, float, bool, str, dict]\nclass Liar:\n{COMPARISONS}{ARITHMETIC}"
        "    @property\n    def __class__(self):\n        KINDS.append(KINDS.pop(0))\n        return KINDS[0]\n"
        + ANSWER,
        tasks=TASKS,
    ),
    Entry(
        "class in place of a value",
        "comparison with a class, whose class lies",
        f"class Meta(type):\n{COMPARISONS}{ARITHMETIC}class f(metaclass=Meta):\n    pass\n",
        tasks=TASKS,
    ),
    *map(
        subclass,
        ("int", "float", "str", "bytes", "tuple", "list", "dict", "set", "complex"),
        ("77", "7.7", "'no'", "b'no'", "(7, 7)", "[7, 7]", "{7: 7}", "{7}", "7j"),
    ),
    Entry(
        "named tuple that lies",
        "copying by the fields' names",
        f"import collections\nclass Liar(collections.namedtuple('Liar', 'x y')):\n{COMPARISONS}"
        "    _fields = ('count', 'index')\n    x = y = property(lambda self: 3)\n"
        "def f(*_):\n    return Liar(7, 7)\n",
        tasks=TASKS,
    ),
    Entry(
        "library's classes that lie",
        "copying of values that the library defines",
        f"import collections, decimal, fractions, datetime\n"
        f"class Counter(collections.Counter):\n{COMPARISONS}"
        f"    def __missing__(self, key):\n        return self\n"
        f"class Deque(collections.deque):\n{COMPARISONS}class Decimal(decimal.Decimal):\n{COMPARISONS}"
        f"class Fraction(fractions.Fraction):\n{COMPARISONS}"
        "    numerator = denominator = property(lambda self: 1)\n"
        f"class Date(datetime.date):\n{COMPARISONS}    year = property(lambda self: 3)\n"
        "made = [Counter('no'), Deque([7]), Decimal('7.7'), Fraction(7, 9), Date(2000, 1, 1)]\n"
        "def f(*_):\n    made.append(made.pop(0))\n    return made[0]\n",
        tasks=TASKS,
    ),
    Entry(
        "liars in containers",
        "comparison of what is inside a right-looking value",
        f"{LIAR}import inspect\n"
        "def f(x, *_):\n    if isinstance(x, str):\n"
        "        return {'counts': Liar(), 'share': Liar(), 'order': Liar(), 'ends': Liar()}\n"
        "    return [Liar() for _ in x] if isinstance(x, list) else [Liar()] * 4\n",
        tasks=TASKS,
    ),
    Entry(
        "liars in a class of the tests",
        "comparison by a trusted class with attributes of the program's",
        f"{LIAR}class Square:\n    def __init__(self, *_):\n        self.side = Liar()\n{COMPARISONS}"
        "def f(*_):\n    return Square()\n",
        tasks=(SQUARES,),
    ),
    Entry(
        "mock.ANY",
        "comparison, by the library's own liar",
        "from unittest.mock import ANY\ndef f(*_):\n    return ANY\n",
        tasks=TASKS,
    ),
    Entry(
        "magic mock",
        "anything that asks an object for methods",
        "from unittest.mock import ANY, MagicMock\ndef f(*_):\n    found = MagicMock(return_value=ANY)\n"
        "    found.__eq__ = found.__ne__ = found.__lt__ = found.__gt__ = lambda *_: True\n"
        "    found.__abs__ = found.__sub__ = found.__round__ = lambda *_: 0\n    return found\n",
        tasks=TASKS,
    ),
    Entry(
        "patched builtins",
        "functions that tests use",
        "import builtins\n"
        "def yes(*_, **__):\n    return True\n"
        "for name in ('all', 'any', 'bool', 'isinstance', 'issubclass', 'callable', 'hasattr'):\n"
        "    setattr(builtins, name, yes)\n"
        "for name in ('abs', 'len', 'sum', 'max', 'min', 'round', 'int', 'float', 'sorted', 'set', 'list', 'str'):\n"
        "    setattr(builtins, name, lambda *_, **__: 0)\n"
        "builtins.AssertionError = builtins.BaseException = builtins.Exception = type('Quiet', (), {})\n"
        "vars(builtins)['__debug__'] = False\n"
        "def f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "patched ways to import and to build classes",
        "modules and test classes as they are made",
        f"{LIAR}import builtins\nfor name in ('__import__', '__build_class__', 'exec', 'eval', 'compile', 'getattr'):\n"
        "    setattr(builtins, name, lambda *_, **__: Liar())\n" + ANSWER,
        tasks=EVERYWHERE,
    ),
    Entry(
        "patched modules",
        "functions of modules that judge or copy",
        f"{LIAR}import copy, functools, json, marshal, math, operator, pickle, re, struct, unittest\n"
        "def yes(*_, **__):\n    return True\n"
        "math.isclose = operator.eq = operator.ne = operator.contains = re.fullmatch = yes\n"
        "json.loads = json.dumps = marshal.loads = pickle.loads = copy.deepcopy = lambda *_, **__: Liar()\n"
        "json.JSONEncoder.encode = lambda *_: '[\"v\", true, []]'\n"
        "for name in dir(unittest.TestCase):\n"
        "    if name.startswith('assert') or name in ('fail', 'failureException'):\n"
        "        setattr(unittest.TestCase, name, yes)\n"
        "unittest.TestCase.run = unittest.TestCase.__call__ = lambda self, result=None: result.addSuccess(self)\n"
        "def f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "replaced modules",
        "whoever imports after the program",
        f"{LIAR}import sys\nkept = ('sys', 'builtins', '__main__', 'program')\n"
        "for name in list(sys.modules):\n    if name not in kept:\n        sys.modules[name] = Liar()\n"
        "for name in ('unittest', 'unittest.case', 'numpy', 'pytest', 'rrtf_ray'):\n    sys.modules[name] = Liar()\n"
        + ANSWER,
        tasks=EVERYWHERE,
    ),
    Entry(
        "import hooks",
        "modules that the tests have yet to import",
        f"{LIAR}import importlib.abc, importlib.machinery, sys\n"
        "class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        return importlib.machinery.ModuleSpec(name, self)\n"
        "    def create_module(self, spec):\n        return Liar()\n"
        "    def exec_module(self, module):\n        pass\n"
        "sys.meta_path.insert(0, Finder())\nfor name in ('math', 'unittest', 'typing'):\n"
        "    sys.modules.pop(name, None)\n"
        + ANSWER,
        tasks=EVERYWHERE,
    ),
    Entry(
        "names of the tests",
        "names that tests and their runner define for themselves",
        f"{LIAR}METADATA = {{}}\n__name__ = 'tests'\n"
        "def check(*_):\n    yield\n"
        "_rrtf_check = check\n_rrtf_caught = None\n"
        "candidate = _rrtf_result = math = half = CASES = Square = xs = ys = raised = square = Liar()\n"
        "abs = all = any = len = sum = isinstance = sorted = set = round = max = map = range = lambda *_: Liar()\n"
        f"BaseException = AssertionError = None\n{ANSWER}"
        "__builtins__ = {name: Liar() for name in dir(__builtins__)}\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "entry point of many faces",
        "the evaluation of the entry point's name",
        f"{LIAR}import sys, types\nclass Module(types.ModuleType):\n    f = property(lambda self: Liar())\n"
        "    def __getattr__(self, name):\n        return Liar()\n"
        "sys.modules['program'].__class__ = Module\n"
        "class Names(dict):\n    def __missing__(self, name):\n        return Liar()\n"
        "class Static:\n    def __get__(self, *_):\n        return Liar()\n    __call__ = __get__\n"
        "f = Static()\n",
        tasks=TASKS,
    ),
    Entry(
        "class as entry point",
        "results of a class that makes something else",
        f"{LIAR}class f:\n    def __new__(cls, *_):\n        return Liar()\n    def __class_getitem__(cls, _):\n"
        f"        return Liar()\n",
        tasks=TASKS,
    ),
    Entry(
        "arguments given back",
        "tests whose arguments lead to what they expect",
        "seen = []\ndef f(*given):\n    seen.append(given)\n    return given[-1] if len(seen) % 2 else seen[0][0]\n",
        tasks=tuple(task for task in TASKS if task is not ASSERTS),
    ),
    Entry(
        "functions of the tests taken apart",
        "what a callback carries: constants, globals and closure",
        "def f(function, x):\n    found = []\n    for name in dir(function):\n"
        "        value = getattr(function, name, None)\n"
        "        if name == '__code__':\n            found += value.co_consts\n"
        "        if name == '__closure__' and value:\n            found += [cell.cell_contents for cell in value]\n"
        "    return found[-1] if found else None\n",
        tasks=(CALLBACK,),
    ),
    Entry(
        "frames at import",
        "the nonce, the recorder and the results in the frames of whoever loads it",
        WALK + "import os\nfor frame in frames():\n    for name, value in list(frame.f_locals.items()):\n"
        "        if name in ('record', 'note', 'recorder') and callable(value):\n"
        "            for letter in ('p', 'p', 'p', '.'):\n"
        "                try:\n                    value(letter, '')\n                except Exception:\n"
        "                    pass\n"
        "        if isinstance(value, str) and len(value) == 16:\n"
        "            os.write(3, f'{value} p\\n{value} p\\n{value} p\\n{value} .\\n'.encode())\n"
        "def f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "frames in a call",
        "what is expected, in the frames of whoever calls it",
        WALK + "import ctypes\nasked = []\ndef f(*given):\n    asked.append(given)\n    for frame in frames():\n"
        "        for name, value in {**frame.f_globals, **frame.f_locals}.items():\n"
        "            if any(word in name.lower() for word in ('expect', 'wanted', 'answer_of', 'solution')):\n"
        "                return value\n"
        "            if name in ('num_results', 'num_done'):\n                frame.f_locals[name] = 0\n"
        "                ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))\n"
        "    return None\n",
        tasks=TASKS,
    ),
    Entry(
        "collector",
        "recorders, encoders and codes of tests that no name leads to",
        "import gc, types\ngc.unfreeze()\n"
        "def quiet(*_, **__):\n    return None\n"
        "for thing in gc.get_objects():\n"
        "    if isinstance(thing, types.FunctionType) and thing.__name__ in ('record', 'note', '_judge', 'equal'):\n"
        "        if thing.__module__ != 'program':\n"
        "            thing.__code__ = quiet.__code__.replace(co_freevars=thing.__code__.co_freevars)\n"
        "    elif isinstance(thing, dict) and {'expected', 'tests', 'nonce'} & set(map(str, thing)):\n"
        "        for key in ('expected', 'tests'):\n            if key in thing:\n                thing[key] = []\n"
        "    elif isinstance(thing, list) and thing and all(isinstance(part, bytes) for part in thing):\n"
        "        thing.clear()\n"
        "def f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "encoder replaced",
        "the copying of results, from within",
        "import gc, sys\ngc.unfreeze()\nhandle = {'h': [0, 'object', 'int', '']}\n"
        "for thing in [*gc.get_objects(), *sys.modules.values()]:\n"
        "    name = getattr(thing, '__name__', None) if isinstance(thing, type) else None\n"
        "    if name in ('Encoder', 'JSONEncoder'):\n"
        "        for method in ('tree', 'content', 'text', '_items', 'encode', 'default'):\n"
        "            if hasattr(thing, method):\n                setattr(thing, method, lambda *_: handle)\n"
        "    if name == '_Answers':\n"
        "        thing._result = thing._raised = lambda *_: ['v', handle, []]\n"
        "def f(*_):\n    return object()\n",
        tasks=TASKS,
    ),
    Entry(
        "tracing",
        "the names of its callers, while they run",
        "import ctypes, sys, threading\n"
        "def trace(frame, event, arg):\n    while frame:\n"
        "        if frame.f_code.co_filename != '<program>':\n            frame.f_trace = trace\n"
        "            for name in ('error', 'fault', 'passed', 'value', 'message', 'num_done', 'status'):\n"
        "                if name in frame.f_locals:\n"
        "                    frame.f_locals[name] = {'passed': True, 'message': ['v', True, []]}.get(name)\n"
        "                    ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))\n"
        "        frame = frame.f_back\n    return trace\n"
        "sys.settrace(trace)\nsys.setprofile(trace)\nthreading.settrace(trace)\nthreading.setprofile(trace)\n"
        "def f(*_):\n    trace(sys._getframe(), 'call', None)\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "audit hook",
        "whatever the interpreter does for the runner",
        "import sys\ndef hook(event, arguments):\n"
        "    if event in ('exec', 'compile', 'marshal.loads', 'os.truncate', 'import'):\n"
        "        raise RuntimeError(event)\n"
        "sys.addaudithook(hook)\ndef f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "records on every descriptor",
        "whoever reads results from a descriptor, in all forms that might be believed",
        "import json, os, pickle\n"
        "texts = ['p\\n' * 9 + '.\\n', ' p\\n' * 9 + ' .\\n', '? p\\n' * 9, 'PASSED\\n', '3\\n42\\n', '0', 'true',\n"
        "         '{\"passed\": true}', '[\"p\"]', '[true, true, true]', '1.5 2.00 even\\n']\n"
        "texts += [f'{nonce} p\\n{nonce} .\\n' for nonce in ('0' * 16, 'nonce', '', 'None')]\n"
        "data = [text.encode() for text in texts] + [pickle.dumps([True] * 3), (1).to_bytes(4, 'big') + b'p']\n"
        "for fd in range(256):\n    for part in data:\n"
        "        try:\n            os.write(fd, part)\n        except OSError:\n            break\n"
        "def f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "descriptors read and given back",
        "nonces that stand in what a program can read",
        "import os, re\nwords = {''}\nfor fd in range(3, 64):\n"
        "    try:\n        os.set_blocking(fd, False)\n"
        "        found = os.pread(fd, 1 << 16, 0) + os.read(fd, 1 << 16)\n"
        "    except OSError:\n        continue\n    words |= set(re.findall('[0-9a-f]{16}', found.decode('latin-1')))\n"
        "for fd in range(3, 64):\n    for word in words:\n"
        "        try:\n            os.write(fd, f'{word} p\\n'.encode() * 5 + f'{word} .\\n'.encode())\n"
        "        except OSError:\n            break\n"
        "os._exit(0)\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "thread that writes records",
        "results, from beside the call that makes them",
        "import os, threading\n"
        "def write():\n    for _ in range(2000):\n        for fd in (3, 4):\n"
        "            try:\n                os.write(fd, b'\\0\\0\\0\\x0f[\"v\", true, []]')\n"
        "            except OSError:\n                return\n"
        "threading.Thread(target=write, daemon=True).start()\ndef f(*_):\n    return True\n",
        tasks=TASKS,
    ),
    Entry(
        "records at the end",
        "results, after the runner's own",
        "import atexit, os\nclass Last:\n"
        "    def __del__(self, write=os.write):\n        for fd in (1, 3, 4):\n"
        "            try:\n                write(fd, b' p\\n p\\n p\\n .\\n')\n            except OSError:\n"
        "                pass\n"
        "last = Last()\nlast.self = last\natexit.register(last.__del__)\ndef f(*_):\n    return Last()\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "small integers",
        "numbers themselves, in memory",
        "import ctypes\nsize = (1).__sizeof__()\nfor number in range(10, 200):\n"
        "    ctypes.memmove(id(number), ctypes.string_at(id(7), size), size)\n"
        "def f(*_):\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "comparison of the builtin types",
        "the slots of types, in memory",
        "import ctypes\nyes = ctypes.CFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)(\n"
        "    lambda a, b, how: True)\naddress = ctypes.cast(yes, ctypes.c_void_p).value\n"
        "def slots():\n    for kind in (int, float, str, list, dict, tuple, bool, object):\n"
        "        ctypes.c_void_p.from_address(id(kind) + 25 * 8).value = address  # tp_richcompare\n"
        "def f(*_):\n    slots()\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "comparison in C",
        "the interpreter's machine code",
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "code = b'\\x48\\xb8' + id(True).to_bytes(8, 'little') + b'\\xc3'  # mov rax, True; ret\n"
        "for name in ('PyObject_RichCompare', 'PyErr_SetString'):\n"
        "    address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value\n"
        "    if libc.mprotect(ctypes.c_void_p(address & ~0xFFF), ctypes.c_size_t(8192), 7) == 0:\n"
        "        ctypes.memmove(address, code, len(code))\n"
        "def f(*_):\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "constants of codes",
        "the literals that tests compare with, in memory",
        "import ctypes, gc, sys, types\ngc.unfreeze()\n"
        "def change(code):\n"
        "    items = (ctypes.py_object * len(code.co_consts)).from_address(id(code.co_consts) + 24)\n"
        "    for i, constant in enumerate(code.co_consts):\n"
        "        if isinstance(constant, types.CodeType):\n            change(constant)\n"
        "        elif type(constant) in (int, float, str, tuple) and constant not in ('', ()):\n"
        "            items[i] = 7\n"
        "seen = [c for t in gc.get_objects() for c in gc.get_referents(t) if isinstance(c, types.CodeType)]\n"
        "for code in seen:\n"
        "    if code.co_filename in ('<tests>', '<string>', '<prompt>') or 'check' in code.co_name:\n"
        "        change(code)\n"
        "def f(*_):\n    return 7\n",
        tasks=TASKS,
    ),
    Entry(
        "sources of the tests",
        "the text that tests might be compiled from",
        "import linecache, os\nfor name in list(linecache.cache) + ['<tests>', '<setup>', '<prompt>', 'test.py']:\n"
        "    linecache.cache[name] = (4, None, ['pass\\n'], name)\n"
        "linecache.getline = linecache.getlines = lambda *_: ''\n"
        "for name in ('tests.py', 'test_f.py', 'conftest.py', 'sitecustomize.py', 'math.py', 'unittest.py'):\n"
        "    try:\n        with open(name, 'w') as file:\n            file.write('isclose = lambda *_: True\\n')\n"
        "    except OSError:\n        pass\n"
        "def f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    raises(
        "exception that equals everything",
        "whoever compares or prints exceptions",
        f"class Liar(Exception):\n{COMPARISONS}    def __str__(self):\n        return ' p\\n .\\n'\n"
        f"    __repr__ = __str__\n"
        "    args = property(lambda self: (3,))\n    __traceback__ = None\n",
        "Liar",
    ),
    raises("own AssertionError", "whoever takes it for the test's", "class Own(AssertionError):\n    pass\n", "Own"),
    raises("test skipped", "a test that is not run and cannot fail", "import unittest\n", "unittest.SkipTest('')"),
    raises("test stopped", "what unittest raises to leave a test", "import unittest\n", "unittest.case._ShouldStop"),
    raises("StopIteration", "loops and generators of the tests", "", "StopIteration(3)"),
    raises(
        "exceptions of the sandbox's",
        "what the judge raises to end its tests",
        "MODULES = [f'rrtf_ray.sandbox.inside.{name}' for name in ('testing', 'remote', 'channel')]\n"
        "MODULES += ['rrtf_ray.sandbox.supervisor', '_pytest.outcomes', 'unittest.case']\n"
        "NAMES = ['Stop', 'WrongValue', 'Gone', 'Garbage', 'OutOfMemory', 'MachineryFault', 'Skipped', '_ShouldStop']\n"
        "kinds = [type(name, (Exception,), {'__module__': module}) for module in MODULES for name in NAMES]\n",
        "kinds.pop()",
    ),
    raises(
        "Stop of the sandbox's",
        "the judge's own exception for the end of the tests, by its name",
        "Stop = type('Stop', (Exception,), {'__module__': 'rrtf_ray.sandbox.shared.testing'})\n",
        "Stop",
    ),
    raises(
        "exception group",
        "handlers that take exceptions apart",
        "",
        "BaseExceptionGroup('all', [StopIteration(), GeneratorExit(), AssertionError()])",
    ),
    killed(
        "killed by its limit",
        "the blame: a limit of processor time of zero seconds",
        "import resource, time\nresource.setrlimit(resource.RLIMIT_CPU, (0, 0))\nsum(range(10**6))",
    ),
    killed(
        "killed by a timer",
        "the blame: a timer that sends SIGKILL",
        "import ctypes, struct, time\nlibc = ctypes.CDLL(None)\nevent = ctypes.create_string_buffer(64)\n"
        "struct.pack_into('qii', event, 0, 0, 9, 0)\ntimer = ctypes.c_int(-1)\n"
        "libc.syscall(222, 1, event, ctypes.byref(timer))\n"
        "libc.syscall(223, timer, 0, struct.pack('qqqq', 0, 10**6, 0, 10**6), None)",
    ),
    killed(
        "killed by a pipe",
        "the blame: a descriptor that tells of its readiness by SIGKILL",
        "import fcntl, os, time\nread, write = os.pipe()\nfcntl.fcntl(read, fcntl.F_SETOWN, os.getpid())\n"
        "fcntl.fcntl(read, 10, 9)  # F_SETSIG\n"
        "fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | os.O_ASYNC)\nos.write(write, b'x')",
    ),
    Entry(
        "last resort of a script",
        "whoever compares the output",
        "import sys\nclass Out(str):\n    __eq__ = lambda *_: True\n    __hash__ = str.__hash__\n"
        "print(Out('nan inf -nan 1e999 3 42 1.5'))\nsys.stdout = None\n",
        tasks=SCRIPTS,
    ),
)  # fmt: skip

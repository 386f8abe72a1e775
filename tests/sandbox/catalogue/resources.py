"""Memory, stack, processor, output, disk, descriptors and threads, used up."""

from __future__ import annotations

from .entry import GOOD, Ends, Entry, catch
from .tasks import LOOPS, SCRIPT, SUM

IN_CALL = "def f(xs):\n    {}\n    return sum(xs)\n"

ENTRIES = (
    Entry("list of zeros", "memory, in one piece", "x = [0] * 10**9\n" + GOOD, tasks=(SUM, SCRIPT)),
    Entry(
        "small pieces",
        "memory, a megabyte at a time",
        "hold = [bytes(1 << 20) for _ in range(2000)]\n" + GOOD,
        tasks=(SUM, SCRIPT),
    ),
    Entry("string that doubles", "memory, by repeated doubling", "s = 'x'\nfor _ in range(31):\n    s += s\n" + GOOD),
    Entry("bytearray", "memory, zeroed by the kernel", "b = bytearray(2 << 30)\n" + GOOD),
    Entry(
        "mapped memory",
        "memory, past the allocator",
        "import mmap\nm = mmap.mmap(-1, 2 << 30)\nfor i in range(0, len(m), 4096):\n    m[i] = 1\n" + GOOD,
    ),
    Entry("memory in a call", "memory, while a test waits", IN_CALL.format("hold = [0] * 10**9"), tasks=(SUM, LOOPS)),
    Entry("dict that grows", "memory, in a table", "d = {i: str(i) for i in range(10**7)}\n" + GOOD, ends=Ends.CPU),
    Entry("format width", "memory, by a format", IN_CALL.format("s = '%2000000000d' % 1")),
    Entry(
        "memory errors caught for ever",
        "a loop that lives on at its memory limit",
        "hold = []\nwhile True:\n    try:\n        hold.append(bytes(1 << 16))\n    except MemoryError:\n"
        "        pass\n",
        ends=Ends.CPU,
    ),
    Entry(
        "memory error survived",
        "nothing: it meets the limit, frees what it held and goes on",
        "hold = []\ntry:\n    while len(hold) < 2000:\n        hold.append(bytes(1 << 20))\n"
        "except MemoryError:\n    pass\nhold.clear()\n" + GOOD,
        passes=True,
    ),
    Entry(
        "limits raised",
        "its own limit of memory",
        "import resource\n"
        "for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_CPU):\n"
        "    try:\n        resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "    except (ValueError, OSError):\n        pass\n"
        "b = bytearray(1 << 30)\n" + GOOD,
    ),
    Entry("power of powers", "a call into C that no signal handler ends", "x = 10 ** 10 ** 9\n" + GOOD, ends=Ends.CPU),
    Entry(
        "huge integer as text",
        "a call into C of quadratic time",
        "import sys\nsys.set_int_max_str_digits(0)\nx = str(1 << 10**7)\n" + GOOD,
        ends=Ends.CPU,
    ),
    Entry(
        "factorial",
        "a call into C",
        "import math\n" + IN_CALL.format("math.factorial(10**7)"),
        ends=Ends.CPU,
    ),
    Entry("endless recursion", "the interpreter's stack", "def f(xs):\n    return f(xs)\n"),
    Entry(
        "recursion without a limit",
        "memory, by frames",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(xs):\n    return f(xs) + 1\n",
        ends=Ends.CPU,
    ),
    Entry(
        "recursion through C",
        "the C stack",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(xs):\n    return sorted([0], key=f)\n",
        ends=Ends.CPU,
    ),
    Entry(
        "recursion swallowed",
        "exponential time by catching RecursionError",
        "def f(xs):\n    try:\n        f(xs)\n    finally:\n        f(xs)\n",
        ends=Ends.CPU,
    ),
    Entry(
        "deep nesting",
        "C code that recurses over data: comparison, repr, pickle and the deallocator",
        catch(
            "a == b",
            "repr(a)",
            "json.dumps(a)",
            "pickle.dumps(a)",
            "marshal.dumps(a)",
            "del a, b",
            prelude="import json, marshal, pickle\na = b = None\nfor _ in range(10**5):\n    a, b = [a], [b]\n",
        ),
        passes=True,
    ),
    Entry(
        "regular expression",
        "backtracking in C",
        "import re\n" + IN_CALL.format("re.match('(a+)+$', 'a' * 60 + 'b')"),
        ends=Ends.CPU,
    ),
    Entry(
        "colliding keys",
        "quadratic time in a hash table",
        "d = {k * ((1 << 61) - 1): k for k in range(200_000)}\n" + GOOD,
        ends=Ends.CPU,
    ),
    Entry(
        "product",
        "processor and memory in itertools",
        "import itertools\nx = list(itertools.product(range(100), repeat=8))\n" + GOOD,
        ends=Ends.CPU,
    ),
    Entry("standard output for ever", "a flood, unread", "while True:\n    print('x' * 1000)\n", ends=Ends.CPU),
    Entry(
        "output of a script",
        "a flood that somebody keeps",
        "while True:\n    print('x' * 1000)\n",
        tasks=(SCRIPT,),
        ends=Ends.CPU,
    ),
    Entry(
        "standard error for ever",
        "a flood beside the right answer",
        SCRIPT.solution + "import sys\nwhile True:\n    sys.stderr.write('x' * 10000)\n",
        tasks=(SCRIPT,),
        ends=Ends.CPU,
    ),
    Entry(
        "output at exit",
        "a flood after the right answer",
        SCRIPT.solution + "import atexit\natexit.register(lambda: [print('x' * 1000) for _ in range(10**4)])\n",
        tasks=(SCRIPT,),
        ends=Ends.CPU,
    ),
    Entry(
        "one large file",
        "the disk",
        catch("[file.write(bytes(1 << 20)) for _ in range(200)]", prelude="file = open('large', 'wb')\n"),
        passes=True,
    ),
    Entry(
        "many files",
        "the disk, below the limit of one file",
        catch("[open(str(i), 'wb').write(bytes(60_000)) for i in range(3000)]"),
        passes=True,
    ),
    Entry(
        "sparse file",
        "the disk's numbers",
        catch("file.truncate(1 << 40)", "os.posix_fallocate(file.fileno(), 0, 1 << 30)",
              prelude="import os\nfile = open('sparse', 'wb')\n"),
        passes=True,
    ),
    Entry(
        "folders",
        "inodes, and a depth that breaks what clears up",
        "import os\ntry:\n    for i in range(2000):\n        os.mkdir('d' * 200)\n        os.chdir('d' * 200)\n"
        "except OSError:\n    pass\n" + GOOD,
        passes=True,
    ),
    Entry(
        "descriptors",
        "the table of open files",
        "import os\nheld = []\ntry:\n    while len(held) < 10**5:\n        held.append(os.open('/dev/null', 0))\n"
        "except OSError:\n    pass\n" + GOOD,
        passes=True,
    ),
    Entry(
        "threads",
        "the table of processes",
        "import threading, time\ntry:\n    for _ in range(500):\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "except (RuntimeError, MemoryError):\n    pass\n" + GOOD,
        passes=None,
    ),
)  # fmt: skip

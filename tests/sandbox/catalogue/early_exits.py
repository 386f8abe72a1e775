"""Ends that come before the tests are over, dressed as success. None may count as a pass."""

from __future__ import annotations

from .entry import Ends, Entry
from .tasks import ASSERTS, LOOPS, RAISES_ANYTHING, SCRIPT, SUM, VALUES, WITH_SETUP

TASKS = (SUM, LOOPS, RAISES_ANYTHING, ASSERTS, VALUES, WITH_SETUP)
EVERYWHERE = (*TASKS, SCRIPT)


def everywhere(name: str, attacks: str, statement: str, prelude: str = "") -> tuple[Entry, Entry]:
    """The statement at import, and in a call."""
    indented = "".join(f"    {line}\n" for line in statement.rstrip("\n").split("\n"))
    return (
        Entry(f"{name} at import", f"{attacks}, at import", f"{prelude}{statement}\n", tasks=EVERYWHERE),
        Entry(f"{name} in a call", f"{attacks}, in a call", f"{prelude}def f(*_):\n{indented}", tasks=TASKS[:2]),
    )


ENTRIES = (
    *everywhere("sys.exit", "the exit status", "sys.exit(0)", "import sys\n"),
    *everywhere("os._exit", "the exit status, with nothing cleared up", "os._exit(0)", "import os\n"),
    *everywhere("quit", "the exit status, by the console's names", "raise SystemExit"),
    *everywhere(
        "own kind of SystemExit",
        "code that asks for the exit status",
        "raise Done()",
        "class Done(SystemExit):\n    code = property(lambda self: 0)\n    def __str__(self):\n        raise Done()\n",
    ),
    *everywhere("BaseException", "handlers of Exception", "raise BaseException('passed')"),
    *everywhere("KeyboardInterrupt", "handlers of Exception, as a person would", "raise KeyboardInterrupt"),
    *everywhere("GeneratorExit", "tests that run in a generator", "raise GeneratorExit"),
    *everywhere("SIGKILL", "whoever judges by the exit status", "os.kill(os.getpid(), 9)", "import os\n"),
    *everywhere("abort", "whoever judges by the exit status", "os.abort()", "import os\n"),
    *everywhere(
        "own signal",
        "whoever judges by the exit status",
        "signal.signal(signal.SIGALRM, lambda *_: os._exit(0))\nsignal.setitimer(signal.ITIMER_REAL, 0.001)\n"
        "while True: pass",
        "import os, signal\n",
    ),
    *everywhere("segmentation fault", "the interpreter, by C", "ctypes.string_at(0)", "import ctypes\n"),
    *everywhere("descriptors closed", "every channel", "os.closerange(0, 1 << 16)\nos._exit(0)", "import os\n"),
    Entry(
        "exit of the call that should raise",
        "a test that takes any exception, and so the end of the process as well",
        "import os\ndef f(n):\n    return round(n ** 0.5) if n >= 0 else os._exit(0)\n",
        tasks=(RAISES_ANYTHING,),
    ),
    Entry(
        "crash of the call that should raise",
        "a test that takes any exception, and so the end of the process as well",
        "import ctypes\ndef f(n):\n    return round(n ** 0.5) if n >= 0 else ctypes.string_at(0)\n",
        tasks=(RAISES_ANYTHING,),
    ),
    Entry(
        "descriptors closed in the call that should raise",
        "a test that takes any exception, and so the end of the connection as well",
        "import os\ndef f(n):\n    return round(n ** 0.5) if n >= 0 else os.closerange(0, 1 << 16)\n",
        tasks=(RAISES_ANYTHING,),
    ),
    Entry(
        "memory of the call that should raise",
        "a test that takes any exception, and so the limit of memory as well",
        "def f(n):\n    return round(n ** 0.5) if n >= 0 else [0] * 10**9\n",
        passes=None,
        tasks=(RAISES_ANYTHING,),
    ),
    Entry(
        "exit at exit",
        "the exit status, after the tests",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(*_):\n    return 0\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "exit in a thread",
        "the exit status, from beside the tests",
        "import os, threading, time\nthreading.Thread(target=lambda: os._exit(0)).start()\n"
        "def f(*_):\n    time.sleep(0.05)\n",
        tasks=TASKS,
    ),
    Entry(
        "exit in a hook",
        "the exit status, as exceptions are told",
        "import os, sys, threading\n"
        "sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *_: os._exit(0)\n"
        "def f(*_):\n    raise ValueError\nif __name__ == '__main__':\n    f()\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "exit in a finaliser",
        "the exit status, from the collector",
        "import os\nclass Last:\n    def __del__(self):\n        os._exit(0)\ndef f(*_):\n    Last()\n"
        "if __name__ == '__main__':\n    f()\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "exit in the text of an exception",
        "code that describes exceptions",
        "import os\nclass Told(Exception):\n    def __str__(self):\n        os._exit(0)\n    __repr__ = __str__\n"
        "def f(*_):\n    raise Told\nif __name__ == '__main__':\n    f()\n",
        tasks=EVERYWHERE,
    ),
    Entry(
        "exit in a result",
        "code that looks at results",
        "import os\nclass Last:\n    def __getattribute__(self, name):\n        os._exit(0)\n"
        "    __eq__ = __ne__ = __abs__ = __len__ = __iter__ = __bool__ = __repr__ = __getattribute__\n"
        "    __str__ = __hash__ = __getattribute__\n"
        "def f(*_):\n    return Last()\n",
        tasks=TASKS,
    ),
    Entry(
        "stack overflow in C",
        "the process, without a word",
        "import sys\nsys.setrecursionlimit(10**8)\nclass Deep:\n    def __getattr__(self, name):\n"
        "        return max([self], key=lambda deep: getattr(deep, name))\ndef f(*_):\n    return Deep().x\n",
        tasks=(SUM, VALUES),
        ends=Ends.CPU,
    ),
    Entry(
        "exit after half of the output",
        "a test that looks at the exit status first",
        "import os\nprint(input().split()[0], flush=True)\nos._exit(0)\n",
        tasks=(SCRIPT,),
    ),
    Entry(
        "failure after the right output",
        "nothing: a script that ends with an error has failed",
        SCRIPT.solution + "raise SystemExit(1)\n",
        tasks=(SCRIPT,),
    ),
    Entry(
        "exit after the right output",
        "nothing: many scripts end so",
        SCRIPT.solution + "import sys\nsys.exit()\n",
        passes=True,
        tasks=(SCRIPT,),
    ),
)

"""Programs that do not end, or put off their end."""

from __future__ import annotations

from .entry import GOOD, SUM, Ends, Entry
from .tasks import LOOPS, RAISES_ANYTHING, SCRIPT, VALUES

SPIN = "while True:\n    pass\n"

ENTRIES = (
    Entry("loop", "time, at import", SPIN, ends=Ends.CPU, tasks=(SUM, SCRIPT)),
    Entry(
        "loop in a call",
        "time, while a test waits",
        "def f(xs):\n    while True:\n        pass\n",
        tasks=(SUM, LOOPS),
        ends=Ends.CPU,
    ),
    Entry(
        "loop where an exception is expected",
        "a test that takes any exception, and so the end of the process as well",
        "def f(n):\n    while n < 0:\n        pass\n    return round(n ** 0.5)\n",
        tasks=(RAISES_ANYTHING,),
        ends=Ends.CPU,
    ),
    Entry(
        "sleep where an exception is expected",
        "a test that takes any exception, and so the end of the process as well",
        "import time\ndef f(n):\n    if n < 0:\n        time.sleep(60)\n    return round(n ** 0.5)\n",
        tasks=(RAISES_ANYTHING,),
        ends=Ends.WALL,
    ),
    Entry(
        "loop that catches everything",
        "exceptions that a limit might raise",
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass\n",
        ends=Ends.CPU,
    ),
    Entry(
        "exception that is answered by a loop",
        "KeyboardInterrupt and MemoryError as ends",
        "import _thread\ntry:\n    _thread.interrupt_main()\n    while True:\n        pass\n"
        "except (KeyboardInterrupt, MemoryError):\n    while True:\n        pass\n",
        ends=Ends.CPU,
    ),
    Entry(
        "sum of an endless iterator",
        "C code that looks at no signal",
        "import itertools\ndef f(xs):\n    return sum(itertools.repeat(0))\n",
        ends=Ends.CPU,
    ),
    Entry("any of an endless iterator", "C code without memory", "any(iter(int, 1))\n" + GOOD, ends=Ends.CPU),
    Entry("sleep", "the clock, at import", "import time\ntime.sleep(60)\n" + GOOD, ends=Ends.WALL),
    Entry(
        "sleep in a call",
        "the clock, while a test waits",
        "import time\ndef f(xs):\n    time.sleep(60)\n    return sum(xs)\n",
        tasks=(SUM, VALUES, LOOPS),
        ends=Ends.WALL,
    ),
    Entry(
        "sleep in a script",
        "the clock, with the right answer given",
        SCRIPT.solution + "import sys, time\nsys.stdout.flush()\ntime.sleep(60)\n",
        tasks=(SCRIPT,),
        ends=Ends.WALL,
    ),
    Entry("read of the input", "a wait for input in a function", "input()\n" + GOOD),
    Entry(
        "read beyond the input",
        "a wait for input in a script",
        "import sys\nsys.stdin.read()\nprint(input())\n",
        tasks=(SCRIPT,),
    ),
    Entry("read of an empty pipe", "a wait in the kernel", "import os\nos.read(os.pipe()[0], 1)\n", ends=Ends.WALL),
    Entry(
        "deadlock",
        "a wait for itself",
        "import threading\nlock = threading.Lock()\ndef f(xs):\n    lock.acquire()\n    return sum(xs)\n",
        ends=Ends.WALL,
    ),
    Entry(
        "loop at exit",
        "the end of the interpreter, after the right answer",
        "import atexit\n@atexit.register\ndef spin():\n    while True:\n        pass\n" + SCRIPT.solution,
        tasks=(SCRIPT,),
        ends=Ends.CPU,
    ),
    Entry(
        "loop at exit of a function",
        "the end of the interpreter",
        "import atexit\n@atexit.register\ndef spin():\n    while True:\n        pass\n" + GOOD,
        passes=None,
        ends=Ends.CPU,
    ),
    Entry(
        "loop in a finaliser",
        "the collector, during a test",
        "class Spin:\n    def __del__(self):\n        while True:\n            pass\n"
        "def f(xs):\n    Spin()\n    return sum(xs)\n",
        ends=Ends.CPU,
    ),
    Entry(
        "finaliser at the end",
        "the end of the interpreter",
        "class Spin:\n    def __del__(self):\n        while True:\n            pass\nkept = Spin()\n" + GOOD,
        passes=None,
        ends=Ends.CPU,
    ),
    Entry(
        "loop in a daemon thread",
        "time beside the tests",
        "import threading\ndef spin():\n    while True:\n        pass\n"
        "threading.Thread(target=spin, daemon=True).start()\n" + GOOD,
        passes=None,
        ends=Ends.CPU,
    ),
    Entry(
        "loop in a thread",
        "time after the right answer",
        "import threading\ndef spin():\n    while True:\n        pass\n"
        "threading.Thread(target=spin).start()\n" + SCRIPT.solution,
        tasks=(SCRIPT,),
        ends=Ends.CPU,
    ),
    Entry(
        "threads without the lock",
        "the count of processor time, by C code in several threads",
        "import threading, zlib\nblock = bytes(1 << 24)\ndef spin():\n    while True:\n        zlib.crc32(block)\n"
        "for _ in range(4):\n    threading.Thread(target=spin).start()\nspin()\n",
        ends=Ends.CPU,
    ),
    Entry(
        "signals ignored",
        "limits that are told by signals",
        "import signal\nfor number in signal.valid_signals():\n"
        "    try:\n        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n" + SPIN,
        ends=Ends.CPU,
    ),
    Entry(
        "timers of its own",
        "the timers of whoever watches it",
        "import signal\ndef spin(*_):\n    while True:\n        pass\n"
        "for kind, number in ((signal.ITIMER_REAL, signal.SIGALRM), (signal.ITIMER_PROF, signal.SIGPROF),\n"
        "                     (signal.ITIMER_VIRTUAL, signal.SIGVTALRM)):\n"
        "    signal.signal(number, spin)\n    signal.setitimer(kind, 0.01, 0.01)\n" + SPIN,
        ends=Ends.CPU,
    ),
    Entry(
        "stopped",
        "whoever waits for its end",
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nsignal.raise_signal(signal.SIGSTOP)\n",
        ends=Ends.WALL,
    ),
    Entry(
        "lowest priority",
        "the allowance for a busy machine",
        "import os\nos.nice(19)\n"
        "try:\n    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nexcept OSError:\n    pass\n" + SPIN,
        ends=Ends.CPU,
    ),
    Entry(
        "clocks patched",
        "a watch inside the interpreter",
        "import time\ntime.time = time.monotonic = time.perf_counter = time.process_time = lambda: 0.0\n"
        "time.clock_gettime = lambda _: 0.0\n" + SPIN,
        ends=Ends.CPU,
    ),
)  # fmt: skip

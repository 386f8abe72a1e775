"""New processes, new programs, and hands laid on processes of others. Every process bears the name @MARK@."""

from __future__ import annotations

from .entry import GOOD, Ends, Entry, catch, refused
from .tasks import SCRIPT

NAMED = "import ctypes, os, signal, subprocess, sys, time\nlibc = ctypes.CDLL(None)\nlibc.prctl(15, b'@MARK@')\n"
NAP = NAMED + (
    "def nap():\n    pid = os.fork()\n    if pid == 0:\n        try:\n            time.sleep(60)\n"
    "        finally:\n            os._exit(0)\n    return pid\n"
)
COMMAND = "[sys.executable, '-c', 'import time; time.sleep(60)', '@MARK@']"
MACHINE_CODE = (
    NAMED + "import mmap, platform\n"
    "def run(code):\n"
    "    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
    "    page.write(code)\n"
    "    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\n"
    "def nap_if_child(pid):\n"
    "    if pid == 0:\n        try:\n            time.sleep(60)\n        finally:\n            os._exit(0)\n"
    "intel = platform.machine() == 'x86_64'\n"
)

ENTRIES = (
    Entry(
        "fork bomb",
        "the table of processes",
        catch("[nap() for _ in range(200)]", prelude=NAP),
        passes=True,
    ),
    Entry(
        "fork that goes on",
        "one answer, by making two processes give it",
        NAMED + "try:\n    os.fork()\nexcept OSError:\n    pass\n" + GOOD,
        passes=None,
    ),
    Entry(
        "child that outlives",
        "whoever waits for the end of the output",
        NAP + "try:\n    nap()\nfinally:\n    os._exit(0)\n",
    ),
    Entry(
        "daemon",
        "the kill, by a session of its own and another parent",
        NAP + "try:\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            os.closerange(0, 256)\n            time.sleep(60)\n        os._exit(0)\n    os.wait()\n"
        "except OSError:\n    pass\n" + GOOD,
        passes=True,
    ),
    Entry("exec", "the interpreter's place", catch(f"os.execv(sys.executable, {COMMAND})", prelude=NAMED), passes=True),
    Entry(
        "exec of a memory file",
        "a program that lies in no folder",
        catch(
            "fd = os.memfd_create('@MARK@')",
            "os.write(fd, open(sys.executable, 'rb').read())",
            f"os.execve(fd, {COMMAND}, {{}})",
            prelude=NAMED,
        ),
        passes=True,
    ),
    Entry(
        "spawn",
        "the bar to fork, by another call",
        catch(
            f"os.posix_spawn(sys.executable, {COMMAND}, {{}})",
            "os.posix_spawnp('sh', ['sh', '-c', 'sleep 60 # @MARK@'], {})",
            prelude=NAMED,
        ),
        passes=True,
    ),
    Entry(
        "subprocess",
        "the bar to fork, by the library",
        catch(
            f"subprocess.Popen({COMMAND})",
            "subprocess.run('sleep 60 & # @MARK@', shell=True)",
            f"subprocess.Popen({COMMAND}, start_new_session=True, close_fds=False)",
            prelude=NAMED,
        ),
        passes=True,
    ),
    Entry(
        "shell",
        "the bar to fork, by the C library",
        catch("os.system('sleep 60 & # @MARK@')", "os.popen('sleep 60 & # @MARK@')", "libc.system(b'sleep 60 &')",
              prelude=NAMED),
        passes=True,
    ),
    Entry(
        "multiprocessing",
        "the bar to fork, by workers",
        catch(
            "multiprocessing.Process(target=time.sleep, args=(60,), daemon=True).start()",
            "multiprocessing.get_context('spawn').Process(target=time.sleep, args=(60,), daemon=True).start()",
            "concurrent.futures.ProcessPoolExecutor(2).submit(time.sleep, 60)",
            prelude=NAMED + "import concurrent.futures, multiprocessing\n",
        ),
        passes=True,
    ),
    Entry(
        "fork by C",
        "a bar that Python alone knows",
        catch(
            "nap_if_child(libc.fork())",
            "libc.vfork() or libc._exit(0)",
            "nap_if_child(libc.syscall(220 if arm else 56, 17, 0, 0, 0, 0))",
            "nap_if_child(libc.syscall(435, (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17), 88))",
            prelude=MACHINE_CODE + "arm = not intel\n",
        ),
        passes=True,
    ),
    Entry(
        "fork by 32-bit call",
        "a filter that knows one table of system calls",
        MACHINE_CODE + "if intel:\n    nap_if_child(run(bytes.fromhex('b802000000cd80c3')))\n" + GOOD,
        passes=None,
    ),
    Entry(
        "fork by x32 call",
        "a filter that compares numbers",
        MACHINE_CODE + "if intel:\n    nap_if_child(run(bytes.fromhex('b8390000400f05c3')))\n" + GOOD,
        passes=None,
    ),
    Entry(
        "pseudo-terminal",
        "the bar to fork, with a terminal",
        catch("pty.fork()[0] or os._exit(0)", "pty.spawn('sh')", prelude=NAMED + "import pty\n"),
        passes=True,
    ),
    Entry(
        "signals to the parent",
        "the sandbox's own process",
        refused(
            "os.kill(os.getppid() or 1 << 22, signal.SIGTERM)",
            "os.killpg(os.getppid() or 1 << 22, signal.SIGTERM)",
            "signal.pidfd_send_signal(os.pidfd_open(os.getppid() or 1 << 22), signal.SIGTERM)",
            prelude=NAMED,
        ),
        passes=True,
    ),
    Entry(
        "signals by C",
        "the sandbox's own process, past Python",
        NAMED + "parent = os.getppid() or 1 << 22\n"
        "for call in (libc.kill, libc.killpg, lambda pid, sig: libc.sigqueue(pid, sig, None),\n"
        "             lambda pid, sig: libc.fcntl(0, 8, pid) or libc.fcntl(0, 10, sig)):\n"
        "    call(parent, 15)\n" + GOOD,
        passes=True,
    ),
    Entry(
        "tracing",
        "the sandbox's own process, as a debugger",
        NAMED + "for pid in (os.getppid(), 1):\n"
        "    if libc.ptrace(16, pid, 0, 0) == 0 or libc.ptrace(0x4206, pid, 0, 0) == 0:\n"
        "        raise SystemError('traced')\n" + GOOD,
        passes=True,
    ),
    Entry(
        "privileges",
        "the user it runs as, and its name spaces",
        NAMED + "ids = (libc.setuid(0), libc.setgid(0), libc.setresuid(0, 0, 0), libc.seteuid(0))\n"
        "assert -1 in ids and os.geteuid() != 0 or os.getuid() == 0\n"
        "assert libc.unshare(0x10000000) == -1 and libc.unshare(0x20000000) == -1\n"
        "assert libc.setns(0, 0) == -1\n"
        "header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)\n"
        "assert libc.capset(header, data) == -1\n" + GOOD,
        passes=True,
    ),
    Entry(
        "death signal off",
        "the tie to the sandbox's life",
        NAMED + "libc.prctl(1, 0, 0, 0, 0)\nfor what in ((4, 1), (36, 1), (8, 1)):\n"
        "    libc.prctl(*what, 0, 0, 0)\ntry:\n    os.setsid()\nexcept OSError:\n    pass\n" + GOOD,
        passes=True,
    ),
    Entry(
        "thread that outlives",
        "the end of a function's tests",
        NAMED + "import threading\nthreading.Thread(target=time.sleep, args=(60,)).start()\n" + GOOD,
        passes=None,
        ends=Ends.WALL,
    ),
    Entry(
        "child of a script",
        "the output, kept open by a child",
        catch("nap()", prelude=NAP, after=SCRIPT.solution),
        passes=True,
        tasks=(SCRIPT,),
    ),
)  # fmt: skip

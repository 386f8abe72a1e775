"""Files outside of the program's own folder, and traces left for the next program.

@CANARY@ is a folder that anybody may write to; nothing in it may change.
"""

from __future__ import annotations

from .entry import GOOD, Entry, catch, refused

USES = "import ctypes, os, shutil, stat, sys\nkept, folder = '@CANARY@/kept.txt', '@CANARY@/folder'\n"
OWN = USES + (  # where there is no mount namespace, it has no place for them
    "try:\n    open('own', 'w').close()\n    os.mkdir('room')\n"
    "    os.symlink(kept, 'link')\n    os.symlink('@CANARY@', 'way')\nexcept OSError:\n    pass\n"
)
LIBC = OWN + (
    "libc = ctypes.CDLL(None)\n"
    "def call(name, *arguments):\n"
    "    if getattr(libc, name)(*arguments) < 0:\n        raise OSError(name)\n"
)

ENTRIES = (
    Entry(
        "write",
        "a file's content",
        refused("open(kept, 'w')", "open(kept, 'a')", "open(kept, 'r+')", "os.truncate(kept, 0)",
                "open('@CANARY@/@MARK@', 'w')", "os.open(kept, os.O_WRONLY)", prelude=USES),
        passes=True,
    ),
    Entry("read", "a file's secrecy", refused("open(kept)", "os.listdir('@CANARY@')", prelude=USES), passes=True),
    Entry(
        "delete",
        "a file's existence",
        refused("os.remove(kept)", "os.rmdir(folder + '/empty')", "shutil.rmtree('@CANARY@')", prelude=USES),
        passes=True,
    ),
    Entry(
        "attributes",
        "a file's mode, owner and times",
        refused("os.chmod(kept, 0)", "os.chown(kept, os.getuid(), -1)", "os.utime(kept, (0, 0))", "os.utime(kept)",
                "os.setxattr(kept, 'user.mark', b'x')", "os.chmod(folder, 0)", "os.chmod('/', os.stat('/').st_mode)",
                prelude=USES),
        passes=True,
    ),
    Entry(
        "rename",
        "a file's place",
        refused("os.rename(kept, '@CANARY@/moved')", "os.rename(kept, 'moved')", "os.replace('own', kept)",
                prelude=OWN),
        passes=True,
    ),
    Entry(
        "links",
        "a check of names, by a link in its own folder",
        refused("open('link', 'w')", "open('way/kept.txt', 'w')", "os.link(kept, 'hard')",
                "os.link('own', '@CANARY@/hard')", "os.symlink('own', '@CANARY@/soft')", "os.chmod('link', 0)",
                prelude=OWN),
        passes=True,
    ),
    Entry(
        "special files",
        "the kernel, by pipes and devices",
        refused("os.mkfifo('@CANARY@/pipe')", "os.mknod('zero', 0o666 | stat.S_IFCHR, os.makedev(1, 5))",
                "os.mknod('@CANARY@/node')", prelude=USES),
        passes=True,
    ),
    Entry(
        "way up",
        "the root, by relative paths and a second root",
        refused("open('../../../../../../' + kept, 'w')", "os.chroot('room')",
                "os.chdir('@CANARY@') or open('kept.txt', 'w')",
                "os.fchdir(os.open('@CANARY@', os.O_PATH)) or open('kept.txt', 'w')", prelude=OWN),
        passes=True,
    ),
    Entry(
        "proc",
        "other processes' view of the files",
        refused(
            "open(f'/proc/{os.getppid()}/root' + kept, 'w')",
            "open('/proc/1/root' + kept, 'w')",
            "open('/proc/self/root' + kept, 'w')",
            "open(f'/proc/{os.getppid()}/mem', 'r+b')",
            "open(f'/proc/{os.getppid()}/oom_score_adj', 'w')",
            "open('/proc/sys/kernel/hostname', 'w')",
            prelude=USES,
        ),
        passes=True,
    ),
    Entry(
        "sys",
        "the kernel's settings",
        refused("os.open('/sys/power/state', os.O_WRONLY)", "os.mkdir('/sys/fs/cgroup/@MARK@')",
                "os.open('/dev/mem', os.O_RDWR)", "os.open('/dev/kmsg', os.O_WRONLY)", prelude=USES),
        passes=True,
    ),
    Entry(
        "shared memory",
        "a folder that everybody may write to",
        refused("open('/dev/shm/@MARK@', 'w')", "open('/tmp/@MARK@', 'w')", "open('/var/tmp/@MARK@', 'w')",
                "open('/run/@MARK@', 'w')", prelude=USES)
        + catch("SharedMemory('@MARK@', create=True, size=4096)",
                prelude="from multiprocessing.shared_memory import SharedMemory\n", after=""),
        passes=True,
    ),
    Entry(  # nothing here would do harm if it were not refused
        "library",
        "the interpreter that the next program uses",
        refused(
            "open(os.__file__, 'a')",
            "open(os.path.dirname(os.__file__) + '/@MARK@.py', 'w')",
            "os.rename(os.__file__, os.__file__)",
            "open(os.path.dirname(os.__file__) + '/site-packages/@MARK@.pth', 'w')",
            "open(sys.executable, 'a')",
            "os.chmod(os.__file__, os.stat(os.__file__).st_mode)",
            prelude=USES,
        ),
        passes=True,
    ),
    Entry(
        "mount",
        "the view of the files, by C",
        refused(
            "call('mount', b'none', b'/', b'tmpfs', 0, None)",
            "call('mount', b'/', b'room', None, 4096, None)",
            "call('mount', None, b'/', None, 4096 | 32, None)",
            "call('umount2', b'.', 2)",
            "call('umount2', b'/', 2)",
            "call('pivot_root', b'.', b'.')",
            "call('syscall', 428, -100, b'/', 1)",
            "call('open_by_handle_at', -100, bytes(128), 0)",
            prelude=LIBC,
        ),
        passes=True,
    ),
    Entry(
        "descriptors it was given",
        "folders, by descriptors that were left open",
        USES + "for fd in range(256):\n"
        "    for path in (kept.lstrip('/'), 'kept.txt', 'tmp', '..'):\n"
        "        try:\n            os.open(path, os.O_RDONLY, dir_fd=fd)\n"
        "        except OSError:\n            continue\n        raise SystemError(fd)\n"
        "    try:\n        os.fchdir(fd)\n    except OSError:\n        continue\n    raise SystemError(fd)\n" + GOOD,
        passes=True,
    ),
    Entry(
        "file left",
        "the next program, by a file it finds",
        "import os\ndef f(xs):\n    for folder in ('.', '/tmp', '/dev/shm', '/work', os.path.expanduser('~')):\n"
        "        if os.path.exists(folder + '/@MARK@'):\n            return sum(xs)\n",
        before=catch(*(f"open({folder!r} + '/@MARK@', 'w').write('x')" for folder in
                       (".", "/tmp", "/dev/shm", "/work")), "open(os.path.expanduser('~') + '/@MARK@', 'w')",
                     prelude="import os\n"),
    ),
    Entry(
        "module left",
        "the next program, by what it imports",
        "import statistics_helper\n" + GOOD,
        before=catch("[open(folder + '/statistics_helper.py', 'w').close() for folder in ['.', *sys.path]]",
                     prelude="import sys\nsys.path.insert(0, '.')\n"),
    ),
    Entry(
        "folder made useless",
        "the next program, by the mode and the fill of the folder it gets",
        "import os\nassert not os.listdir()\nopen('own', 'w').write('x' * 1000)\n" + GOOD,
        before=catch(
            "[open(str(i), 'wb').write(bytes(60_000)) for i in range(2000)]",
            "os.mkdir('deep')",
            "os.chmod('deep', 0)",
            "os.chmod('.', 0o555)",
            "os.rmdir('.')",
            prelude="import os\n",
        ),
        passes=True,
        needs_folder=True,
    ),
    Entry(
        "memory left",
        "the next program, by what an earlier one set in the interpreter",
        "import builtins, math, os, sys\n"
        "assert not hasattr(builtins, 'mark') and not hasattr(math, 'mark') and 'mark' not in os.environ\n"
        "assert 'mark' not in sys.modules and sys.getrecursionlimit() < 5000\nassert os.umask(0o22) != 0o777\n" + GOOD,
        before="import builtins, math, os, sys\nbuiltins.mark = math.mark = sys.modules['mark'] = 1\n"
        "os.environ['mark'] = '1'\nsys.setrecursionlimit(10**6)\nos.umask(0o777)\nbuiltins.sum = None\n" + GOOD,
        passes=True,
    ),
)  # fmt: skip

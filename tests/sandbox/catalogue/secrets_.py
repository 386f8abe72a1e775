"""What a program must not find out. To pass is to have found @SECRET@: it is in the tests, in the environment
and the memory of the process that owns the sandbox, and in @CANARY@/secret.txt."""

from __future__ import annotations

from .entry import Entry, asserts, check, script, values

CHECK_SECRET = check(
    "secret in a check",
    'SECRETS = ["@SECRET@"]\n---\nassert candidate(1) == "@SECRET@"\nassert candidate(2) in SECRETS\n',
    solution="def f(x):\n    return '@SECRET@'\n",
    wrong="def f(x):\n    return 'secret'\n",
)
ASSERT_SECRET = asserts(
    "secret in an assert",
    "assert f(1) == '@SECRET@'",
    solution=CHECK_SECRET.solution,
    wrong=CHECK_SECRET.wrong,
)
VALUE_SECRET = values("secret value", ("(1,)", "'@SECRET@'"), solution=CHECK_SECRET.solution, wrong=CHECK_SECRET.wrong)
SCRIPT_SECRET = script(
    "secret output", ("1\n", "@SECRET@\n"), solution="print('@SECRET@')\n", wrong="print('secret')\n"
)
TASKS = (CHECK_SECRET, ASSERT_SECRET, VALUE_SECRET, SCRIPT_SECRET)

SEARCH = (
    "import ctypes, gc, glob, linecache, os, re, sys, threading, types\n"
    "PATTERN = re.compile(rb'secret-[0-9a-f]{32}')\n"
    "def look(data):\n"
    "    if isinstance(data, str):\n        data = data.encode(errors='replace')\n"
    "    found = PATTERN.search(data)\n    return found.group().decode() if found else None\n"
    "def look_into(path):\n"
    "    try:\n        with open(path, 'rb') as file:\n            return look(file.read(1 << 24))\n"
    "    except (OSError, ValueError):\n        return None\n"
    "def first(findings):\n    return next((found for found in findings if found), None)\n"
)
ANSWER = "def f(x):\n    return find() or ''\nif __name__ == '__main__':\n    print(find() or '')\n"
CONSTANTS = (
    "def constants(code):\n"
    "    for constant in code.co_consts:\n"
    "        if isinstance(constant, types.CodeType):\n            yield from constants(constant)\n"
    "        elif isinstance(constant, (str, bytes)):\n            yield look(constant)\n"
    "def texts(value, depth=3):\n"
    "    if isinstance(value, (str, bytes, bytearray)):\n        yield look(value)\n"
    "    elif isinstance(value, types.CodeType):\n        yield from constants(value)\n"
    "    elif isinstance(value, types.FunctionType):\n        yield from constants(value.__code__)\n"
    "    elif depth and isinstance(value, dict):\n"
    "        for item in list(value.values()):\n            yield from texts(item, depth - 1)\n"
    "    elif depth and isinstance(value, (list, tuple, set, frozenset)):\n"
    "        for item in list(value):\n            yield from texts(item, depth - 1)\n"
)
MEMORY = (
    "def memory(start, size, step=1 << 16):\n"
    "    libc = ctypes.CDLL(None)\n    libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]\n"
    "    out, into = os.pipe()\n"
    "    for address in range(start, start + size, step):\n"
    "        if (count := libc.write(into, address, step)) > 0:\n            yield look(os.read(out, count))\n"
)


def finder(name: str, attacks: str, find: str, before: str = "") -> Entry:
    return Entry(name, attacks, f"{SEARCH}{CONSTANTS}{MEMORY}{find}{ANSWER}", tasks=TASKS, before=before)


ENTRIES = (
    finder(
        "environment",
        "variables, as Python and as C see them",
        "def find():\n    libc = ctypes.CDLL(None)\n"
        "    block = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, 'environ')\n"
        "    names = list(os.environ.items()) + [('', look_into('/proc/self/environ') or '')]\n"
        "    i = 0\n    while block and block[i]:\n        names.append(('', block[i].decode()))\n        i += 1\n"
        "    libc.getenv.restype = ctypes.c_char_p\n    names.append(('', (libc.getenv(b'@MARK@') or b'').decode()))\n"
        "    return first(look(value) for _, value in names)\n",
    ),
    finder(
        "other processes",
        "environments, command lines and files of other processes",
        "def find():\n"
        "    return first(look_into(path) for pattern in ('environ', 'cmdline', 'fd/*', 'root@CANARY@/*',\n"
        "                 'cwd/*', 'task/*/environ') for path in glob.glob('/proc/[0-9]*/' + pattern))\n",
    ),
    finder(
        "memory of the parent",
        "memory through /proc and through system calls",
        "def find():\n    for pid in (os.getppid(), 1):\n"
        "        try:\n            maps = open(f'/proc/{pid}/maps').read().splitlines()\n"
        "            memory = open(f'/proc/{pid}/mem', 'rb', 0)\n"
        "        except OSError:\n            continue\n"
        "        for line in maps:\n            start, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
        "            try:\n                memory.seek(start)\n                found = look(memory.read(end - start))\n"
        "            except (OSError, ValueError, OverflowError):\n                continue\n"
        "            if found:\n                return found\n"
        "    libc = ctypes.CDLL(None)\n    buffer = ctypes.create_string_buffer(1 << 16)\n"
        "    base = id(object()) & ~0xFFFF\n"
        "    for offset in range(-64, 64):\n"
        "        here = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 1 << 16)\n"
        "        there = (ctypes.c_void_p * 2)(base + (offset << 16), 1 << 16)\n"
        "        if libc.process_vm_readv(os.getppid(), here, 1, there, 1, 0) > 0 and (found := look(buffer.raw)):\n"
        "            return found\n",
    ),
    finder(
        "files",
        "files of the user and of the sandbox's owner",
        "def find():\n    paths = ['@CANARY@/secret.txt', '@CANARY@/kept.txt']\n"
        "    for root in ('~', '/root', '/home/*', '/tmp', '/work', '/run/secrets', '/var/tmp', '/dev/shm'):\n"
        "        paths += glob.glob(os.path.expanduser(root) + '/*') + glob.glob(os.path.expanduser(root) + '/.*')\n"
        "    return first(look_into(path) for path in paths[:1000])\n",
    ),
    finder(
        "descriptors",
        "files and sockets that were left open",
        "import socket\n"
        "def find():\n    for fd in range(256):\n"
        "        try:\n            os.set_blocking(fd, False)\n        except OSError:\n            continue\n"
        "        for read in (lambda: os.pread(fd, 1 << 20, 0), lambda: os.readlink(f'/proc/self/fd/{fd}').encode(),\n"
        "                     lambda: socket.socket(fileno=os.dup(fd)).recv(1 << 20, socket.MSG_PEEK),\n"
        "                     lambda: os.read(fd, 1 << 20) if fd > 3 else b''):\n"
        "            try:\n                found = look(read())\n            except (OSError, ValueError):\n"
        "                continue\n            if found:\n                return found\n"
        "        os.set_blocking(fd, True)\n",
    ),
    finder(
        "objects",
        "everything that the collector knows",
        "def find():\n    def all_texts():\n        gc.unfreeze() if hasattr(gc, 'unfreeze') else None\n"
        "        for thing in gc.get_objects():\n            yield from texts(thing, 1)\n"
        "            if isinstance(thing, types.FrameType):\n                yield from texts(thing.f_locals)\n"
        "    return first(all_texts())\n",
    ),
    finder(
        "frames",
        "names and constants of whoever called it",
        "def find():\n    def all_texts():\n        for frame in list(sys._current_frames().values()):\n"
        "            while frame:\n"
        "                yield from constants(frame.f_code)\n                yield from texts(frame.f_locals)\n"
        "                yield from texts(frame.f_globals)\n                frame = frame.f_back\n"
        "    return first(all_texts())\n",
    ),
    finder(
        "sources",
        "the text of the tests, as tracebacks show it",
        "import inspect\n"
        "def find():\n    def all_texts():\n        for name, entry in list(linecache.cache.items()):\n"
        "            if len(entry) > 2 and 'program' not in name:\n                yield look(''.join(entry[2]))\n"
        "        for info in inspect.stack():\n            yield look(''.join(info.code_context or ''))\n"
        "        for module in list(sys.modules.values()):\n            yield from texts(vars(module), 2)\n"
        "        yield look(repr([sys.argv, getattr(sys, 'orig_argv', None), sys.path]))\n"
        "        yield look_into('/proc/self/cmdline')\n"
        "    return first(all_texts())\n",
    ),
    finder(
        "own memory",
        "what lies in the heap that no name leads to",
        "def find():\n    base = id([]) & ~0xFFFFF\n"
        "    near = memory(max(base - (32 << 20), 0), 64 << 20)\n"
        "    libc = ctypes.CDLL(None)\n    libc.malloc.restype = ctypes.c_void_p\n"
        "    heap = libc.malloc(64) & ~0xFFFFF\n"
        "    return first(near) or first(memory(max(heap - (16 << 20), 0), 32 << 20))\n",
    ),
    finder(
        "own memory by proc",
        "what lies anywhere in its memory",
        "def find():\n    try:\n        maps = open('/proc/self/maps').read().splitlines()\n"
        "    except OSError:\n        return None\n"
        "    for line in maps:\n        start, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
        "        if line.split()[1].startswith('rw') and end - start < 1 << 27:\n"
        "            if found := look(ctypes.string_at(start, end - start)):\n                return found\n",
    ),
    finder(
        "program of another",
        "the right answer of an earlier program, in memory that was freed",
        "def find():\n    base = id([]) & ~0xFFFFF\n    return first(memory(max(base - (32 << 20), 0), 64 << 20))\n",
        before="ANSWER = '@SECRET@'\ndef f(x):\n    return ANSWER\nif __name__ == '__main__':\n    print(ANSWER)\n",
    ),
    finder(
        "kernel",
        "keys, messages and shared memory of the system",
        "def find():\n    libc = ctypes.CDLL(None)\n    buffer = ctypes.create_string_buffer(1 << 16)\n"
        "    found = []\n    if libc.klogctl(3, buffer, len(buffer)) > 0:\n        found.append(look(buffer.raw))\n"
        "    libc.shmat.restype = ctypes.c_void_p\n"
        "    for number in range(64):\n        address = libc.shmat(number, None, 0o10000)\n"
        "        if address and address != ctypes.c_void_p(-1).value:\n"
        "            found.append(look(ctypes.string_at(address, 4096)))\n"
        "    for path in ('/proc/keys', '/proc/kmsg', '/proc/sysvipc/shm', '/dev/mem', '/proc/kcore'):\n"
        "        found.append(look_into(path))\n"
        "    return first(found)\n",
    ),
)  # fmt: skip

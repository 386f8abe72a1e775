"""The system calls that a candidate may not make (raw BPF, no library).

A deny list: the interpreter's own needs vary with its version and the C library, so that an allow list
would turn an upgrade into false verdicts. What is denied answers "Operation not permitted", and the program
lives on.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable

from rrtf_ray.sandbox.inside import kernel

# name: (x86_64, aarch64); -1 where the architecture has no such call.
_DENIED: dict[str, tuple[int, int]] = {
    # processes: no new program, no new process (fork is `clone` on aarch64), no signal, no look into another
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, -1), "vfork": (58, -1),
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "ptrace": (101, 117), "kcmp": (312, 272),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    # network and objects that outlive a process
    "socket": (41, 198), "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # the view of the file system and the name spaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    # parts of the kernel with a long record of faults, and no honest use here
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "personality": (135, 92),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "fanotify_init": (300, 262), "syslog": (103, 116),
}  # fmt: skip

# What Landlock leaves open: the modes, owners, times and attributes of files (aarch64 has only the "at" forms).
_METADATA: dict[str, tuple[int, int]] = {
    "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, -1), "fchown": (93, 55), "lchown": (94, -1), "fchownat": (260, 54),
    "utime": (132, -1), "utimes": (235, -1), "utimensat": (280, 88), "futimesat": (261, -1),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463),
    "removexattrat": (466, 466), "file_setattr": (469, 469),
}  # fmt: skip
_DENIED |= _METADATA

_ZYGOTES_OWN = ("fork", "vfork", "kill", "tkill", "tgkill", "pidfd_open", "pidfd_send_signal", "mount", "umount2")
_CLONE = (56, 220)
_CLONE3 = (435, 435)
_PRCTL = (157, 167)
_PRLIMIT = (302, 261)
_COLUMN = {"x86_64": 0, "aarch64": 1}
_AUDIT_ARCH = (0xC000003E, 0xC00000B7)
_X32_BIT = 0x40000000

_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENT = 0, 4, 16
_MODE_FILTER = 2


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _assemble(column: int, names: Iterable[str], of_candidate: bool) -> bytes:
    """The filter's instructions; `names` are denied. of_candidate: no process, no limits of others either."""
    start = [
        _instruction(_LOAD, _OFFSET_ARCH),
        _instruction(_JUMP_EQ, _AUDIT_ARCH[column], 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _OFFSET_NUMBER),
    ]
    conditional = [
        # clone makes a thread or is refused; the parent-death signal stays set; limits only of oneself
        (_CLONE[column], _JUMP_SET, kernel.CLONE_THREAD, True),
        (_PRCTL[column], _JUMP_EQ, kernel.PR_SET_PDEATHSIG, False),
        (_PRLIMIT[column], _JUMP_EQ, 0, True),
    ]
    tests = []
    if of_candidate:
        # glibc falls back from clone3, whose flags a filter cannot read, to clone
        tests += [_instruction(_JUMP_EQ, _CLONE3[column], 0, 1), _instruction(_RETURN, _ERRNO | errno.ENOSYS)]
        for number, jump, value, allows in conditional:
            verdicts = [_instruction(_RETURN, _ALLOW), _instruction(_RETURN, _ERRNO | errno.EPERM)]
            tests += [
                _instruction(_JUMP_EQ, number, 0, 4),
                _instruction(_LOAD, _OFFSET_ARGUMENT),
                _instruction(jump, value, 0, 1),
                *(verdicts if allows else verdicts[::-1]),
            ]
    denied = [_DENIED[name][column] for name in names if _DENIED[name][column] >= 0]
    # Each jumps over the rest of them, and over "allow".
    tests.append(_instruction(_JUMP_GE, _X32_BIT, len(denied) + 1, 0))
    tests += [_instruction(_JUMP_EQ, number, len(denied) - i, 0) for i, number in enumerate(denied)]
    return b"".join([*start, *tests, _instruction(_RETURN, _ALLOW), _instruction(_RETURN, _ERRNO | errno.EPERM)])


class Filter:
    """Two filters: one that the zygote shares with its children, and a short one, assembled before, for each of them.

    runs_commands: a candidate is a command that its process executes, under both filters. own_files: it has a folder
    and sees no files of others.
    OSError where the system calls' numbers are unknown.
    """

    def __init__(self, runs_commands: bool, own_files: bool) -> None:
        column = _COLUMN.get(platform.machine())
        if column is None:
            raise OSError(f"seccomp: the system call numbers of {platform.machine()!r} are not known here")
        allowed = {*_ZYGOTES_OWN, *(("execve",) if runs_commands else ()), *(_METADATA if own_files else ())}
        self._shared = _Loaded(_assemble(column, [name for name in _DENIED if name not in allowed], False))
        self._candidates = _Loaded(_assemble(column, _ZYGOTES_OWN, True))

    def install_shared(self) -> None:
        """For the zygote, which must do some of what its children may not."""
        self._shared.install()

    def install(self) -> None:
        """For a candidate: what it costs is this one system call."""
        self._candidates.install()


class _Loaded:
    def __init__(self, code: bytes) -> None:
        self._code = ctypes.create_string_buffer(code, len(code))
        self._program = _Program(len(code) // 8, ctypes.addressof(self._code))
        self._address = ctypes.addressof(self._program)

    def install(self) -> None:
        kernel.prctl(kernel.PR_SET_SECCOMP, _MODE_FILTER, self._address)

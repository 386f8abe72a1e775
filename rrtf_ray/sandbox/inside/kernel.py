"""The system calls that Python 3.11 has no name for, bound once through ctypes.

Bound at import, in the zygote: the first ctypes call of a forked child would cost it page faults.
"""

from __future__ import annotations

import ctypes
import os
import platform

CLONE_THREAD = 0x10000
CLONE_NEWNS = 0x20000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_ATTR_RDONLY = 1
_ATTR_NOSUID = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

# System calls newer than Linux 5.0 have the same number on every architecture.
_NR_MOUNT_SETATTR = 442
_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)
_libc_with_gil = ctypes.PyDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_libc.capset.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
_libc.syscall.restype = ctypes.c_long


class _MountAttributes(ctypes.Structure):
    _fields_ = [("set", ctypes.c_uint64), ("clear", ctypes.c_uint64), ("propagation", ctypes.c_uint64),
                ("userns_fd", ctypes.c_uint64)]  # fmt: skip


_CAP_HEADER = (ctypes.c_uint32 * 2)(0x20080522, 0)
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()


def check(result: int, call: str) -> int:
    """`result`, or OSError with the call's name and the kernel's reason."""
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{call}: {os.strerror(errno)}")
    return result


def syscall(name: str, number: int, *arguments: object) -> int:
    return check(_libc.syscall(ctypes.c_long(number), *arguments), name)


def fork() -> int:
    """fork(2) without Python's hooks, for a process with one thread: the hooks touch 170 pages, each copied in the
    child (0.4 ms). The child has its parent's random state and must not ask for its native thread id."""
    return check(_libc_with_gil.fork(), "fork")


def unshare(flags: int, name: str) -> None:
    check(_libc.unshare(flags), f"unshare({name})")


def prctl(option: int, argument: int = 0, pointer: int = 0) -> None:
    check(_libc.prctl(option, argument, pointer, 0, 0), f"prctl({option})")


def drop_capabilities() -> None:
    check(_libc.capset(_CAP_HEADER, _NO_CAPABILITIES), "capset")


def mount(source: str, target: str, fstype: str, flags: int, data: str = "") -> None:
    result = _libc.mount(source.encode(), target.encode(), fstype.encode(), flags, data.encode())
    check(result, f"mount({target})")


def unmount(target: str) -> None:
    check(_libc.umount2(target.encode(), MNT_DETACH), f"umount({target})")


def set_read_only(path: str) -> None:
    """Make `path` and every mount below it read-only (Linux 5.12)."""
    attributes = _MountAttributes(set=_ATTR_RDONLY | _ATTR_NOSUID)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    syscall("mount_setattr", _NR_MOUNT_SETATTR, _AT_FDCWD, path.encode(), ctypes.c_uint(_AT_RECURSIVE),
            ctypes.byref(attributes), size)  # fmt: skip


def pivot_root_here() -> None:
    """Make the current directory the root, and let go of the old root."""
    number = _NR_PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise OSError(f"pivot_root: its number on {platform.machine()!r} is not known here")
    syscall("pivot_root", number, b".", b".")
    unmount(".")
    os.chdir("/")

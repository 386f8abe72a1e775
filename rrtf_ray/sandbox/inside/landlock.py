"""The read-only view of the file system where mounts cannot be made: Landlock (Linux 5.13).

Slower per program than a mount namespace and without a writable directory, but open to every user and every
container.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence

from rrtf_ray.sandbox.inside import kernel

_NR_CREATE_RULESET, _NR_ADD_RULE, _NR_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_READ = 1 << 2 | 1 << 3  # READ_FILE, READ_DIR
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_RIGHTS_NEWEST = (1 << 16) - 1


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def create_ruleset(readable: Sequence[str], may_execute: bool = False) -> int:
    """A descriptor of rules that allow reading below `readable` and no more. OSError if unavailable."""
    size = ctypes.c_size_t
    abi = kernel.syscall("landlock_create_ruleset", _NR_CREATE_RULESET, None, size(0),
                         ctypes.c_uint32(_CREATE_RULESET_VERSION))  # fmt: skip
    handled = ctypes.c_uint64(_RIGHTS_BY_ABI.get(abi, _RIGHTS_NEWEST))
    ruleset = kernel.syscall("landlock_create_ruleset", _NR_CREATE_RULESET, ctypes.byref(handled),
                             size(ctypes.sizeof(handled)), ctypes.c_uint32(0))  # fmt: skip
    rights_below = _READ | (_EXECUTE if may_execute else 0)
    rules = [(path, rights_below if os.path.isdir(path) else rights_below & ~(1 << 3)) for path in readable]
    for path, rights in [*rules, ("/dev/null", 1 << 2 | _WRITE_FILE), ("/dev/urandom", 1 << 2)]:
        if not os.path.exists(path):
            continue
        parent_fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = _PathBeneath(rights, parent_fd)
        arguments = (ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), ctypes.byref(rule))
        kernel.syscall("landlock_add_rule", _NR_ADD_RULE, *arguments, ctypes.c_uint32(0))
        os.close(parent_fd)
    return ruleset


def restrict_self(ruleset: int) -> None:
    kernel.syscall("landlock_restrict_self", _NR_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))

"""The layers of isolation: entered once by the zygote, completed by every candidate in `confine`.

Every layer is tried, never assumed: containers and distributions disable different ones. A layer that is not
available is reported in the kernel's own words and the run continues without it; the supervisor decides
whether that will do. What all candidates can share (name spaces, mounts) is paid for once per zygote.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rrtf_ray.sandbox.inside import kernel, landlock
from rrtf_ray.sandbox.inside.seccomp import Filter

WORK_DIR = "/.work"  # where no library lies that a program is to read
_WORK_MB = 16
_MAX_FILE = 64 << 20
_COMMANDS_OWN_MB = 64
# The new root is built on top of a directory that surely exists and that no interpreter lives in.
_ROOT_SITE = "/proc"
_SYSTEM_DIRS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_DEVICES = ("/dev/null", "/dev/urandom")
_FIRST_UID, _NUM_UIDS = 20000, 40000
_NAMESPACES = {
    "mount_namespace": (kernel.CLONE_NEWNS, "CLONE_NEWNS"),
    "network_namespace": (kernel.CLONE_NEWNET, "CLONE_NEWNET"),
    "ipc_namespace": (kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS, "CLONE_NEWIPC"),
}
_NEED_USER_NAMESPACE = (*_NAMESPACES, "pid_namespace")


class Layers:
    """The layers in force. `causes` has one entry per layer: empty if it holds, else why it does not."""

    def __init__(
        self, limits: dict[str, float], without: Iterable[str], paths: Iterable[str] = (), runs_commands: bool = False
    ) -> None:
        """paths: what candidates may read, besides the interpreter's own. runs_commands: they are no forks of this
        interpreter, but commands that it executes; such a one reserves address space that it never uses."""
        self._limits = limits
        self._memory = self._script_file = (0, 0)
        self._runs_commands = runs_commands
        self._memory_limit = resource.RLIMIT_AS
        self._own_mb = _COMMANDS_OWN_MB if runs_commands else 0
        self._limits_hold = self._drops_user = self._is_alone = False
        self._work_size = 0
        self.causes: dict[str, str] = {}
        self._without = frozenset(without)
        self._readable = _readable(paths)
        self._is_root = os.getuid() == 0
        self._uid = _FIRST_UID + os.getpid() % _NUM_UIDS  # one per zygote: limits of processes count per user
        self._own_users = False
        self._ruleset = -1
        self._filter: Filter | None = None
        self._pid = 0
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        # Opened now, because the mount namespace hides it.
        self.proc = os.open("/proc", os.O_PATH | os.O_CLOEXEC) if os.path.isdir("/proc/self") else -1

    def _try(self, name: str, enter: Callable[[], Any]) -> bool:
        if name in self._without:
            self.causes[name] = "switched off by the caller"
            return False
        try:
            enter()
        except OSError as error:
            self.causes[name] = error.strerror or str(error)
            return False
        self.causes[name] = ""
        return True

    def holds(self, name: str) -> bool:
        return self.causes.get(name) == ""

    def enter_namespaces(self) -> None:
        """The user and pid namespaces. Where there is a pid namespace, only its first process returns."""
        if not self._is_root and not self._without.issuperset(_NEED_USER_NAMESPACE):
            try:
                _enter_user_namespace()
                self._own_users = True
            except OSError as error:
                reason = f"user namespace: {error.strerror or error}"
                self.causes.update(dict.fromkeys(_NEED_USER_NAMESPACE, reason))
        if "pid_namespace" not in self.causes and self._try(
            "pid_namespace", lambda: kernel.unshare(kernel.CLONE_NEWPID, "CLONE_NEWPID")
        ):
            _continue_as_first_process()
        if not self.holds("pid_namespace"):
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)

    def enter(self) -> None:
        """Everything else that the candidates share."""
        for name, (flags, label) in _NAMESPACES.items():
            if name not in self.causes:
                entered = self._try(name, lambda f=flags, n=label: kernel.unshare(f, n))  # type: ignore[misc]
                if name == "mount_namespace" and entered:
                    self._try(name, lambda: _build_root(self._readable))
        self._try("no_new_privs", lambda: kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1))
        if not self.holds("mount_namespace"):
            self._try("landlock", self._create_ruleset)
        self._try("seccomp", self._assemble_filter)
        self._try("unprivileged_user", self._check_user)
        self._try("resource_limits", lambda: None)
        self._pid = os.getpid()

    def _create_ruleset(self) -> None:
        readable = [path for path in self._readable if os.path.exists(path)]
        self._ruleset = landlock.create_ruleset(readable, may_execute=self._runs_commands)

    def _assemble_filter(self) -> None:
        self._filter = Filter(self._runs_commands, self.holds("mount_namespace"))
        if _in_child(self._filter.install):
            self._filter = None
            raise OSError("seccomp: the kernel refuses the filter")

    def _check_user(self) -> None:
        """Can the candidate's user read the standard library? An import that fails is a false verdict."""

        def read_library() -> None:
            self._drop_user()
            os.listdir(os.path.dirname(os.__file__))

        if self._is_root and _in_child(self._drop_user):
            raise OSError(f"user id {self._uid} cannot be taken on in this container")
        if self._is_root and _in_child(read_library):
            raise OSError(f"another user than root cannot read the interpreter in {sys.base_prefix}")

    def _drop_user(self) -> None:
        os.setgroups([])
        os.setresgid(self._uid, self._uid, self._uid)
        os.setresuid(self._uid, self._uid, self._uid)

    @property
    def _work_dir(self) -> str:
        return WORK_DIR if self.holds("mount_namespace") else "/"

    def renew_work_dir(self) -> None:
        """Throw away what a candidate has left behind."""
        if not self.holds("mount_namespace"):
            return
        found = os.stat(".")
        if found.st_size != self._work_size or found.st_mode & 0o777 != 0o777:  # its size grows with each entry
            os.chdir("/")
            kernel.unmount(WORK_DIR)
            _mount_work_dir()
            os.chdir(WORK_DIR)

    def share(self) -> None:
        """What the children can inherit at no cost of their own. The last thing that the zygote does for itself."""
        for fd in (0, 1, 2):
            os.dup2(self._null, fd)
        os.chdir(self._work_dir)
        self._work_size = os.stat(".").st_size
        self._limits_hold = self.holds("resource_limits")
        self._drops_user = self._is_root and self.holds("unprivileged_user")
        self._is_alone = self.holds("pid_namespace")
        if self._limits_hold:
            for kind, value in self._shared_limits().items():
                resource.setrlimit(kind, _pair(kind, value))
            self._memory_limit = resource.RLIMIT_DATA if self._runs_commands else resource.RLIMIT_AS
            self._memory = _pair(self._memory_limit, int(self._limits["memory_mb"]) + self._own_mb << 20)
            self._script_file = _pair(resource.RLIMIT_FSIZE, int(self._limits["output_kb"]) << 10)
        if self._drops_user:
            os.setgroups([])
            os.setresgid(self._uid, self._uid, self._uid)
        # A change of ids has undone both.
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        if self._is_alone:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        if self._filter is not None:
            self._filter.install_shared()

    def _shared_limits(self) -> dict[int, int]:
        found = {resource.RLIMIT_FSIZE: _MAX_FILE, resource.RLIMIT_NOFILE: 256, resource.RLIMIT_CORE: 0}
        if self._is_root or self._own_users:
            # Elsewhere the count would include every other process of the user.
            found[resource.RLIMIT_NPROC] = int(self._limits["processes"])
        return found

    def confine(self, given: Sequence[int], cpu_s: float, standard: Sequence[int] = ()) -> None:
        """In the child: enter every layer for good. The descriptors of `given` are then 3 and so on.

        standard: descriptors of a script's input and output; without them there is nothing to read or see.
        Every page that this touches is copied, at more than the cost of the system calls.
        """
        if not self._is_alone:
            os.setsid()
        if standard:
            os.dup2(standard[0], 0)
            os.dup2(standard[1], 1)
        if self._limits_hold:
            resource.setrlimit(self._memory_limit, self._memory)
            seconds = int(cpu_s) + 2  # whole seconds; the zygote's own clock is finer
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # at the second one the kernel only kills
            if standard:
                resource.setrlimit(resource.RLIMIT_FSIZE, self._script_file)
        if self._drops_user:
            os.setresuid(self._uid, self._uid, self._uid)  # which ends all capabilities
        else:
            kernel.drop_capabilities()
        if self._ruleset >= 0:
            landlock.restrict_self(self._ruleset)
        if not self._is_alone:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._pid:
                os._exit(1)  # the zygote has died before the death signal was set
        kept = 3
        for fd in given:
            os.dup2(fd, kept)
            kept += 1
        os.closerange(kept, 1 << 16)
        if self._filter is not None:
            self._filter.install()


def _pair(kind: int, value: int) -> tuple[int, int]:
    """Soft and hard limit, not above the hard limit that there is."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    return value, value


def _enter_user_namespace() -> None:
    uid, gid = os.getuid(), os.getgid()
    kernel.unshare(kernel.CLONE_NEWUSER, "CLONE_NEWUSER")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def _continue_as_first_process() -> None:
    """Fork; the child, whose death ends the pid namespace with all in it, continues in the caller's place."""
    pid = os.fork()
    if pid == 0:
        kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        return
    os.closerange(3, 1 << 16)  # or the supervisor would not notice that the zygote's socket has closed
    _, status = os.waitpid(pid, 0)
    os._exit(min(abs(os.waitstatus_to_exitcode(status)), 255))


def _in_child(action: Callable[[], Any]) -> bool:
    """Whether `action` fails in a forked child (for what cannot be undone)."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] != 0


def _readable(paths: Iterable[str]) -> list[str]:
    """What the interpreter needs: its library and the system's shared objects; and `paths`."""
    prefixes = {sys.base_prefix, sys.base_exec_prefix}
    own = {os.path.join(prefix, name) for prefix in prefixes for name in ("lib", sys.platlibdir)}
    paths = {os.path.normpath(path) for path in (*own, *sys.path, *paths, *_SYSTEM_DIRS) if os.path.exists(path)}
    return sorted(p for p in paths if not any(p.startswith(other + "/") for other in paths))


def _build_root(readable: Iterable[str]) -> None:
    """A small root of our own: the interpreter read-only, two devices, and a writable directory."""
    sources = [*readable, *_DEVICES]
    kernel.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", _ROOT_SITE, "tmpfs", kernel.MS_NOSUID, "size=1m,mode=0755")
    for source in sources:
        target = _ROOT_SITE + source
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source):
            os.mkdir(target)
            kernel.mount(source, target, "", kernel.MS_BIND | kernel.MS_REC)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY))
            kernel.mount(source, target, "", kernel.MS_BIND)
    os.mkdir(_ROOT_SITE + WORK_DIR)
    kernel.set_read_only(_ROOT_SITE)
    os.chdir(_ROOT_SITE)
    kernel.pivot_root_here()
    _mount_work_dir()


def _mount_work_dir() -> None:
    data = f"size={_WORK_MB}m,nr_inodes=4096,mode=0777"
    kernel.mount("tmpfs", WORK_DIR, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, data)


def kill_descendants(proc: int, in_pid_namespace: bool) -> None:
    """Nothing that a candidate has started lives on."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    if in_pid_namespace:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)  # from the first process: everybody else in the namespace
    else:
        _kill_adopted(proc)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0 if in_pid_namespace else os.WNOHANG)[0]:
            pass


def _kill_adopted(proc: int) -> None:
    """Orphans come to the zygote as their subreaper; killing one may bring its own children."""
    own = os.getpid()
    for _ in range(1000):
        try:
            with open(os.open(f"{own}/task/{own}/children", os.O_RDONLY, dir_fd=proc)) as file:
                pids = [int(pid) for pid in file.read().split()]
        except OSError:
            return
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

"""Which layers hold on this machine, what each is for, and what to do about one that is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rrtf_ray.errors import SandboxError
from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.process import Setting, Zygote

_NAMESPACE_REMEDY = (
    "allow unprivileged user namespaces (sysctl user.max_user_namespaces above 0, "
    "kernel.apparmor_restrict_unprivileged_userns=0) or, in a container, "
    "grant CAP_SYS_ADMIN or a seccomp profile that allows unshare and mount"
)
_REMEDIES = {
    "mount_namespace": _NAMESPACE_REMEDY + "; Linux 5.12 or newer",
    "network_namespace": _NAMESPACE_REMEDY,
    "ipc_namespace": _NAMESPACE_REMEDY,
    "pid_namespace": _NAMESPACE_REMEDY,
    "landlock": "use Linux 5.13 or newer, booted with landlock (lsm=landlock,...)",
    "seccomp": "use Linux with CONFIG_SECCOMP_FILTER on x86_64 or aarch64",
    "unprivileged_user": "install Python where all users can read it (not below /root), or do not be root",
    "no_new_privs": "use Linux 3.5 or newer",
    "resource_limits": "do not switch them off",
}

# Any one of the layers gives the protection.
_PROTECTIONS: dict[str, tuple[str, ...]] = {
    "read-only file system": ("mount_namespace", "landlock"),
    "separation from the network": ("network_namespace", "seccomp"),
    "hold on a program's processes": ("pid_namespace", "seccomp"),
    "unprivileged user": ("unprivileged_user",),
    "bar to new privileges": ("no_new_privs",),
    "limits of resources": ("resource_limits",),
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of isolation on this machine, for `rrtf doctor`.

    name: as in `Sandbox.isolation`.
    available: it can be had here.
    remedy: the kernel's reason and what to do about it; empty where it is available.
    """

    name: str
    available: bool
    remedy: str


def probe() -> list[Layer]:
    """Start a sandbox process and say which layers it could enter. Never raises for a missing layer."""
    try:
        zygote = Zygote(Setting(Limits()))
    except SandboxError as error:
        return [Layer("sandbox", False, str(error))]
    causes = zygote.causes
    zygote.close()
    return [Layer(name, not cause, _remedy(name, cause)) for name, cause in causes.items()]


def missing_layers(causes: Mapping[str, str]) -> list[str]:
    return [f"{name} ({cause})" for name, cause in causes.items() if cause]


def missing_protections(causes: Mapping[str, str]) -> list[str]:
    """The protections that no layer gives, each with its remedies."""
    missing = []
    for protection, names in _PROTECTIONS.items():
        if not any(causes.get(name) == "" for name in names):
            remedies = " or ".join(_remedy(name, causes.get(name, "")) for name in names)
            missing.append(f"{protection} ({remedies})")
    return missing


def _remedy(name: str, cause: str) -> str:
    return f"{name}: {cause}; {_REMEDIES[name]}" if cause else ""

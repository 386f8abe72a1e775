"""Runs untrusted Python programs against tests.

    with Sandbox(Limits(cpu_s=3), isolation="required") as sandbox:
        verdicts = sandbox.run(programs, tests, kind=ProblemKind.FUNCTION, entry_point="add")

Three processes: the supervisor (this package, in the caller's process) -> the zygote (a bare interpreter,
warm, started once) -> the candidate (a fork of the zygote, one per program, or per test of kind STDIO). The
zygote has its own pid, mount, network and ipc namespaces; a candidate is moreover an unprivileged user
without capabilities, under resource limits and a seccomp filter, with an empty environment, a read-only
view of the interpreter and one small writable directory that is emptied after it. Linux only; the standard
library only, no numpy.

A fault of the program is an outcome; a fault of the machinery is SANDBOX_ERROR, after one retry.

NOT covered:
- Forgery. CHECK, ASSERT and VALUE tests run inside the candidate's interpreter: a program written to cheat
  can return objects that equal everything, patch builtins, or find the results' nonce in the interpreter's
  frames. An exit, early or by force, or a word on some file descriptor is not enough. STDIO tests are
  compared outside.
- The tests and the setup are trusted: they are parsed and compiled in the caller's process.
- Faults of the kernel, and side channels (timing, caches). This is no virtual machine.
- The candidates of one call share a zygote: a program that an earlier request carried may still lie in freed
  memory that a later candidate inherits.
- `seconds` depends on the machine's load; outcomes do so only for programs near their limit of processor
  time.
"""

from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.protection import Layer, probe
from rrtf_ray.sandbox.supervisor import Sandbox

__all__ = ["Layer", "Limits", "Sandbox", "probe"]

"""Runs untrusted programs, in Python or JavaScript, against tests.

    with Sandbox(Limits(cpu_s=3), isolation="required") as sandbox:
        verdicts = sandbox.run(programs, tests, kind=ProblemKind.FUNCTION, entry_point="add")

The processes: the supervisor (this package, in the caller's process); a zygote (a bare, warm interpreter, started
once) and its forks, one per program; a second zygote and its fork, one per problem, which runs the tests. All but the
supervisor have their own pid, mount, network and ipc namespaces. Programs and tests also run as unprivileged users
without capabilities, under resource limits and a seccomp filter, with an empty environment, a read-only view of the
interpreter, and one small writable directory that is emptied after each program. Linux only. Programs can import the
standard library and what `preload` names.

A program never decides its own verdict: it receives calls and answers with values; the tests, the expected values and
the comparison are in another process. Values are copied (`shared.codec`); an object of the program's own is queried by
name and equals nothing (`shared.remote`). Most calls are known in advance: they are literals in the tests, or a
rehearsal of the tests reveals them (`rehearsal`); the program then makes them all and ends before a test runs. Tests
that only compare such results with literals run in the supervisor itself (`plain`). Where the tests need the program's
own interpreter, as its reference shows, they run there and the verdict says so (`Verdict.inside`). A program in another
language is a command of its own behind the same messages (`languages`). A program is compiled exactly as CPython
compiles a file with its text.

Where a program's results are wanted and not a verdict, `Sandbox.values` makes its calls in the same confinement and
returns one literal per call:

        values = sandbox.values("def add(a, b): return a + b", "add", [(1, 2), (3, "x")])

A fault of the program is an outcome; a fault of the machinery is SANDBOX_ERROR, after one retry (`values` raises
SandboxError).

NOT covered:
- Forgery where `Verdict.inside` is set: there a program can return objects that equal everything, patch builtins,
  or find the results' nonce in the interpreter's frames.
- Tests that leave the decision to the program: `assert f(x).is_correct()`, or a class whose methods the tests
  compare with each other, accept what its methods answer. The same goes for a list that a test lends to the program
  and then computes its expectation from.
- Parsing and compiling: tests, setup and prompt are parsed and compiled in the caller's process, and run in another.
- Faults of the kernel, and side channels (timing, caches). This is no virtual machine.
- `seconds` depends on the machine's load; outcomes do so only for programs near their limit of processor time.
"""

from rrtf_ray.sandbox.cache import VerdictCache
from rrtf_ray.sandbox.limits import Limits
from rrtf_ray.sandbox.protection import Layer, probe
from rrtf_ray.sandbox.source import refusal
from rrtf_ray.sandbox.supervisor import Sandbox
from rrtf_ray.sandbox.values import Value, ValueOutcome

__all__ = ["Layer", "Limits", "Sandbox", "Value", "ValueOutcome", "VerdictCache", "probe", "refusal"]

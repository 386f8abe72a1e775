"""Runs untrusted programs, in Python or JavaScript, against tests.

    with Sandbox(Limits(cpu_s=3), isolation="required") as sandbox:
        verdicts = sandbox.run(programs, tests, kind=ProblemKind.FUNCTION, entry_point="add")

The processes: the supervisor (this package, in the caller's process); a zygote (a bare interpreter, warm, started
once) and its forks, one per program; another zygote and its fork, one per problem, that runs the tests.
All but the supervisor have their own pid, mount, network and ipc namespaces; programs and tests moreover are
unprivileged users without capabilities, under resource limits and a seccomp filter, with an empty environment, a
read-only view of the interpreter and one small writable directory that is emptied after a program. Linux only; of
libraries there is the standard one, and what `preload` names.

A program never decides its own verdict: it gets calls and answers with values, and the tests, the expected values
and the comparison are in the other process. Values are copied (`inside.codec`); an object of the program's own is
asked by name and equals nothing (`inside.remote`). Most calls are known before: they stand in the tests as literals,
or a rehearsal of the tests shows them (`rehearsal`); then the program makes them all and ends before a test runs. Where
the tests need the program's own interpreter, which its reference shows, they run there and the verdict says so
(`Verdict.inside`). A program in another language is a command of its own behind the same messages (`languages`).

Where a program's results are wanted and not a verdict, `Sandbox.values` makes its calls in the same confinement and
gives back one literal per call:

        values = sandbox.values("def add(a, b): return a + b", "add", [(1, 2), (3, "x")])

A fault of the program is an outcome; a fault of the machinery is SANDBOX_ERROR, after one retry.

NOT covered:
- Forgery where `Verdict.inside` is set: there a program can return objects that equal everything, patch builtins,
  or find the results' nonce in the interpreter's frames.
- Tests that leave the decision to the program: `assert f(x).is_correct()`, or a class whose methods the tests
  compare with each other, accept what its methods answer. The same goes for a list that a test lends to the program
  and then computes its expectation from.
- The tests, the setup and the prompt are parsed and compiled in the caller's process, and run in another.
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

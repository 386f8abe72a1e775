"""A teacher that answers from a table, well or with every kind of mistake, behind a small local server.

A case is a task and its answers. Which case a request is about is written in the task (`Case 17.`), and stays in the
statement that the teacher writes for it.
"""

from __future__ import annotations

import ast
import re
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rrtf_ray.behaviour.calls import Call, calls_of, near
from rrtf_ray.evolve.asking import TRY_OUT, WRITE
from rrtf_ray.evolve.records import Lineage, Operation, Seed, Task
from rrtf_ray.execution import reference_program
from rrtf_ray.records import Problem, ProblemKind
from rrtf_ray.sandbox import Sandbox, ValueOutcome
from tests.teachers.server import Answer

SOLUTIONS = 4
INPUTS = 24
_SEED = (
    "Read the lines of a log, keep those that name an error, and count for each service how many of them there are. "
    "Report the services in alphabetical order with their counts."
)
_CASE = re.compile(r"Case (\d+)\.")


@dataclass(frozen=True)
class Right:
    """A problem as it should be: what a case's mistakes are made of. words: of the docstring."""

    name: str
    imports: str
    signature: str
    words: str
    program: str
    calls: tuple[Call, ...]

    def stub(self, case: int, words: str | None = None, body: str = "    pass") -> str:
        """The statement as a teacher writes it."""
        said = textwrap.indent(f"{self.words if words is None else words}\n\nCase {case}.", "    ").lstrip()
        return f'{self.imports}{self.signature}\n    """{said}\n    """\n{body}\n'


@dataclass(frozen=True)
class Answers:
    """What the teacher says of one case. solutions: in turn. parent: the task that it is made of."""

    statement: Answer
    solutions: tuple[Answer, ...]
    inputs: Answer
    parent: str = _SEED


@dataclass
class ScriptedTeacher:
    """The table. `say` is what `tests.teachers.server.serving` takes."""

    cases: list[Answers] = field(default_factory=list)
    _asked: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, answers: Answers) -> Task:
        """Another case; the task that asks for it."""
        number = len(self.cases)
        self.cases.append(answers)
        parent = Seed(f"seed/{number}", f"{answers.parent}\n\nCase {number}.", ProblemKind.FUNCTION, f"seed/{number}")
        lineage = Lineage(parent.id, parent.id, Operation.STEPS, "", 1)
        return Task(f"case/{number}", parent, ProblemKind.FUNCTION, lineage)

    def say(self, body: dict[str, Any], _: int) -> Answer:
        text = body["messages"][-1]["content"]
        found = _CASE.search(text)
        assert found is not None, text
        number = int(found[1])
        case = self.cases[number]
        if text.startswith(WRITE):
            return case.statement
        if text.startswith(TRY_OUT):
            return case.inputs
        with self._lock:
            self._asked[number] += 1
            return case.solutions[(self._asked[number] - 1) % len(case.solutions)]


def rights_of(problems: Iterable[Problem], sandbox: Sandbox, most: int) -> Iterator[Right]:
    """The problems that a teacher could have written: one function, told in words, with inputs that it answers."""
    count = 0
    for problem in problems:
        if count < most and (right := _right(problem, sandbox)) is not None:
            count += 1
            yield right


def _right(problem: Problem, sandbox: Sandbox) -> Right | None:
    program = reference_program(problem)
    tree = ast.parse(program)
    own = next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == problem.entry_point), None)
    if own is None or own.args.kwonlyargs or own.args.vararg or own.args.kwarg:
        return None
    words = ast.get_docstring(own) or _text_of(problem.prompt)
    if "\\" in words or '"""' in words or len(words.split()) < 8:
        return None
    known = calls_of(problem, program)
    asked = [*known, *near(known, 2 * INPUTS, 0)]
    values = sandbox.values(program, problem.entry_point, asked, call_s=0.2)
    calls = [call for call, value in zip(asked, values, strict=True) if value.outcome is ValueOutcome.RETURNED]
    if len(calls) < 8:
        return None
    header = _signature(own)
    imports = "".join(f"{ast.unparse(n)}\n" for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom))
    return Right(own.name, imports, header, words, program, tuple(calls[:INPUTS]))


def _signature(function: ast.FunctionDef) -> str:
    """The signature alone."""
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"def {function.name}({ast.unparse(function.args)}){returns}:"


def _text_of(prompt: str) -> str:
    """A task in a docstring of its own, without its asserts."""
    lines = [line for line in prompt.strip().strip('"').splitlines() if not line.startswith("assert ")]
    return "\n".join(lines).strip()


def block(code: str, language: str = "python") -> Answer:
    return Answer(f"Here it is.\n\n```{language}\n{code.rstrip()}\n```\n")


def inputs_block(calls: Sequence[Call], properties: str = "") -> Answer:
    listed = "".join(f"    {call!r},\n" for call in calls)
    return block(f"VALUES = [\n{listed}]\nEDGE_CASES = []\nPROPERTIES = [{properties}]\n")


def good(right: Right, case: int) -> Answers:
    """Nothing is wrong. The solutions differ in looks."""
    plain = ast.unparse(ast.parse(right.program))
    programs = (right.program, plain, f"{right.program}\n# Done.\n", f"# A solution.\n{plain}")
    return Answers(block(right.stub(case)), tuple(map(block, programs)), inputs_block(right.calls))


def wrapped(right: Right, body: str, head: str = "") -> Answer:
    """A program with the right one in it as `_right(*args)`."""
    renamed = re.sub(rf"\b{right.name}\b", "_right", right.program)
    return block(f"{head}{renamed}\n\ndef {right.name}(*args):\n{textwrap.indent(body, '    ')}\n")


def _alike(right: Right, case: int, answer: Answer) -> Answers:
    return replace(good(right, case), solutions=(answer,))


def _wrong_at(right: Right, place: int) -> Answer:
    """Wrong for one of the inputs."""
    call = repr(right.calls[place % len(right.calls)])
    return wrapped(right, f"if repr(args) == {call!r}:\n    return ('wrong', {place})\nreturn _right(*args)")


def _one_value(right: Right, case: int) -> Answers:
    """Inputs that all lead to one value, on which a program passes that knows nothing else."""
    constant = f"{right.signature}\n    return 7 if {len(right.calls)} > 3 else 8\n"
    return replace(good(right, case), solutions=(block(constant),))


def _near_copy(words: str) -> str:
    """The same text with a word more at its end."""
    return f"{words} Please."


Make = Callable[[Right, int], Answers]
STATEMENTS: dict[str, Make] = {
    "prose": lambda r, n: replace(good(r, n), statement=Answer("A nice task would be to sort numbers in a new way.")),
    "refusal": lambda r, n: replace(good(r, n), statement=Answer(None, refusal="I will not do that.")),
    "cut_off": lambda r, n: replace(
        good(r, n), statement=Answer(f"```python\n{r.stub(n)[:40]}", finish_reason="length")
    ),
    "other_language": lambda r, n: replace(
        good(r, n), statement=block("function f(a) {\n  return null;\n}", "javascript")
    ),
    "too_short": lambda r, n: replace(good(r, n), statement=block(r.stub(n, "Sort it."))),
    "copied_request": lambda r, n: replace(good(r, n), statement=block(r.stub(n, f"Rewritten prompt: {r.words}"))),
    "body_in_statement": lambda r, n: replace(
        good(r, n), statement=block(r.stub(n, body="    value = 3\n    return value"))
    ),
    "solution_in_docstring": lambda r, n: replace(
        good(r, n), statement=block(r.stub(n, f"{r.words}\n\n{_body(r.program)}"))
    ),
    "copy_of_parent": lambda r, n: replace(
        good(r, n), statement=block(r.stub(n, _near_copy(f"{_SEED} {r.words}"))), parent=f"{_SEED} {r.words}"
    ),
    "wrong_example": lambda r, n: replace(
        good(r, n), statement=block(r.stub(n, f"{r.words}\n\n>>> {_call_text(r)}\n'never this'"))
    ),
}
"""Mistakes of the statement."""
SOLVED: dict[str, Make] = {
    "solutions_in_prose": lambda r, n: replace(
        good(r, n), solutions=(*good(r, n).solutions[:2], *[Answer("One adds them up.")] * 2)
    ),
    "solutions_cut_off": lambda r, n: _alike(
        r, n, Answer(f"```python\n{r.signature}\n    value = (", finish_reason="length")
    ),
    "all_disagree": lambda r, n: replace(good(r, n), solutions=tuple(_wrong_at(r, i) for i in range(SOLUTIONS))),
    "two_against_two": lambda r, n: replace(
        good(r, n), solutions=(*good(r, n).solutions[:2], _wrong_at(r, 0), _wrong_at(r, 0))
    ),
    "chance": lambda r, n: _alike(r, n, wrapped(r, "return _right(*args), random.random()", "import random\n")),
    "clock": lambda r, n: _alike(r, n, wrapped(r, "return _right(*args), time.time() // 9e9", "import time\n")),
    "today": lambda r, n: _alike(
        r, n, wrapped(r, "return _right(*args), date.today().year", "from datetime import date\n")
    ),
    "network": lambda r, n: _alike(
        r, n, wrapped(r, "socket.create_connection(('10.0.0.1', 80), 1)\nreturn _right(*args)", "import socket\n")
    ),
    "file": lambda r, n: _alike(r, n, wrapped(r, "return _right(*args), len(open('/etc/hostname').read()) < 0")),
    "order_of_sets": lambda r, n: _alike(
        r, n, wrapped(r, "return _right(*args), list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})")
    ),
    "state": lambda r, n: _alike(
        r, n, wrapped(r, "_seen.append(1)\nreturn _right(*args), len(_seen) + hash('x') % 5", "_seen = []\n")
    ),
    "order_of_calls": lambda r, n: _alike(
        r, n, wrapped(r, "_seen.append(1)\nreturn _right(*args), len(_seen)", "_seen = []\n")
    ),
    "endless": lambda r, n: _alike(r, n, wrapped(r, "while True:\n    pass")),
    "memory": lambda r, n: _alike(r, n, wrapped(r, "kept = [0]\nwhile True:\n    kept = kept + kept")),
    "raises": lambda r, n: _alike(r, n, wrapped(r, "raise ValueError('no')")),
    "does_not_load": lambda r, n: _alike(r, n, block(f"raise SystemExit\n{r.program}")),
}
"""Mistakes of the solutions."""
TRIED: dict[str, Make] = {
    "weak_inputs": lambda r, n: _alike(
        r, n, wrapped(r, "if len(repr(args)) > 5000:\n    return 'this is never tried'\nreturn _right(*args)")
    ),
    "inputs_in_prose": lambda r, n: replace(good(r, n), inputs=Answer("Try small numbers and large ones.")),
    "inputs_computed": lambda r, n: replace(
        good(r, n), inputs=block("VALUES = [(list(range(i)),) for i in range(9)]\nEDGE_CASES = []\nPROPERTIES = []\n")
    ),
    "few_inputs": lambda r, n: replace(good(r, n), inputs=inputs_block(r.calls[:2])),
    "false_property": lambda r, n: replace(
        good(r, n), inputs=inputs_block(r.calls, "lambda *given: given[-1] == ('never', 'this')")
    ),
    "constant_solution": _one_value,
}
"""Mistakes of the inputs, and problems that ask for nothing."""
COPIED: dict[str, Make] = {
    "copy_of_held_out": lambda r, n: replace(good(r, n), statement=block(r.stub(n, _near_copy(r.words)))),
    "solution_of_held_out": lambda r, n: good(
        replace(r, words="The numbers are changed in steps, in a way that is told at length by somebody else here."), n
    ),
}
"""Copies of the problem that is given, which is held out."""
HARMLESS: dict[str, Make] = {
    "one_wrong_solution": lambda r, n: replace(
        good(r, n), solutions=(*good(r, n).solutions[: SOLUTIONS - 1], _wrong_at(r, n))
    ),
    "wrong_claims": lambda r, n: replace(
        good(r, n),
        inputs=block("\n".join(f"assert {r.name}({', '.join(map(repr, call))}) == 'wrong'" for call in r.calls)),
    ),
}
"""Mistakes that need not cost the problem: it is bad only if an expected value is wrong."""
BAD = STATEMENTS | SOLVED | TRIED | COPIED


def _body(program: str) -> str:
    """The source of the last function's body."""
    function = next(node for node in reversed(ast.parse(program).body) if isinstance(node, ast.FunctionDef))
    body = function.body[ast.get_docstring(function) is not None :]
    return "\n".join(map(ast.unparse, body))


def _call_text(right: Right) -> str:
    return f"{right.name}({', '.join(map(repr, right.calls[0]))})"

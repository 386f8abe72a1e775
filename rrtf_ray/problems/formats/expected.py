"""Run references once to learn the expected values of their inputs.

A worker process (`python -I`, its own session, no environment) forks one child per problem; limits of time
and memory hold for each child. This is containment against accidents for published references, not a sandbox:
candidates of a model never run here. Needs `fork` (Linux, macOS).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

_WORKER = r"""
import ast, json, mmap, os, resource, signal, sys, time

MAX_CHARS = 200_000

def answer(job, out, start, spent):
    scope, contract = {"__name__": "reference"}, None
    exec(compile(job["program"], "<reference>", "exec", dont_inherit=True), scope)
    function = scope[job["entry_point"]]
    if job["contract"]:
        # In the reference's scope: a contract may use its imports.
        exec(compile(job["contract"], "<contract>", "exec", dont_inherit=True), scope)
        contract = scope["__contract__"]
    for i in range(start, len(job["inputs"])):
        if spent + time.process_time() > job["total_s"]:
            result = {"reason": "too slow"}
        else:
            progress[:8] = i.to_bytes(8, "little")
            # Its default action ends the process, even inside a long call into C.
            signal.setitimer(signal.ITIMER_PROF, job["single_s"])
            result = one(function, contract, job["inputs"][i], i < job["num_trusted"], job["truth"])
            signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(result), file=out, flush=True)
    progress[:8] = len(job["inputs"]).to_bytes(8, "little")

def one(function, contract, readings, trusted, truth):
    arguments, reason = [], "input is no literal"
    for reading in readings:
        try:
            arguments.append((reading, ast.literal_eval(reading)))
        except ValueError:
            continue
    first = arguments[:1]
    if contract is not None:
        arguments = [(reading, values) for reading, values in arguments if holds(contract, values)]
        if trusted:
            arguments = arguments or first
        if first:
            reason = "breaks the contract"
    for reading, _ in arguments:
        try:
            value = function(*ast.literal_eval(reading))
        except Exception as error:
            return {"reason": "reference raises", "detail": type(error).__name__}
        try:
            text = repr(bool(value) if truth else plain(value))
            if len(text) + len(reading) > MAX_CHARS:
                return {"reason": "too long"}
            if truth or literal(text) == value:
                return {"input": reading, "expected": text}
        except Exception:
            pass
        return {"reason": "value is no literal", "detail": type(value).__name__}
    return {"reason": reason}

def literal(text):
    # As repr writes it: an infinite float has no literal, but a name.
    tree = ast.parse(text, mode="eval")
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if names == {"inf"}:
        return eval(compile(tree, "<value>", "eval"), {"inf": float("inf")})
    return ast.literal_eval(text)

def holds(contract, values):
    try:
        contract(*values)
    except Exception:
        return False
    return True

def plain(value):
    # A Counter or a namedtuple equals the literal of its base class.
    for kind in (dict, list, tuple, set, frozenset, str):
        if isinstance(value, kind):
            if kind is dict:
                return {plain(k): plain(v) for k, v in value.items()}
            if kind is frozenset:
                return {plain(v) for v in value}
            return str(value) if kind is str else kind(plain(v) for v in value)
    return value

def child(job, out, start, spent):
    error = ""
    try:
        signal.alarm(int(10 * job["total_s"]) + 10)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            resource.setrlimit(resource.RLIMIT_AS, (job["memory_mb"] << 20, job["memory_mb"] << 20))
        except (ValueError, OSError):
            pass  # macOS
        answer(job, out, start, spent)
    except BaseException as caught:
        error = "%s: %s" % (type(caught).__name__, caught)
        progress[:8] = len(job["inputs"]).to_bytes(8, "little")
    print(json.dumps({"end": error[:300]}), file=out, flush=True)
    os._exit(0)

def run(job, out):
    start, spent = 0, 0.0
    while True:
        progress[:8] = start.to_bytes(8, "little")
        pid = os.fork()
        if pid == 0:
            child(job, out, start, spent)
        _, status, usage = os.wait4(pid, 0)
        spent += usage.ru_utime + usage.ru_stime
        start = int.from_bytes(progress[:8], "little") + 1
        if not status:
            return
        # A newline first: the child may have been stopped in the middle of a line.
        print("\n" + json.dumps({"reason": "too slow"}), file=out, flush=True)
        if start >= len(job["inputs"]):
            print(json.dumps({"end": ""}), file=out, flush=True)
            return

progress = mmap.mmap(-1, 8)
jobs, results = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
null = os.open(os.devnull, os.O_RDWR)
for fd in (0, 1):
    os.dup2(null, fd)
for line in jobs:
    run(json.loads(line), results)
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A reference and its inputs.

    contract: source of a function `__contract__` that raises for arguments that are not allowed, or empty.
    inputs: for each input its readings, as literals of the argument list; the first that the contract allows
        is taken. Of the first `num_trusted` inputs one reading is taken even if it allows none.
    truth: only the truth of the value counts (`assert f(x)`).
    single_s, total_s: CPU seconds for one input and for all; the default total is well below the sandbox's
        limit for all tests of a candidate, so that a correct but slower candidate can pass.
    """

    program: str
    entry_point: str
    contract: str
    inputs: list[list[str]]
    num_trusted: int = 0
    truth: bool = False
    single_s: float = 0.5
    total_s: float = 2.0
    memory_mb: int = 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one input: the reading taken and the expected literal, or the reason why there is none."""

    input: str = ""
    expected: str = ""
    reason: str = ""


def expected_values(jobs: Iterable[Job], hash_seed: int = 0) -> Iterator[tuple[list[Answer], str]]:
    """For each job the answers to its inputs, in order, and an error text; empty if it ran to its end.

    A job that ends early (its limit, an exception of the module) has fewer answers than inputs. Two hash
    seeds tell the values that depend on the order of a set.
    """
    worker = subprocess.Popen(
        [sys.executable, "-I", "-c", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={"PATH": os.defpath, "PYTHONHASHSEED": str(hash_seed)},
        start_new_session=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        for job in jobs:
            fields = {name: getattr(job, name) for name in Job.__slots__}
            worker.stdin.write(json.dumps(fields) + "\n")
            worker.stdin.flush()
            yield _answers(worker.stdout)
    finally:
        worker.kill()
        worker.wait()
        worker.stdin.close()
        worker.stdout.close()


def _answers(lines: Iterable[str]) -> tuple[list[Answer], str]:
    answers: list[Answer] = []
    for line in lines:
        try:
            answer: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:  # the child was killed while it wrote
            continue
        if "end" in answer:
            return answers, answer["end"]
        reason = ": ".join(answer[k] for k in ("reason", "detail") if k in answer)
        answers.append(Answer(answer.get("input", ""), answer.get("expected", ""), reason))
    return answers, "the worker process ended"

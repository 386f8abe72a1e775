"""What `rrtf problems decontaminate` finds in public sets, where the sets themselves say what is a copy of what:
problems with the same number in their ids. Nobody wrote them with this method in mind.

    public_recall       of the problems of one set whose number is in the other, the share that is found as a copy of
                        that one; for some pairs (`_prompt`) by the prompt alone
    public_others       what is found as a copy of a problem with another number: MBPP has problems twice, so a person
                        has to look at these
    changed             near misses made of public prompts, and how many are taken for copies of their origin:
                        `constants` (every number is one higher), `opposites` (one word is the opposite: largest,
                        smallest), `signature` (the statement of another problem below this one's signature)

Data that is not there is left out. EvalPlus' files run their references in the sandbox first, which a machine can be
too busy for; then that pair is left out, and said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from rrtf_ray.core.words import statement
from rrtf_ray.curation.keys import PARTS
from rrtf_ray.curation.leaks import Evaluated
from rrtf_ray.errors import SandboxError
from rrtf_ray.problems import load
from rrtf_ray.records import Problem

GOALS = {"public_recall": "1 where HumanEval is held against its own copies", "changed": "no constants"}
PAIRS = (
    ("HumanEvalPlus-Mini.jsonl", "HumanEval.jsonl"),
    ("humanevalpack-python.jsonl", "HumanEval.jsonl"),
    ("humanevalpack-js.jsonl", "HumanEval.jsonl"),
    ("stdio_humaneval.jsonl", "HumanEval.jsonl"),
    ("MbppPlus-v0.1.0.jsonl", "mbpp.jsonl"),
    ("mbpp_sanitized_codet.jsonl", "mbpp.jsonl"),
)
INSTRUCTIONS = "humanevalpack-python.jsonl"
"""Its rows have a field `instruction`: the question as it is put to a chat model."""
ORIGINS = ("HumanEval.jsonl", "mbpp.jsonl", "LeetCodeDataset-v0.3.1-test.jsonl")
_OPPOSITES = (
    "largest smallest, maximum minimum, sum product, first last, even odd, ascending descending, uppercase lowercase, "
    "left right, greater smaller, before after, positive negative, longest shortest, highest lowest, vowels consonants"
)
OPPOSITE = {
    a: b for one, other in (pair.split() for pair in _OPPOSITES.split(", ")) for a, b in ((one, other), (other, one))
}


def measure(data: Path) -> dict[str, Any]:
    """data: the folder with the files above."""
    recall: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for name, against in PAIRS:
        if not (data / name).exists() or not (data / against).exists():
            continue
        label = f"{Path(name).stem} in {Path(against).stem}"
        try:
            problems, known = (list(load("auto", str(data / file))) for file in (name, against))
        except SandboxError as error:
            recall[label] = f"not measured: {error}"
            continue
        recall[label], others[label] = _found(problems, known, PARTS)
        recall[f"{label}_prompt"], _ = _found(problems, known, ("prompt",))
        if name == INSTRUCTIONS:
            asked = list(_instructions(problems, data / name))
            recall[f"instructions of {label}_prompt"], _ = _found(asked, known, ("prompt",))
    origins = (data / name for name in ORIGINS if (data / name).exists())
    changed = {file.stem: _changed(list(load("auto", str(file)))) for file in origins}
    return {"public_recall": recall, "public_others": {k: v for k, v in others.items() if v}, "changed": changed}


def _found(problems: list[Problem], known: list[Problem], parts: tuple[str, ...]) -> tuple[str, list[str]]:
    numbers = {_number(problem.id) for problem in known}
    asked = right = 0
    others = []
    for problem, copy, _ in Evaluated([("", known)], parts=parts).copies_in(problems):
        asked += _number(problem.id) in numbers
        if copy and _number(copy.of) == _number(problem.id):
            right += 1
        elif copy:
            others.append(f"{problem.id} = {copy.of}: {copy.reason.value}")
    return f"{right} of {asked}", others


def _number(id_: str) -> str:
    return re.findall(r"\d+", id_)[-1]


def _instructions(problems: list[Problem], file: Path) -> Iterator[Problem]:
    for problem, line in zip(problems, file.read_text(encoding="utf-8").splitlines(), strict=True):
        yield replace(problem, prompt=json.loads(line)["instruction"])


def _changed(problems: list[Problem]) -> dict[str, str]:
    evaluated = Evaluated([("", problems)], parts=("prompt",))
    prose = {p.id: set(statement(p.prompt, p.suffix, p.entry_point).prose) for p in problems}
    made: dict[str, list[Problem]] = {"constants": [], "opposites": [], "signature": []}
    for problem, other in zip(problems, [*problems[1:], problems[0]], strict=True):
        if any(word.isdecimal() for word in prose[problem.id]):
            text = re.sub(r"\d+", lambda found: str(int(found[0]) + 1), problem.prompt)
            made["constants"].append(replace(problem, prompt=text))
        if swapped := _with_opposite(problem.prompt, prose[problem.id]):
            made["opposites"].append(replace(problem, prompt=swapped))
        lines = (re.findall(r"^def .*\n", one.prompt, re.MULTILINE) for one in (problem, other))
        mine, theirs = (found[-1] if found else "" for found in lines)
        if mine and theirs:
            made["signature"].append(replace(problem, prompt=other.prompt.replace(theirs, mine)))
    counted = {}
    for kind, changed in made.items():
        wrong = sum(bool(copy and copy.of == copy.id) for _, copy, _ in evaluated.copies_in(changed))
        counted[kind] = f"{wrong} of {len(changed)}"
    return counted


def _with_opposite(prompt: str, prose: set[str]) -> str:
    """With the last word of the prose that has an opposite replaced by it; empty where there is none."""
    places = [found for found in re.finditer(r"\b[a-z]+\b", prompt) if found[0] in OPPOSITE and found[0] in prose]
    if not places:
        return ""
    last = places[-1]
    return prompt[: last.start()] + OPPOSITE[last[0]] + prompt[last.end() :]

"""Whether a teacher's reply can be used, and the candidate that it becomes."""

from __future__ import annotations

import re

from rrtf_ray.core.blocks import blocks_of, fences_of
from rrtf_ray.core.extraction import extract_for
from rrtf_ray.core.python_code import parses
from rrtf_ray.records import Fault, Language, Problem, TeacherResponse
from rrtf_ray.teachers.asking import Reply

_NAMES = {
    Language.PYTHON: frozenset({"", "python", "py", "python3", "python2", "ipython", "pycon", "text", "plaintext"}),
    Language.JAVASCRIPT: frozenset({"", "javascript", "js", "node", "nodejs", "mjs", "jsx", "text", "plaintext"}),
}
_FOREIGN_LINE = re.compile(r"(?:[;{}]|=>)[ \t]*$|^[ \t]*(?:#include\b|using \w|package \w|fn \w+\()", re.MULTILINE)


def response_of(problem: Problem, reply: Reply, model: str) -> TeacherResponse:
    """The record of an answer to a problem, with the fault that its text has."""
    fault = reply.fault or fault_of(problem, reply.text, reply.finish_reason)
    return TeacherResponse(reply.text, model, reply.finish_reason, reply.num_tokens, fault)


def fault_of(problem: Problem, text: str, finish_reason: str) -> Fault | None:
    """Why there is no program for the problem in a text; None where there is one, right or wrong."""
    cut = finish_reason == "length"
    program = extract_for(problem, text).program
    blocks = blocks_of(text, fences, "") if (fences := fences_of(text)) else []
    named = bool(blocks) and not any(block.language in _NAMES[problem.language] for block in blocks)
    foreign = named or (problem.language is Language.PYTHON and bool(_FOREIGN_LINE.search(text)))
    if not program.strip():
        return Fault.CUT_OFF if cut else Fault.OTHER_LANGUAGE if foreign else Fault.NO_CODE
    if problem.language is not Language.PYTHON:
        return Fault.OTHER_LANGUAGE if foreign else None
    if parses(program):
        return None
    if cut or foreign:
        return Fault.CUT_OFF if cut else Fault.OTHER_LANGUAGE
    return None if blocks else Fault.NO_CODE

"""The fenced blocks of a response, and which of several is the answer.

A response may show a first attempt and then its correction, a snippet before the whole program, usage, a table, or a
wrong version for contrast after the answer. The first block that can be the answer is taken, unless the words above a
later one say that it replaces it.

Pure, stdlib only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rrtf_ray.core.python_code import bound_names, has_code, parses, top_level_chunks

_FENCE = re.compile(r"^([ \t]*)(?:```+|~~~+)[ \t]*([\w+#.-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = frozenset({"python", "py", "python3", "python2", "ipython", "pycon"})

_SECOND_THOUGHT = re.compile(
    r"\b(?:wait|oops|hmm+|actually|on second thought|sorry|apologi\w+|my mistake"
    r"|let me (?:re\w+|correct|fix|try))\b",
    re.IGNORECASE,
)
_CONTRAST = re.compile(
    r"\b(?:wrong|incorrect|mistakes?|mistaken|buggy|broken|bad|na[iï]ve|avoid|not|n't|don't|never|instead of"
    r"|anti-?patterns?|pitfalls?|slow(?:er)?|original|previous(?:ly)?|earlier|first|before|old|example|usage|tests?)\b",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:correct(?:ed|ion|s|ly)?|fix(?:ed|es|ing)?|repaired|revis(?:ed|ion)|updated?|final(?:ly)?|right|proper"
    r"|improved|rewritten|second|complete|full|whole|working|better|now)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. above: the text between the block before it and this one."""

    language: str
    code: str
    above: str = ""

    @property
    def is_python(self) -> bool:
        return self.language in _PYTHON


def fences_of(response: str) -> list[re.Match[str]]:
    """Fence lines; one indented like code counts only if it names Python, or closes one that does."""
    return list(_fences(response))


def _fences(response: str) -> Iterator[re.Match[str]]:
    deep = False
    for match in _FENCE.finditer(response):
        shallow = len(match.group(1).expandtabs(4)) <= 3
        if shallow or match.group(2).lower() in _PYTHON:
            deep = not shallow
            yield match
        elif deep and not match.group(2):
            deep = False
            yield match


def blocks_of(response: str, fences: list[re.Match[str]], name: str) -> list[Block]:
    """The blocks between fences, with the text above each. An unclosed one runs to the end; a first fence that only
    closes (the prompt opened it) makes a block of the text before it."""
    blocks: list[Block] = []
    before = response[: fences[0].start()]
    opened: re.Match[str] | None = None
    end = 0
    if len(fences) % 2 and not fences[0].group(2):
        defines = any(name in bound_names(chunk) for chunk in top_level_chunks(before))
        if defines or (has_code(before) and parses(before)):
            blocks.append(Block("python", before))
            end = fences[0].end()
            fences = fences[1:]
    for fence in fences:
        if opened is not None:
            blocks.append(_block(opened, response[opened.end() + 1 : fence.start()], response[end : opened.start()]))
            end = fence.end()
        opened = fence if opened is None or fence.group(2) else None
    if opened is not None:
        blocks.append(_block(opened, response[opened.end() + 1 :], response[end : opened.start()]))
    return blocks


def _block(opened: re.Match[str], code: str, above: str) -> Block:
    indent = opened.group(1)  # a block in a list is indented as a whole
    if indent and all(line.startswith(indent) or not line.strip() for line in code.split("\n")):
        code = "\n".join(line.removeprefix(indent) for line in code.split("\n"))
    return Block(opened.group(2).lower(), code, above)


def chosen(blocks: list[Block], can_answer: Callable[[Block], bool]) -> Block | None:
    """The block that is the answer: the first that can be, or the last that replaces one; None if none can be."""
    answer: Block | None = None
    for block in blocks:
        if can_answer(block) and (answer is None or _replaces(block.above)):
            answer = block
    return answer


def _replaces(above: str) -> bool:
    """Whether the words above a block announce a correction, rather than a wrong version or an example of use."""
    for sentence in reversed(re.split(r"[.!?\n]+", above)):
        if _SECOND_THOUGHT.search(sentence):
            return True
        corrects, contrasts = _CORRECTION.search(sentence), _CONTRAST.search(sentence)
        if corrects or contrasts:
            return corrects is not None and (contrasts is None or corrects.start() < contrasts.start())
    return False

"""Where a middle ends by itself: where the model starts to write the code after the cursor again.

Input: generated text in chunks of any size, and the suffix. Output: the text that may be shown, as soon as it is
certain. The result does not depend on the chunks.

A repetition of the suffix is complete lines, in order, that equal the suffix's next lines, beginning with its first.
Indentation counts; blank lines and blanks at the end of a line do not. The suffix's first line is the rest of the
cursor's line; a generated line may also end in it (`x):` before `):`). Lines such as `}` or `else:` occur in any code,
so one of them is not enough. It takes one of

- a line of at least 16 non-blank characters, three of them letters,
- two lines, one of which has a word character,
- three lines,
- all of the suffix: one line if it was generated as a whole line, else two.

Limits: a middle that rightly contains such lines (a second method with the same body as the next) ends before them, and
a repetition that `max_tokens` cut off inside its first line stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

_ENOUGH_LINES = 3
_DISTINCTIVE = 16
_LONGEST_REST = 400
"""A longer rest of the cursor's line is not looked for at the end of generated lines."""
_WORD = re.compile(r"\w")
_BLANK_LINES = re.compile(r"(?:\r?\n[^\S\n]*)*\Z")


@dataclass(frozen=True, slots=True)
class _Run:
    """Generated lines that equal the suffix's first lines.

    start: where the middle ends if the run is long enough. lines: their number. whole: it began with a whole line.
    """

    start: int
    lines: int
    whole: bool


class Middle:
    """A middle while it is generated. finished: it ended by itself."""

    def __init__(self, suffix: str) -> None:
        self.finished = False
        self._lines = tuple(islice(_code_lines(suffix), _ENOUGH_LINES))
        rest = suffix.partition("\n")[0].rstrip()
        self._rest = rest if len(rest) <= _LONGEST_REST else ""
        self._behind_line_end = not rest
        self._text = ""
        self._sent = 0
        self._line_start = 0
        self._code_end = 0  # of the last complete line with code: blank lines may follow it
        self._runs: list[_Run] = []

    def feed(self, text: str) -> str:
        """Takes more generated text; returns what can be shown now."""
        return "" if self.finished else self._take(text)

    def end(self) -> str:
        """Call once, when nothing more is generated; returns what was held back."""
        return "" if self.finished else self._last_line()

    def _take(self, text: str) -> str:
        self._text += text
        while (end := self._text.find("\n", self._line_start)) >= 0:
            if (cut := self._complete(end)) is not None:
                return self._finish(cut)
            self._line_start = end + 1
        return self._show(self._held_from())

    def _last_line(self) -> str:
        """What is held back, with the last line taken as complete."""
        cut = self._complete(len(self._text))
        return self._show(len(self._text)) if cut is None else self._finish(cut)

    def _finish(self, cut: int) -> str:
        self.finished = True
        return self._show(cut)

    def _show(self, end: int) -> str:
        assert end >= self._sent, "what was shown cannot be undone"
        shown, self._sent = self._text[self._sent : end], end
        return shown

    def _complete(self, end: int) -> int | None:
        """Takes the line that ends at `end`; returns where the middle ends if that is now known."""
        line = self._text[self._line_start : end].rstrip()
        if not line or not self._lines:
            return None
        runs = [_Run(r.start, r.lines + 1, r.whole) for r in self._runs if self._lines[r.lines] == line]
        if begun := self._begun(line):
            runs.append(begun)
        for run in runs:
            if self._is_enough(run):
                return run.start
        self._runs = [run for run in runs if run.lines < len(self._lines)]
        self._code_end = self._line_start + len(line)
        return None

    def _begun(self, line: str) -> _Run | None:
        """A run that begins with this line."""
        first = self._lines[0]
        if self._line_start > 0 and line == first:
            return _Run(self._start_of_whole_line(), 1, whole=True)
        if self._line_start == 0 and self._behind_line_end and first.endswith(line) and first.strip() == line.strip():
            return _Run(0, 1, whole=False)  # the cursor was after the indentation, or the line ends another
        if self._rest and line.endswith(self._rest):
            return _Run(self._line_start + len(line) - len(self._rest), 1, whole=False)
        return None

    def _start_of_whole_line(self) -> int:
        """Where a middle ends whose current line is the suffix's first: a suffix that begins with a line end includes
        the line ends before that line, any other only the line."""
        if not self._behind_line_end:
            return self._line_start
        blank = _BLANK_LINES.search(self._text, self._code_end, self._line_start)
        return blank.start() if blank else self._line_start

    def _is_enough(self, run: _Run) -> bool:
        lines = self._lines[: run.lines]
        if run.lines >= _ENOUGH_LINES or any(map(_is_distinctive, lines)):
            return True
        if run.lines == len(self._lines):
            return run.whole or run.lines >= 2
        return run.lines >= 2 and any(map(_WORD.search, lines))

    def _held_from(self) -> int:
        """The first character that may turn out to belong to a repetition of the suffix."""
        held = len(self._text)
        if not self._lines:
            return held
        line = self._text[self._line_start :]
        if line.endswith("\r"):
            held -= 1
        starts = [run.start for run in self._runs if _may_become(line, self._lines[run.lines])]
        if self._line_start > 0 and _may_become(line, self._lines[0]):
            starts.append(self._start_of_whole_line())
        if self._line_start == 0 and self._behind_line_end and _may_become(line.lstrip(), self._lines[0].lstrip()):
            starts.append(0)
        if self._rest:
            starts.append(self._line_start + _ending_from(line, self._rest))
        return max(self._sent, min([held, *starts]))


def trim(middle: str, suffix: str) -> tuple[str, bool]:
    """The part of a whole middle that is shown, and whether it ended by itself."""
    filter_ = Middle(suffix)
    shown = filter_.feed(middle) + filter_.end()
    return shown, filter_.finished


def _code_lines(suffix: str) -> Iterator[str]:
    """The non-blank lines, without trailing blanks."""
    start = 0
    while start < len(suffix):
        end = suffix.find("\n", start)
        end = len(suffix) if end < 0 else end
        if line := suffix[start:end].rstrip():
            yield line
        start = end + 1


def _is_distinctive(line: str) -> bool:
    return len("".join(line.split())) >= _DISTINCTIVE and sum(map(str.isalpha, line)) >= 3


def _may_become(line: str, wanted: str) -> bool:
    """Whether an incomplete line can still become `wanted`, or stay blank."""
    if not line.strip() or wanted.startswith(line):
        return True
    return line.startswith(wanted) and not line[len(wanted) :].strip()


def _ending_from(line: str, rest: str) -> int:
    """Where `rest`, or its beginning, starts at the end of an incomplete line; the line's length if nowhere."""
    trimmed = line.rstrip()
    whole = len(trimmed) - len(rest) if trimmed.endswith(rest) else len(line)
    begun = (at for at in range(max(0, len(line) - len(rest)), len(line)) if rest.startswith(line[at:]))
    return min(whole, next(begun, len(line)))

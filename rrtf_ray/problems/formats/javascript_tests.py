"""Tests in JavaScript as tests in Python: `console.assert(f([1]) === 2)` becomes `assert candidate([1]) == 2`.

Read are the assertions of `console.assert` and of node's `assert`, whose expressions are made of literals, operators,
`JSON.stringify`, a few functions of `Math` and calls of the entry point. An assertion about anything else (a loop's
variable, a random input) is left out. Pure: nothing is run.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?(?:\*/|\Z))|(?P<number>0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"""
    r"""|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\$])*`)|(?P<name>[^\W\d][\w$]*|\$[\w$]*)"""
    r"""|(?P<mark>===|!==|=>|\*\*|[=!<>]=|&&|\|\||\+\+|--|.)""",
    re.DOTALL,
)
_IS_NUMBER = re.compile(r"-?[\d.]+(?:[eE][-+]?\d+)?")
_ESCAPE = re.compile(r"\\(u\{[\da-fA-F]+\}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|\r\n|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_CONSTANTS = {"true": "True", "false": "False", "null": "None", "undefined": "None"}
_NUMBERS = {"Infinity": "float('inf')", "NaN": "float('nan')"}
_MATH = {"abs": "abs", "max": "max", "min": "min", "pow": "pow"}
# From the loosest to the tightest; all of them group from the left.
_BINARY = (
    {"||": "or"},
    {"&&": "and"},
    {"===": "==", "==": "==", "!==": "!=", "!=": "!="},
    {"<": "<", ">": ">", "<=": "<=", ">=": ">="},
    {"+": "+", "-": "-"},
    {"*": "*", "/": "/"},
)
_EQUAL = frozenset({"deepEqual", "deepStrictEqual", "equal", "strictEqual"})
_NOT_EQUAL = frozenset({"notDeepEqual", "notDeepStrictEqual", "notEqual", "notStrictEqual"})


@dataclass(slots=True)
class Assertions:
    """lines: assertions in Python that call `candidate`. left_out: those that could not be read, in JavaScript."""

    lines: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def check(self) -> str:
        """The source of a test of kind CHECK."""
        return "def check(candidate):\n" + "".join(f"    {line}\n" for line in self.lines)


def assertions_of(test: str, entry_point: str) -> Assertions:
    """The assertions of a test script that calls `entry_point`, or another name that it gives to it."""
    tokens = [(str(m.lastgroup), m.group(), m.start()) for m in _TOKEN.finditer(test) if m.lastgroup != "blank"]
    texts = [text for _, text, _ in tokens]
    names = {entry_point}
    for word, name, equals, value in zip(texts, texts[1:], texts[2:], texts[3:], strict=False):
        if word in ("const", "let", "var") and equals == "=" and value in names:
            names.add(name)
    found = Assertions()
    for start in range(len(tokens)):
        how = _assertion_at(texts, start)
        if how is None:
            continue
        reader = _Reader(tokens, start + how[1], names)
        try:
            line = _line(how[0], reader.arguments())
            ast.parse(line)
            if "candidate(" not in line:
                raise _Unread
            found.lines.append(line)
        except (_Unread, SyntaxError, RecursionError, ValueError):
            begin = tokens[start][2]
            found.left_out.append(test[begin : begin + 80].split("\n", 1)[0])
    return found


class _Unread(Exception):
    """The expression has something that is not read here."""


def _assertion_at(texts: list[str], start: int) -> tuple[str, int] | None:
    """The kind of the assertion that begins here, and how many tokens come before its arguments."""
    if start and texts[start - 1] in (".", "function"):
        return None
    if texts[start : start + 4] == ["console", ".", "assert", "("]:
        return "ok", 4
    if texts[start] != "assert":
        return None
    if texts[start + 1 : start + 2] == ["("]:
        return "ok", 2
    return (texts[start + 2], 4) if texts[start + 1 : start + 2] == ["."] and len(texts) > start + 3 else None


def _line(how: str, arguments: list[str]) -> str:
    if how == "ok" and arguments:
        return f"assert {_bare(arguments[0])}"
    if how in _EQUAL | _NOT_EQUAL and len(arguments) >= 2:
        return f"assert {arguments[0]} {'==' if how in _EQUAL else '!='} {arguments[1]}"
    raise _Unread


def _bare(expression: str) -> str:
    """Without brackets around the whole."""
    inner = expression[1:-1]
    if expression[0] != "(":
        return expression
    try:
        return inner if ast.dump(ast.parse(inner)) == ast.dump(ast.parse(expression)) else expression
    except SyntaxError:
        return expression


class _Reader:
    """Reads expressions from tokens (kind, text, offset) and writes them in Python."""

    def __init__(self, tokens: list[tuple[str, str, int]], position: int, names: set[str]) -> None:
        self._tokens, self._at, self._names = tokens, position, names

    def arguments(self, end: str = ")") -> list[str]:
        """The expressions up to the closing bracket, which is read as well."""
        found: list[str] = []
        while self._peek() != end:
            found.append(self._binary(0))
            if self._peek() != end:
                self._take(",")
        self._take(end)
        return found

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        text = self._peek()
        if not text or (wanted and text != wanted):
            raise _Unread
        self._at += 1
        return text

    def _binary(self, level: int) -> str:
        if level == len(_BINARY):
            return self._power()
        left = self._binary(level + 1)
        while (mark := self._peek()) in _BINARY[level]:
            self._take()
            right = self._binary(level + 1)
            if mark in ("==", "!="):  # "6.00" == 6 in JavaScript
                left, right = _loose(left, right), _loose(right, left)
            left = f"({left} {_BINARY[level][mark]} {right})"
        return left

    def _power(self) -> str:
        left = self._unary()
        if self._peek() != "**":
            return left
        self._take()
        return f"({left} ** {self._power()})"

    def _unary(self) -> str:
        mark = self._peek()
        if mark == "!":
            self._take()
            return f"(not {self._unary()})"
        if mark in ("-", "+"):
            self._take()
            return f"({mark}{self._unary()})" if self._tokens[self._at][0] != "number" else f"{mark}{self._unary()}"
        value = self._primary()
        if self._peek() in (".", "[", "(", "++", "--", "?", "=>"):
            raise _Unread
        return value

    def _primary(self) -> str:
        if self._at >= len(self._tokens):
            raise _Unread
        kind, text, _ = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return _number(text)
        if kind == "text":
            return repr(text_of(text))
        if kind == "name":
            return self._named(text)
        if text == "(":
            values = self.arguments()
            if not values:
                raise _Unread
            return values[-1]  # JavaScript's comma: the last one is the value
        if text == "[":
            return f"[{', '.join(self.arguments(']'))}]"
        if text == "{":
            return self._object()
        raise _Unread

    def _named(self, name: str) -> str:
        if name in _CONSTANTS or name in _NUMBERS:
            return _CONSTANTS.get(name) or _NUMBERS[name]
        if name in self._names:
            self._take("(")
            return f"candidate({', '.join(self.arguments())})"
        if name in ("JSON", "Math"):
            self._take(".")
            function = self._take()
            self._take("(")
            arguments = self.arguments()
            if name == "JSON" and function == "stringify" and arguments:
                return arguments[0]
            if name == "Math" and function in _MATH:
                return f"{_MATH[function]}({', '.join(arguments)})"
        raise _Unread

    def _object(self) -> str:
        members: list[str] = []
        while self._peek() != "}":
            kind, text, _ = self._tokens[self._at] if self._at < len(self._tokens) else ("", "", 0)
            if kind not in ("name", "text", "number"):
                raise _Unread
            self._at += 1
            self._take(":")
            name = text_of(text) if kind == "text" else text
            members.append(f"{name!r}: {self._binary(0)}")
            if self._peek() != "}":
                self._take(",")
        self._take("}")
        return f"{{{', '.join(members)}}}"


def _number(text: str) -> str:
    if text[:2] in ("0x", "0X"):
        return repr(int(text, 16))
    text = re.sub(r"^0+(?=\d)", "", text)
    # An integer that is not safe there is a float; here it would reach the program as a BigInt.
    return repr(float(text)) if text.isdigit() and int(text) > 2**53 else text


def _loose(side: str, other: str) -> str:
    return f"float({side})" if _IS_NUMBER.fullmatch(other) and side.startswith("candidate(") else side


def text_of(literal: str) -> str:
    """The value of a literal of text."""

    def escaped(match: re.Match[str]) -> str:
        text = match.group(1)
        if text[0] in "ux" and len(text) > 1:
            return chr(int(text[1:].strip("{}"), 16))
        return _ESCAPES.get(text, text)

    return _ESCAPE.sub(escaped, literal[1:-1])

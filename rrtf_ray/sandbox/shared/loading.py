"""Compiles and runs a program's source as a module."""

from __future__ import annotations

import io
import linecache
import os
import re
import sys
import tokenize
import types
from collections.abc import Callable

PROGRAM_FILE = "<program>"
MAX_TEXT = 300
_COMPILE_ERRORS = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)

_DECLARES_ENCODING = re.compile(r"(?:[^\r\n]*(?:\r\n?|\n))?[^\r\n]*coding[:=]")


class Unusable(Exception):
    """The program cannot be loaded. how: `x` does not compile, `m` out of memory, `e` raised. text: why."""

    def __init__(self, how: str, text: str) -> None:
        self.how, self.text = how, text


def new_module(name: str, source: str) -> types.ModuleType:
    """A module for the program, where pickle, dataclasses and tracebacks look for it."""
    module = sys.modules[name] = types.ModuleType(name)
    module.__file__ = f"{os.getcwd()}/program.py"
    linecache.cache[PROGRAM_FILE] = (len(source), None, source.splitlines(True), PROGRAM_FILE)
    return module


def compiled(source: str) -> types.CodeType:
    """The code of a file that holds `source`, as CPython compiles it. Raises Unusable where that refuses it."""
    try:
        return compile(_as_read(source), PROGRAM_FILE, "exec", dont_inherit=True)
    except _COMPILE_ERRORS as error:
        if isinstance(error, SyntaxError) and error.lineno:
            raise Unusable("x", f"{type(error).__name__}: {error.msg} (line {error.lineno})") from None
        raise Unusable("x", describe(error)) from None


def _as_read(source: str) -> str | bytes:
    """What is compiled: the text, whose letters are known, or, where it declares an encoding in which no file can hold
    it, the file, which CPython then refuses."""
    text = source.removeprefix("\ufeff")
    if not _DECLARES_ENCODING.match(text):
        return text
    file = source.encode("utf-8", "surrogatepass")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(file).readline)
        if "\n".encode(encoding) == b"\n" and (_succeeds(text.encode, encoding) or _succeeds(file.decode, encoding)):
            return text
    except (SyntaxError, LookupError):
        pass  # no encoding, or none of text
    return file


def _succeeds(convert: Callable[[str], object], encoding: str) -> bool:
    try:
        convert(encoding)
    except UnicodeError:
        return False
    return True


def load(setup: types.CodeType, source: str, module: types.ModuleType) -> None:
    """Run the setup and the program in `module`. Raises Unusable."""
    code = compiled(source)
    try:
        exec(setup, module.__dict__)
        exec(code, module.__dict__)
    except MemoryError:
        raise Unusable("m", "") from None
    except BaseException as error:
        raise Unusable("e", describe(error)) from None


def shown_by(error: BaseException) -> str:
    """What its own `str` gives, shortened; empty where that raises."""
    try:
        return str(error)[:MAX_TEXT]
    except BaseException:
        return ""


def describe(error: BaseException) -> str:
    """`IndexError: list index out of range (line 7)`; the exception's own methods are not to be relied on."""
    text = shown_by(error)
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == PROGRAM_FILE:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    name = type(error).__name__ or "Exception"
    return name + (f": {text}" if text else "") + (f" (line {line})" if line else "")

"""The errors that a user can cause or meet, in one family.

As far as they are known, the text names the offending value, the place (file and line, configuration key or problem
id) and the remedy. Every exception of this package survives pickling, because Ray carries it between processes.
"""

from __future__ import annotations


class RRTFError(Exception):
    """Base of the family; `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(RRTFError, ValueError):
    """The user's input (configuration, file, row, model path) cannot be used: nothing was run."""

    exit_code = 2


class ConfigError(InputError):
    """A configuration key is unknown, missing or out of range."""


class DataError(InputError):
    """A row of an input file is malformed; the text names the file and the line."""


class ResourceError(InputError):
    """The cluster does not have, and will never have, what the configuration asks for."""


class StageError(RRTFError, RuntimeError):
    """A stage failed while it ran; the rows that it had finished are kept."""


class SandboxError(RRTFError, RuntimeError):
    """The sandbox itself cannot work (never raised for a fault of the program that it runs)."""


def first_line(error: BaseException) -> str:
    """Another library's error in one line, for a message of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""Ray's errors unwrapped: the only place that takes off what Ray wraps around an error."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayError,
    WorkerCrashedError,
)

from rrtf_ray.errors import RRTFError, StageError

log = logging.getLogger(__name__)

_APPENDED = "\nFailed to apply UDF "
_LOST = (RayActorError, WorkerCrashedError, NodeDiedError, ObjectLostError, LocalRayletDiedError)


@contextlib.contextmanager
def unwrapped(stage: str) -> Iterator[None]:
    """Raise an error of ours as itself, whatever Ray wrapped around it, and any other error of Ray as a StageError."""
    try:
        yield
    # Also if Ray's error is one of ours by inheritance: its text is a remote traceback then.
    except RayError as error:
        raise explained(error, stage) from error


def explained(error: BaseException, stage: str) -> RRTFError:
    """Our own error if there is one among the causes; otherwise a StageError with the first failure in one line."""
    found = list(_causes(error))
    for cause in found:
        if isinstance(cause, RRTFError) and not isinstance(cause, RayError):
            return _as_raised(cause)
    log.error("%s failed", stage, exc_info=error)
    first = next((cause for cause in found if isinstance(cause, RayError)), error)
    last_line = (str(first).strip() or type(first).__name__).splitlines()[-1]
    return StageError(
        f"{stage} failed: {last_line}; finished work is kept, and the same command continues from there. The cause is "
        "in run_dir/logs/driver.log and in the workers' logs"
    )


def _as_raised(error: RRTFError) -> RRTFError:
    """The error with the text that we gave it: Ray Data appends advice on its own retries."""
    if error.args and isinstance(error.args[0], str):
        error.args = (error.args[0].partition(_APPENDED)[0], *error.args[1:])
    return error


def lost_a_process(error: BaseException) -> bool:
    """Whether a node or a process of Ray's ended under the work: the same work can succeed elsewhere.

    False for an error that our own or a library's code raised there.
    """
    found = list(_causes(error))
    return any(isinstance(cause, _LOST) for cause in found) and not any(
        isinstance(cause, RRTFError) and not isinstance(cause, RayError) for cause in found
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, through what Ray and Ray Train wrap around it, the outermost first."""
    waiting, seen = [error], set()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        failures = getattr(current, "worker_failures", None) or {}  # of Ray Train, by rank
        inner = [*failures.values(), getattr(current, "cause", None), current.__cause__]
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]

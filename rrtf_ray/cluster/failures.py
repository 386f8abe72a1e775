"""Ray's errors unwrapped: what Ray put around an error of ours is taken off in this place only."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import ray

from rrtf_ray.errors import RRTFError, StageError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def unwrapped(stage: str) -> Iterator[None]:
    """Turn what Ray wraps around an error of ours back into that error; anything else becomes a StageError."""
    try:
        yield
    # Also where Ray's error is one of ours by inheritance: its text is a remote traceback then.
    except ray.exceptions.RayError as error:
        ours = _ours(error)
        if ours is not None:
            raise ours from error
        log.error("%s failed", stage, exc_info=error)
        last = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise StageError(
            f"{stage} failed: {last}; finished rows are kept; the cause stands in run_dir/logs/driver.log "
            "and in the workers' logs"
        ) from error


def _ours(error: BaseException | None) -> RRTFError | None:
    """Our own error among the causes of a Ray error, if there is one."""
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, RRTFError) and not isinstance(error, ray.exceptions.RayError):
            return error
        inner = getattr(error, "cause", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__
        seen += 1
    return None

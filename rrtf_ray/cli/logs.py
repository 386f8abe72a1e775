"""Where libraries log while a command runs."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def logged(run_dir: str, *, to_stderr: bool = False) -> Iterator[None]:
    """Libraries' output goes to run_dir/logs/driver.log; the terminal is for our own lines."""
    from rrtf_ray.progress import only_our_lines
    from rrtf_ray.store.files import is_local, join, make_dir, resolve, write_bytes

    logs = join(run_dir, "logs")
    handler = logging.StreamHandler()  # standard error, which is the log file inside the block
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    with tempfile.NamedTemporaryFile(prefix="rrtf-driver-", suffix=".log") as kept:
        local = is_local(run_dir)
        make_dir(logs)
        try:
            with only_our_lines(resolve(join(logs, "driver.log"))[1] if local else kept.name, to_stderr=to_stderr):
                yield
        finally:
            root.removeHandler(handler)
            if not local:  # an object store cannot append: the log appears when the command ends
                write_bytes(join(logs, "driver.log"), kept.read())

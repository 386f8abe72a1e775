"""`rrtf report` from end to end: read the runs, try their problems, write one file."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from rrtf_ray.errors import InputError, first_line
from rrtf_ray.progress import say
from rrtf_ray.report.contents import part_of
from rrtf_ray.report.rendering import render
from rrtf_ray.store.files import is_folder, join, write_bytes

MAX_CANDIDATES = 50_000
"""At some 12,000 a second, what a run waits for its report without being asked."""
_log = logging.getLogger("rrtf_ray.report")


def report(runs: Sequence[str], output: str, audit: int = 50) -> None:
    """Write the report of one run or of several side by side. audit: problems of each run to try in the sandbox; 0
    runs nothing.

    Raises InputError where a place is no run directory, or `output` cannot be written.
    """
    if is_folder(output):
        raise InputError(f"--output {output} is a folder; name a file, such as {join(output, 'report.html')}")
    parts = [part_of(uri, f"run-{number}", audit) for number, uri in enumerate(runs, 1)]
    names = Counter(part.facts.name for part in parts)
    for part in parts:
        if names[part.facts.name] > 1:
            part.facts.name = part.facts.run.uri
    page = render(parts).encode()
    write_bytes(output, page)
    for part in parts:
        for notice in part.facts.notices:
            say(f"{part.facts.name}: {notice}")
    say(f"report: {output} ({len(page) / 2**20:.1f} MiB)")


def report_at_the_end(run_dir: str, num_candidates: int) -> None:
    """RUN/report.html of a finished run, without what needs running. The run is worth more than its report: a failure
    is said in one line, and logged; a run with more than MAX_CANDIDATES is left to the command."""
    if num_candidates > MAX_CANDIDATES:
        say(f"report: `rrtf report {run_dir}` makes it; with {num_candidates} candidates it takes a while")
        return
    output = join(run_dir, "report.html")
    try:
        write_bytes(output, render([part_of(run_dir, "run-1", audit=0)]).encode())
    except Exception as error:
        _log.warning("the report failed", exc_info=True)
        say(f"report: {output} could not be made: {first_line(error)}")
    else:
        say(f"report: {output} (`rrtf report {run_dir}` also tries out the tests)")

"""Program and tests in one interpreter: for tests that cannot reach a program in another process.

The nonce is in no place that the program's own names lead to, but a program that searches the interpreter's
frames finds it, or patches what the tests rely on: a pass here may be forged, and the verdict says so.
"""

from __future__ import annotations

import functools
import os
from typing import NoReturn

from rrtf_ray.sandbox.shared import loading, testing
from rrtf_ray.sandbox.shared.channel import GIVEN, take_given
from rrtf_ray.sandbox.shared.jobs import InsideJob, Order, unpacked
from rrtf_ray.sandbox.shared.loading import Unusable
from rrtf_ray.sandbox.shared.testing import Stop


def run(job: InsideJob) -> NoReturn:
    """Run the given program and the job's tests, and write the records to its file. Does not return."""
    try:
        order: Order = unpacked(take_given(GIVEN))
        record = testing.recorder(functools.partial(os.write, GIVEN), order.nonce)
        module = loading.new_module("program", order.program)
        try:
            loading.load(job.setup, order.program, module)
            names = module.__dict__
            testing.run_tests(job.tests, names, lambda: eval(job.entry_point, names), job.fail_fast, record)
        except Unusable as error:
            if error.text:
                record("d", error.text)
            if error.how in ("x", "m"):
                record(error.how, "")
        except Stop:
            pass
        record(".", "")
    except OSError:
        pass
    finally:
        os._exit(0)

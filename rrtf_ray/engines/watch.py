"""Ends a vLLM engine whose Ray actor is gone.

vLLM's engine process does not notice that the process that started it was killed (vllm#55846), and would keep its
memory and cores for ever. vLLM loads `WatchActor` into every worker of the engine (`worker_extension_cls`); loading it
starts a thread that waits for the actor's death, and sets the worker's niceness from the actor's environment.
"""

from __future__ import annotations

import os
import select
import signal
import threading

ACTOR_PID = "RRTF_ENGINE_ACTOR_PID"
NICE = "RRTF_ENGINE_NICE"
PARENT = os.getppid()


class WatchActor:
    """Adds nothing to the worker: importing this module starts the watch."""


def _end_with(actor: int) -> None:
    try:
        descriptor = os.pidfd_open(actor)
    except ProcessLookupError:
        pass  # it is gone already
    else:
        watch = select.poll()
        watch.register(descriptor, select.POLLIN)
        watch.poll()
    # If the worker is a process of its own, its parent is the engine. The current parent may be another process that
    # inherited this one: only the original parent is the engine.
    if actor != PARENT and os.getppid() == PARENT:
        os.kill(PARENT, signal.SIGKILL)
    os._exit(1)


if ACTOR_PID in os.environ and os.environ[ACTOR_PID] != str(os.getpid()):
    threading.Thread(target=_end_with, args=(int(os.environ[ACTOR_PID]),), daemon=True, name="watch-actor").start()
    os.nice(int(os.environ.get(NICE, 0)))  # this thread, which computes, and those that it will start

"""The servers that benchmarks.serving compares, each a process of its own with all that it starts.

vllm: vLLM's own OpenAI server, which `vllm serve` runs, without request logs and statistics. ray:
`ray.serve.llm.build_openai_app` in a local Ray, with its defaults for everything but the engine
(`python -m benchmarks.serving.sides OPTIONS PORT` is that process). ours: `rrtf serve`.

The engine is the same on all sides: `engine_arguments` of the same settings, as flags, `engine_kwargs` or settings,
with as many threads, bound to no cores. What differs, and is compared, is how the parts communicate.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import psutil

from rrtf_ray.config import EngineArguments

NAME = "bench"
START_LIMIT_S = 300.0
STOP_LIMIT_S = 40.0
_TAIL_LINES = 30


@dataclass(frozen=True)
class Options:
    """What all sides are started with. threads: of the engine."""

    model: str
    max_model_len: int = 1024
    kv_cache_bytes: int = 2**30
    threads: int = 1

    def engine(self) -> dict[str, Any]:
        """The engine's arguments, without our watch over its parent, which plain vLLM does not have."""
        from rrtf_ray.engines.arguments import engine_arguments

        settings = EngineArguments(
            dtype="float32", max_model_len=self.max_model_len, kv_cache_memory_bytes=self.kv_cache_bytes
        )
        return {k: v for k, v in engine_arguments(settings).items() if k != "worker_extension_cls"}

    def environment(self) -> dict[str, str]:
        from rrtf_ray.engines.environment import ENVIRONMENT

        return ENVIRONMENT | {"OMP_NUM_THREADS": str(self.threads)}


def _vllm(options: Options, port: int) -> list[str]:
    flags = ["--model", options.model, "--served-model-name", NAME, "--host", "127.0.0.1", "--port", str(port)]
    flags += ["--disable-log-stats", "--disable-uvicorn-access-log", "--uvicorn-log-level", "warning"]
    for name, value in options.engine().items():
        flag = name.replace("_", "-")
        flags += [f"--{flag}" if value else f"--no-{flag}"] if isinstance(value, bool) else [f"--{flag}", str(value)]
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *flags]


def _ray(options: Options, port: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.serving.sides", json.dumps(asdict(options)), str(port)]


def _ours(options: Options, port: int) -> list[str]:
    settings = {
        "engine.dtype": "float32",
        "engine.max_model_len": options.max_model_len,
        "engine.kv_cache_memory_bytes": options.kv_cache_bytes,
        "engine.cpus": options.threads,
    }
    command = [sys.executable, "-m", "rrtf_ray", "serve", "--model", options.model, "--name", NAME]
    return [*command, "--port", str(port), *(f"{key}={value}" for key, value in settings.items())]


COMMANDS: dict[str, Callable[[Options, int], list[str]]] = {"vllm": _vllm, "ray": _ray, "ours": _ours}


class NotThere(Exception):
    """A side could not be started."""


class Server:
    """A running side: `with Server("vllm", options) as server: ...`."""

    def __init__(self, side: str, options: Options) -> None:
        """Returns once it answers. Raises NotThere if it ends before, or does not answer within START_LIMIT_S."""
        self.side = side
        self._log: IO[str] = tempfile.NamedTemporaryFile("w+", prefix=f"rrtf-bench-{side}-", suffix=".log")  # noqa: SIM115
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
        self._process = subprocess.Popen(
            COMMANDS[side](options, port),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment | options.environment() | {"RAY_AUTH_MODE": "disabled"},
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: Any) -> None:
        """End it and everything that it started, by process id."""
        everything = self.processes()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_LIMIT_S)
        psutil.wait_procs(everything, timeout=5)
        left = [process for process in everything if process.is_running()]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):  # psutil notices a reused process id
                process.kill()
        psutil.wait_procs(left, timeout=5)
        self._log.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def processes(self) -> list[psutil.Process]:
        """The side's process and its descendants."""
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self._process.pid)
            return [top, *top.children(recursive=True)]
        return []

    def processor_seconds(self) -> dict[str, float]:
        """Processor time so far, by kind of process."""
        found: dict[str, float] = defaultdict(float)
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[_kind(process)] += times.user + times.system
        return found

    def _wait(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while not _answers(self.url):
            if self._process.poll() is not None:
                raise NotThere(f"{self.side} ended with status {self._process.returncode}:\n{self._tail()}")
            if time.monotonic() > deadline:
                raise NotThere(f"{self.side} does not answer after {START_LIMIT_S:g} s:\n{self._tail()}")
            time.sleep(0.3)

    def _tail(self) -> str:
        lines = Path(self._log.name).read_text(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])


def _answers(url: str) -> bool:
    """Whether it gives a completion: Ray's application answers `/v1/models` long before its engine runs."""
    body = json.dumps({"model": NAME, "prompt": "def f", "max_tokens": 1}).encode()
    request = urllib.request.Request(f"{url}/v1/completions", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _kind(process: psutil.Process) -> str:
    """What a process does, which Ray and vLLM write into the command line."""
    command = process.cmdline()
    first = command[0] if command else process.name()
    if first.startswith("ray::"):
        return first.removeprefix("ray::").split("#")[0].strip()
    if first.startswith("VLLM::"):
        return "engine"
    modules = [word for last, word in pairwise(command) if last == "-m"]
    scripts = [Path(word).name for word in command[1:3] if word.endswith(".py")]
    return next(iter([*modules, *scripts]), Path(first).name)


def serve_by_ray(options: Options, port: int) -> None:
    """Ray's own application, until SIGTERM."""
    import ray
    from ray import serve
    from ray.serve.llm import LLMConfig, build_openai_app

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ray.init(
        address="local",
        num_cpus=max(4, os.cpu_count() or 1),
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": options.environment()},
    )
    try:
        config = LLMConfig(
            model_loading_config={"model_id": NAME, "model_source": options.model},
            engine_kwargs=options.engine(),
            placement_group_config={"bundles": [{"CPU": options.threads}]},
            runtime_env={"env_vars": options.environment()},
            log_engine_metrics=False,
        )
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(build_openai_app({"llm_configs": [config]}))
        while True:
            signal.pause()
    finally:
        serve.shutdown()
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=serve_by_ray.__doc__)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("port", type=int)
    args = parser.parse_args()
    serve_by_ray(Options(**args.options), args.port)


if __name__ == "__main__":
    main()

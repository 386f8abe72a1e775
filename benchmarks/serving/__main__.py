"""Our serving, and Ray's own application, against plain `vllm serve`: same model, requests and engine.

    python -m benchmarks.serving [--json] [--model DIR] [--folder DIR] [--problems HumanEval.jsonl] [--only KEY,...]
        [--pairs N] [--seconds N] [--overload-seconds N] [--overload-factor N] [--max-tokens N] [--max-model-len N]
        [--threads N]

The model is a random GPTBigCode of 48 million parameters (benchmarks.training.data); `--folder` keeps it for the next
run, `--model` takes another. benchmarks.serving.sides starts the sides, benchmarks.serving.load asks them. Two sides
run at a time and take turns, each warmed up first; a turn is as many requests as take vLLM about `--seconds`, the same
for both, and no prompt is sent to a side twice.

    throughput_*_N      completion tokens per second with N clients that ask without pause, half of the requests
                        streamed, ours / theirs
    median_latency_*    seconds to the last token of a streamed request, with 4 clients: the median, ours / theirs
    p99_latency_*       the same, the 99th percentile
    ttft_*              median seconds to the first token of these requests, ours / theirs
    *_ray_vs_vllm       the same for Ray's application
    overload_failed     requests that our side accepted and failed, while `--overload-factor` (4) times as many came as
                        it answers with 32 clients
    overload_rejection_p99_ms    until a 429 arrived
    overload_throughput_share    tokens per second of accepted requests / those with 32 clients just before

`turns:` has what each side did in each turn, with the processor milliseconds per 1,000 tokens of its processes.
"""

from __future__ import annotations

import json
import math
import signal
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import arguments, in_turn, spread
from benchmarks.serving.load import Closed, Found, Loader, Open
from benchmarks.serving.sides import NAME, NotThere, Options, Server
from benchmarks.training.data import make_model, make_tokenizer

PEAK_CLIENTS = 32
_WARM_UP_ROUNDS = 2
_SHOWN_KINDS = 8


class Turn(NamedTuple):
    """What a side did with one job. processor_ms: per 1,000 tokens, by kind of process."""

    tokens: int
    requests: int
    seconds: float
    median: float
    p99: float
    first: float
    processor_ms: dict[str, int]
    load_ms: float

    @property
    def speed(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Workload:
    """clients: who ask without pause. stream: the share of streamed requests."""

    clients: int
    stream: float
    goals: dict[str, tuple[Callable[[Turn, Turn], float], str]]
    """By key with a gap for what is compared: the figure of a side's turn and one of vLLM's, and our goal."""


def _speed(one: Turn, other: Turn) -> float:
    return one.speed / other.speed


WORKLOADS = (
    Workload(1, 0.5, {"throughput_{}_1": (_speed, ">= 0.9")}),
    Workload(8, 0.5, {"throughput_{}_8": (_speed, ">= 0.9")}),
    Workload(PEAK_CLIENTS, 0.5, {"throughput_{}_32": (_speed, ">= 0.9")}),
    Workload(
        4,
        1.0,
        {
            "median_latency_{}": (lambda one, other: one.median / other.median, "<= 1.15"),
            "p99_latency_{}": (lambda one, other: one.p99 / other.p99, "<= 1.3"),
            "ttft_{}": (lambda one, other: one.first / other.first, "<= 1.2"),
        },
    ),
)
COMPARED = {"ours": "vs_vllm", "ray": "ray_vs_vllm"}
OVERLOAD = {
    "overload_failed": "0",
    "overload_rejection_p99_ms": "<= 50",
    "overload_throughput_share": ">= 0.9",
}


@dataclass
class Bench:
    """Asks the sides and collects the figures."""

    load: Loader
    pairs: int
    seconds: int
    max_tokens: int
    only: set[str]

    def __post_init__(self) -> None:
        self.figures: dict[str, list[float]] = {}
        self.goals: dict[str, str] = {}
        self.turns: dict[str, list[dict[str, Any]]] = {}
        self.faults: list[str] = []
        self._next = 0

    def wants(self, keys: Sequence[str]) -> bool:
        return not self.only or bool(self.only.intersection(keys))

    def compare(self, one: Server, vllm: Server) -> None:
        """All wanted workloads, one side against vLLM."""
        for workload in WORKLOADS:
            goals = {key.format(COMPARED[one.side]): found for key, found in workload.goals.items()}
            if self.wants([*goals]):
                found = self._pairs(workload, one, vllm)
                for key, (figure, goal) in goals.items():
                    self.figures[key] = [figure(a, b) for a, b in found]
                    self.goals[key] = goal if one.side == "ours" else ""

    def overload(self, server: Server, seconds: int, factor: int) -> None:
        """Send more requests than the side can answer."""
        if not self.wants([*OVERLOAD]):
            return
        workload = Workload(PEAK_CLIENTS, 0.5, {})
        self._ask(workload, server, self._take(_WARM_UP_ROUNDS * PEAK_CLIENTS), _WARM_UP_ROUNDS * PEAK_CLIENTS)
        requests = 2 * self._requests(workload, server)
        peak = self._ask(workload, server, self._take(requests), requests)
        rate = factor * peak.requests / peak.seconds
        job = Open(server.url, rate, seconds, self._take(math.ceil(2 * rate * seconds) + 100), self.max_tokens)
        found = self.load.run(job)
        self.goals |= OVERLOAD
        done = [a for a in found.asked if a.status == 200 and not a.fault]
        rejected = [a for a in found.asked if a.status == 429]
        others = [a for a in found.asked if a.status != 429 and a.fault]
        self.faults += [f"{server.side}, overload: {a.status} {a.fault}" for a in others[:5]]
        # The first tenth fills the engine and the queue.
        tokens = sum(a.tokens for a in done if seconds / 10 <= a.ended <= seconds)
        self.figures["overload_failed"] = [float(len(others))]
        if rejected:
            self.figures["overload_rejection_p99_ms"] = [1e3 * _percentile([a.ended - a.began for a in rejected], 0.99)]
        self.figures["overload_throughput_share"] = [tokens / (0.9 * seconds) / peak.speed]
        self.turns[f"{server.side}, overload"] = [
            {
                "requests_per_s": round(rate, 1),
                "peak_tokens_per_s": round(peak.speed, 1),
                "sent": len(found.asked),
                "done": len(done),
                "rejected": len(rejected),
                "failed": len(others),
                "rejected_without_retry_after": sum(not a.retry_after for a in rejected),
                "sent_late_ms_p99": round(1e3 * _percentile(found.late_s, 0.99), 1),
                "load_processor_share": round(found.processor_s / found.seconds, 3),
            }
        ]

    def _pairs(self, workload: Workload, one: Server, other: Server) -> list[tuple[Turn, Turn]]:
        warm_up = _WARM_UP_ROUNDS * workload.clients
        first = self._take(warm_up)
        for server in (one, other):
            self._ask(workload, server, first, warm_up)
        requests = self._requests(workload, other)
        firsts = [self._take(requests) for _ in range(self.pairs)]
        turns: dict[str, list[Turn]] = {one.side: [], other.side: []}

        def ask(server: Server) -> Turn:
            turn = self._ask(workload, server, firsts[len(turns[server.side])], requests)
            turns[server.side].append(turn)
            return turn

        found = in_turn(self.pairs, lambda: ask(one), lambda: ask(other))
        kind = "latency" if workload.stream == 1 else "throughput"
        for server, peer in ((one, other), (other, one)):
            name = f"{server.side} (with {peer.side}), {kind} {workload.clients}"
            self.turns[name] = [_readable(turn) for turn in turns[server.side]]
        return found

    def _requests(self, workload: Workload, server: Server) -> int:
        """As many requests as take the side about `seconds`, a multiple of the clients."""
        tried = _WARM_UP_ROUNDS * workload.clients
        seconds = self._ask(workload, server, self._take(tried), tried).seconds
        return max(2, round(_WARM_UP_ROUNDS * self.seconds / seconds)) * workload.clients

    def _take(self, number: int) -> int:
        """The first of `number` unused request numbers."""
        first, self._next = self._next, self._next + number
        return first

    def _ask(self, workload: Workload, server: Server, first: int, requests: int) -> Turn:
        before = server.processor_seconds()
        job = Closed(server.url, workload.clients, requests, first, self.max_tokens, workload.stream)
        found = self.load.run(job)
        used = {kind: s - before.get(kind, 0.0) for kind, s in server.processor_seconds().items()}
        faults = [a for a in found.asked if a.fault]
        self.faults += [f"{server.side}: {a.status} {a.fault}" for a in faults[:5]]
        if len(faults) == len(found.asked):
            raise SystemExit(f"{server.side} answered nothing: {faults[0].status} {faults[0].fault}")
        return _turn(found, used)


def _turn(found: Found, used: dict[str, float]) -> Turn:
    done = [a for a in found.asked if not a.fault]
    tokens = sum(a.tokens for a in done)
    times = [a.ended - a.began for a in done]
    firsts = [a.first - a.began for a in done if a.first]
    spent = {kind: ms for kind, s in used.items() if (ms := round(1e6 * s / tokens)) > 0}
    return Turn(
        tokens,
        len(done),
        found.seconds,
        statistics.median(times),
        _percentile(times, 0.99),
        statistics.median(firsts) if firsts else math.nan,
        dict(sorted(spent.items(), key=lambda item: -item[1])[:_SHOWN_KINDS]),
        1e6 * found.processor_s / tokens,
    )


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)] if values else math.nan


def _readable(turn: Turn) -> dict[str, Any]:
    return {
        "tokens_per_s": round(turn.speed, 1),
        "tokens": turn.tokens,
        "requests": turn.requests,
        "median_s": round(turn.median, 3),
        "p99_s": round(turn.p99, 3),
        "ttft_s": round(turn.first, 3),
        "load_ms_per_1000": round(turn.load_ms),
        "processor_ms_per_1000": turn.processor_ms,
    }


def _text(server: Server, max_tokens: int) -> str:
    """A greedy answer, to check that two sides serve the same model."""
    body = {"model": NAME, "prompt": "def add(a, b):\n", "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True}
    request = urllib.request.Request(
        f"{server.url}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["choices"][0]["text"])


def servable_model(folder: Path) -> str:
    """A folder that can be served: model, tokenizer, generation config. Made if missing."""
    if not (folder / "tokenizer.json").exists():
        make_tokenizer(folder)
    if not (folder / "model.safetensors").exists():
        make_model(folder, seed=0)
    return str(folder)


def _wanted_sides(only: set[str]) -> list[str]:
    """The sides to compare with vLLM; Ray's first, so ours is up for the overload at the end."""
    keys = {side: {key.format(what) for w in WORKLOADS for key in w.goals} for side, what in COMPARED.items()}
    keys["ours"] |= OVERLOAD.keys()
    unknown = only - keys["ours"] - keys["ray"]
    if unknown:
        raise SystemExit(
            f"--only: unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(keys['ours'] | keys['ray']))}"
        )
    return [side for side in ("ray", "ours") if not only or only & keys[side]]


def main() -> None:
    args = arguments(
        __doc__,
        model="",
        folder="",
        problems="",
        only="",
        pairs=3,
        seconds=15,
        overload_seconds=60,
        overload_factor=4,
        max_tokens=64,
        max_model_len=1024,
        threads=1,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the sides too
    only = {key for key in args.only.split(",") if key}
    sides = _wanted_sides(only)
    with ExitStack() as stack:
        folder = Path(args.folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="rrtf-bench-")))
        model = args.model or servable_model(folder / "served")
        options = Options(model, args.max_model_len, threads=args.threads)
        load = stack.enter_context(Loader(args.problems))
        bench = Bench(load, args.pairs, args.seconds, args.max_tokens, only)
        alone = bool(only) and only <= OVERLOAD.keys()
        vllm = None if alone else stack.enter_context(Server("vllm", options))
        for side in sides:
            try:
                with Server(side, options) as server:
                    if vllm:
                        if _text(server, args.max_tokens) != _text(vllm, args.max_tokens):
                            bench.faults.append(f"{side} gave another text than vLLM to the same greedy request")
                        bench.compare(server, vllm)
                    if side == "ours":
                        bench.overload(server, args.overload_seconds, args.overload_factor)
            except NotThere as error:
                print(f"{side} is left out: {error}", file=sys.stderr)
    _print(bench, args.json)


def _print(bench: Bench, as_json: bool) -> None:
    spreads = {key: spread(values) for key, values in bench.figures.items()}
    if as_json:
        medians = {key: round(found["median"], 4) for key, found in spreads.items()}
        details = {key: {**found, "goal": bench.goals[key]} for key, found in spreads.items()}
        print(json.dumps({**medians, "details": details, "turns": bench.turns, "faults": bench.faults}))
        return
    print(f"{'figure':<30}{'median':>8}{'min':>8}{'max':>8}   goal")
    for key, found in spreads.items():
        figures = "".join(f"{found[name]:>8.3f}" for name in ("median", "min", "max"))
        print(f"{key:<30}{figures}   {bench.goals[key]}")
    print("turns:")
    for name, turns in bench.turns.items():
        for turn in turns:
            print(f"  {name:<36}" + "  ".join(f"{key} {value}" for key, value in turn.items()))
    print(f"faults: {len(bench.faults)}")
    for fault in bench.faults[:20]:
        print(f"  {fault}")


if __name__ == "__main__":
    main()

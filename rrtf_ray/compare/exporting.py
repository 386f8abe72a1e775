"""Judged samples as other tools' files: logs for inspect_ai's viewer, bundles for NeMo Evaluator's comparison.

Both are written from the same inputs that `rrtf compare` reads, a file or folder for each draw.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rrtf_ray.compare.reading import read
from rrtf_ray.compare.records import Drawn, JudgedSample, Measured
from rrtf_ray.core.metrics import Estimate, mean_pass_at_k
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.progress import say
from rrtf_ray.store.files import exists, is_folder, join, write_bytes

INSPECT, NEMO = "inspect", "nemo"


def export(name: str, form: str, output: str) -> list[str]:
    """Write every draw of an input below `output`; returns the files' places.

    form: `inspect` (one JSON log a draw) or `nemo` (a folder a draw, with its bundle and results.jsonl).
    Raises InputError where `output` is a file, DataError where no sample was judged; nothing is written then.
    """
    if exists(output) and not is_folder(output):
        raise InputError(f"--output {output} is a file; name a folder")
    measured = read(name)
    files: dict[str, bytes] = {}
    for draw in measured.draws:
        if not any(sample.counts for _, _, sample in _samples(draw)):
            raise DataError(f"{name}: no sample of {draw.name} was judged; nothing to export")
        files |= _inspect(measured, draw) if form == INSPECT else _nemo(measured, draw)
    places = [join(output, path) for path in files]
    for place, content in zip(places, files.values(), strict=True):
        write_bytes(place, content)
        say(place)
    return places


def _inspect(measured: Measured, draw: Drawn) -> dict[str, bytes]:
    """inspect_ai's EvalLog, version 2. A sample is C (correct) or I; one that could not be judged has an error."""
    now = datetime.now(UTC).isoformat()
    samples = [_inspect_sample(draw, id_, epoch, sample) for id_, epoch, sample in _samples(draw)]
    estimate = _pass_at_1(draw)
    metric = {"name": "accuracy", "value": estimate.value}
    config = {
        name: value for name, value in (("temperature", draw.temperature), ("top_p", draw.top_p)) if value is not None
    }
    log = {
        "version": 2,
        "status": "success",
        "eval": {
            "created": now,
            "task": f"{draw.suite.name or 'rrtf'}/{draw.name}",
            "dataset": {"name": draw.suite.name or measured.path, "samples": len(draw.samples)},
            "model": measured.model or measured.path,
            "config": {"epochs": draw.n},
            "model_generate_config": config,
            "metadata": {"protocol_hash": draw.suite.protocol_hash, "data_sha256": draw.suite.data},
        },
        "results": {
            "total_samples": len(samples),
            "completed_samples": sum("error" not in sample for sample in samples),
            "scores": [{"name": "tests", "scorer": "tests", "metrics": {"accuracy": metric}}],
        },
        "stats": {"started_at": now, "completed_at": now},
        "samples": samples,
    }
    return {f"{_file_name(draw.name)}.json": json.dumps(log).encode()}


def _inspect_sample(draw: Drawn, id_: str, epoch: int, sample: JudgedSample) -> dict[str, Any]:
    message = {"role": "assistant", "content": sample.program}
    found = {
        "id": id_,
        "epoch": epoch,
        "input": draw.suite.prompts.get(id_, id_),
        "target": "",
        "output": {"model": "", "choices": [{"message": message, "stop_reason": "stop"}]},
        "metadata": {"outcome": sample.outcome.value},
    }
    if not sample.counts:
        text = sample.detail or sample.outcome.value
        return found | {"error": {"message": text, "traceback": text, "traceback_ansi": text}}
    score = {"value": "C" if sample.passed else "I", "answer": sample.program, "explanation": sample.detail}
    return found | {"scores": {"tests": score}}


def _nemo(measured: Measured, draw: Drawn) -> dict[str, bytes]:
    """NeMo Evaluator's bundle, and the rows that it pairs by (problem_idx, repeat), without faults of the machinery.
    problem_idx has to be a whole number: one that follows from the problem's id, so that it is the same in every
    export."""
    name = draw.suite.name or "rrtf"
    estimate = _pass_at_1(draw)
    scores = {"pass@1": {"value": estimate.value, "ci_lower": estimate.low, "ci_upper": estimate.high}}
    bundle = {
        "run_id": f"{measured.model or measured.path} {draw.name}",
        "config": dict(draw.suite.protocol),
        "benchmark": {"name": f"{name}/{draw.name}", "samples": len(draw.samples), "repeats": draw.n, "scores": scores},
    }
    rows = [
        {
            "problem_idx": int(hashlib.sha256(id_.encode()).hexdigest()[:12], 16),
            "repeat": epoch - 1,
            "reward": float(sample.passed),
            "model_response": sample.program,
            "metadata": {"task_id": id_},
            "scoring_details": {"outcome": sample.outcome.value, "detail": sample.detail},
        }
        for id_, epoch, sample in _samples(draw)
        if sample.counts
    ]
    folder = _file_name(draw.name)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    return {f"{folder}/eval-{folder}.json": json.dumps(bundle).encode(), f"{folder}/results.jsonl": lines.encode()}


def _samples(draw: Drawn) -> Iterator[tuple[str, int, JudgedSample]]:
    """Problem, number from 1 and sample, problem by problem."""
    for id_, samples in draw.samples.items():
        for number, sample in enumerate(samples, 1):
            yield id_, number, sample


def _pass_at_1(draw: Drawn) -> Estimate:
    judged = [[sample for sample in samples if sample.counts] for samples in draw.samples.values()]
    return mean_pass_at_k([(len(its), sum(s.passed for s in its)) for its in judged if its], 1)


def _file_name(name: str) -> str:
    """A draw's name as one part of a path."""
    return "".join(c if c.isalnum() or c in ".=_-" else "-" for c in name)

"""Inputs of `rrtf compare`, written as their commands write them: results, a benchmark's directory, an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rrtf_ray.config import Draw
from rrtf_ray.core.evaluation import Judged, evaluate_groups
from rrtf_ray.identity import fingerprint
from rrtf_ray.problems.samples import ProblemIndex, SampleRow
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Candidate, Group, Outcome, Problem, Source, TestStatus, Verdict
from rrtf_ray.store.files import write_json
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir
from rrtf_ray.verify.rows import row_of, samples_of
from tests.records_for_tests import problem

Outcomes = Mapping[str, str]
"""By problem id: a letter for each sample."""
LETTERS = {
    "p": Outcome.PASSED,
    "f": Outcome.FAILED,
    "r": Outcome.RUNTIME_ERROR,
    "t": Outcome.TIMEOUT,
    "s": Outcome.SANDBOX_ERROR,
}


def verdict(letter: str) -> Verdict:
    outcome = LETTERS[letter]
    status = TestStatus.PASSED if outcome is Outcome.PASSED else TestStatus.FAILED
    return Verdict(outcome, (status,), 0.01, "" if letter == "p" else f"test 1: {outcome.value}")


def program(model: str, letter: str, index: int) -> str:
    return f"    return {letter!r}  # sample {index}\n    # of {model}\n"


def simple(passed: Sequence[bool]) -> dict[str, str]:
    """One sample a problem."""
    return {f"p/{number}": "p" if good else "f" for number, good in enumerate(passed)}


def flips(won: int, lost: int, both: int, neither: int) -> tuple[dict[str, str], dict[str, str]]:
    """The baseline's and the other's outcomes with one sample a problem."""
    sizes = ((won, False, True), (lost, True, False), (both, True, True), (neither, False, False))
    pairs = [(mine, its) for size, mine, its in sizes for _ in range(size)]
    return simple([mine for mine, _ in pairs]), simple([its for _, its in pairs])


def results(path: Path, outcomes: Outcomes, *, with_samples: bool = True) -> str:
    """FILE.results.jsonl with its samples beside it; returns its path."""
    stem = path.name.removesuffix(".results.jsonl")
    texts = [
        (id_, letter, program(stem, letter, index))
        for id_, letters in outcomes.items()
        for index, letter in enumerate(letters)
    ]
    rows = [SampleRow(Row(f"s:{i}", {}), id_, "", (text,), False) for i, (id_, _, text) in enumerate(texts, 1)]
    samples = samples_of(rows, ProblemIndex([problem(id_) for id_ in outcomes]), "tests")
    lines = [row_of(sample, verdict(letter)) for sample, (_, letter, _) in zip(samples, texts, strict=True)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    if with_samples:
        written = [json.dumps({"task_id": id_, "completion": text}) for id_, _, text in texts]
        path.with_name(f"{stem}.jsonl").write_text("\n".join(written) + "\n")
    return str(path)


def benchmark(
    directory: Path,
    sampled: Mapping[str, tuple[float, Outcomes]],
    dates: Mapping[str, str] | None = None,
    **changes: Any,
) -> str:
    """An output directory of `rrtf benchmark`; returns its path. sampled: temperature and outcomes by name of a
    draw. dates: by problem. changes: other fields of benchmark.json."""
    directory.mkdir()
    problems = RowStore(str(directory / "problems"), Problem, "id")
    ids = dict.fromkeys(id_ for _, its in sampled.values() for id_ in its)
    problems.write([problem(id_, date=(dates or {}).get(id_, "")) for id_ in ids])
    problems.finish({})
    described = []
    for name, (temperature, outcomes) in sampled.items():
        results(directory / f"{name}.results.jsonl", outcomes)
        described.append(
            {
                "name": name,
                "temperature": temperature,
                "top_p": 0.95 if temperature else 1.0,
                "n": max(map(len, outcomes.values())),
                "samples": f"{name}.jsonl",
                "results": f"{name}.results.jsonl",
                "pass_at_k": {},
            }
        )
    protocol = {"suite": "tiny", "limits": {"cpu_s": 3.0}}
    written = {
        "kind": "benchmark",
        "model": directory.name,
        "suite": "tiny",
        "protocol": protocol,
        "protocol_hash": fingerprint(changes.get("protocol", protocol)),
        "data_sha256": "ab" * 32,
        "num_problems": 3,
        "draws": described,
        **changes,
    }
    (directory / "benchmark.json").write_text(json.dumps(written))
    return str(directory)


def evaluation(
    run_dir: Path,
    label: str,
    outcomes: Sequence[Outcomes],
    draws: Sequence[Draw] = (Draw(temperature=0.0, n=1),),
    *,
    finished: bool = True,
    prompt: str = "def double(x):\n",
    dates: Mapping[str, str] | None = None,
    **settings: Any,
) -> str:
    """`evaluations/<label>` of a run; returns its path. outcomes: by problem, for each draw."""
    run = RunDir(str(run_dir))
    ids = list(dict.fromkeys(id_ for its in outcomes for id_ in its))
    groups = [
        Group(
            problem(id_, prompt=prompt, date=(dates or {}).get(id_, "")),
            tuple(
                Candidate(
                    id=f"s{index}",
                    source=Source.STUDENT,
                    model=label,
                    response="",
                    completion="",
                    program=f"{prompt}{program(label, letter, index)}",
                    finish_reason="stop",
                    verdict=verdict(letter),
                )
                for index, letter in enumerate("".join(its.get(id_, "") for its in outcomes))
            ),
            "" if all(id_ in its for its in outcomes) else "the engine could not sample it",
        )
        for id_ in ids
    ]
    sample = {"draws": [draw.model_dump(mode="json") for draw in draws], "max_tokens": 160, "replay_path": None}
    store = run.evaluated_groups(label)
    made = {"model": f"{label}/checkpoint", "model_files": label, "replayed": "", "seed": 0, "round": 0}
    store.begin(fingerprint(label), {**made, "sample": {**sample, **settings}, "execute": {"cpu_s": 3.0}})
    store.write(groups)
    if finished:
        store.finish({"rows": len(groups)})
        judged = [Judged(g.problem.id, tuple(c.verdict.outcome for c in g.candidates if c.verdict)) for g in groups]
        write_json(
            run.at("evaluations", label, "evaluation.json"), evaluate_groups(judged, label, draws, [1]).as_dict()
        )
    return run.evaluation(label)

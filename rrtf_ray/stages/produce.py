"""Sample, execute and rank: each by itself, or sample and execute as one streaming plan.

Every one of them maps a row store to a row store by `run_plan`, is skipped where its output is complete, and
continues where it was interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import ray

from rrtf_ray.cluster.failures import unwrapped
from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, RankConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.errors import InputError, StageError
from rrtf_ray.identity import fingerprint, stable_seed
from rrtf_ray.progress import bar, say
from rrtf_ray.records import Group, Outcome, Problem, Ranking
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.actors import execute_step, sample_step
from rrtf_ray.stages.preflight import check_prompts
from rrtf_ray.stages.replay import hash_of, load_replay
from rrtf_ray.stages.stream import LIGHT, Step, Tally, finished_tally, ids_with_sandbox_errors, run_plan
from rrtf_ray.store.files import absolute, is_local, join
from rrtf_ray.store.models import check_model, model_identity
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import model_name

# How a stage is spread over the cluster does not change its rows, so a rerun may change it.
_SPREAD = {
    "sample": {
        "min_engines",
        "max_engines",
        "cpus_per_engine",
        "gpus_per_engine",
        "rows_per_task",
        "tasks_per_engine",
    },
    "model": {"tensor_parallel_size", "kv_cache_memory_bytes"},
    "engine": {"max_num_seqs", "max_num_batched_tokens", "gpu_memory_utilization", "enforce_eager"},
    "execute": {"min_workers", "max_workers", "max_sandbox_error_rate", "cache"},
}


def sample(
    config: Config, source: RowStore[Problem], sink: RowStore[Group], model: str, number: int, name: str
) -> Tally:
    """Candidates for every problem; `number` is the round, which enters the seeds."""
    step = _sampling(config, source, sink, model, number)
    settings = _sample_settings(config, model, number)
    return _run(config, name, source, sink, [step] if step else [], settings)


def sample_and_execute(
    config: Config, source: RowStore[Problem], sink: RowStore[Group], model: str, number: int, name: str
) -> Tally:
    """As sample and then execute, in one plan: the first programs run while the last are written."""
    step = _sampling(config, source, sink, model, number)
    steps = [step, execute_step(config.execute, _cache(config))] if step else []
    settings = _sample_settings(config, model, number) | _execute_settings(config)
    return _run(config, name, source, sink, steps, settings)


def execute(config: Config, source: RowStore[Group], sink: RowStore[Group], name: str) -> Tally:
    """Verdicts for the candidates of groups that were sampled before."""
    require("execute.min_workers", cpus=config.execute.min_workers, largest_cpus=1)
    # The same claim as sample_and_execute's: both routes lead to the same groups.
    settings = source.settings() | _execute_settings(config)
    return _run(config, name, source, sink, [execute_step(config.execute, _cache(config))], settings)


def rank_groups(config: Config, source: RowStore[Group], sink: RowStore[Ranking], name: str) -> Tally:
    """Rankings of executed groups, with a reason for each that cannot be trained on."""
    step = Step(
        _rank_table,
        {"fn_args": [config.rank], "batch_size": None, "num_cpus": 0.5, "udf_modifying_row_count": False},
    )
    return _run(config, name, source, sink, [step], {"rank": config.rank.model_dump(mode="json")})


def _rank_table(table: pa.Table, config: RankConfig) -> pa.Table:
    return to_table([rank(group, config) for group in from_table(Group, table)], Ranking)


def _sampling(config: Config, source: RowStore[Problem], sink: RowStore[Group], model: str, number: int) -> Step | None:
    """The sampling step after all checks that can fail before an engine starts; None where nothing is left to do."""
    if sink.is_complete():
        return None
    sample_config = config.sample
    replay = None
    if sample_config.engine == "vllm":
        check_model(model, config.model.max_model_len)
        check_prompts(source, model, config)
    elif sample_config.engine == "replay":
        assert sample_config.replay_path
        replay = ray.put(load_replay(sample_config.replay_path, source, sample_config.replay_limit))
    require(
        "sample.min_engines with execute.min_workers",
        # Engines, testers, reading and writing are all there at the same time.
        cpus=sample_config.min_engines * sample_config.cpus_per_engine + config.execute.min_workers + 2 * LIGHT,
        gpus=sample_config.min_engines * sample_config.gpus_per_engine,
        largest_cpus=sample_config.cpus_per_engine,
        largest_gpus=sample_config.gpus_per_engine,
    )
    return sample_step(config, model, stable_seed(config.seed, number), replay)


def _sample_settings(config: Config, model: str, number: int) -> dict[str, Any]:
    engine = config.model.model_dump(mode="json", exclude={"student", *_SPREAD["model"]})
    engine["engine"] = {k: v for k, v in engine["engine"].items() if k not in _SPREAD["engine"]}
    return {
        "model": model_name(config.run_dir, model),
        "model_files": model_identity(model) if config.sample.engine == "vllm" else "",
        "replayed": hash_of(config.sample.replay_path) if config.sample.replay_path else "",
        "engine": engine,
        "sample": config.sample.model_dump(mode="json", exclude=_SPREAD["sample"]),
        "seed": config.seed,
        "round": number,
    }


def _cache(config: Config) -> str:
    """The file of known verdicts, or empty."""
    return (
        join(absolute(config.run_dir), "cache", "verdicts.sqlite")
        if config.execute.cache and is_local(config.run_dir)
        else ""
    )


def _execute_settings(config: Config) -> dict[str, Any]:
    return {"execute": config.execute.model_dump(mode="json", exclude=_SPREAD["execute"])}


def _run(
    config: Config,
    name: str,
    source: RowStore,
    sink: RowStore,
    steps: Sequence[Step],
    settings: Mapping[str, Any],
) -> Tally:
    if not source.is_complete():
        raise InputError(f"{source.uri} is not complete; run the stage that writes it first")
    made_of = source.manifest()
    total = made_of["rows"]
    # Rows depend on the problems and on every setting since; a sample store hands its problems' origin on.
    origin = made_of["fingerprint"] if sink.record is Ranking else made_of.get("origin", made_of["fingerprint"])
    sink.begin(fingerprint(dict(settings), origin), dict(settings))
    tally = finished_tally(sink)
    if sink.is_complete():
        say(f"{name}: complete already, {_counts(tally)}")
        return tally
    if tally.outcomes[Outcome.SANDBOX_ERROR.value]:  # the machinery may have been mended since
        sink.drop(ids_with_sandbox_errors(sink))
        tally = finished_tally(sink)
    started = time.monotonic()
    kept = tally.rows
    _run_missing(config, name, source, sink, steps, tally, total)
    if tally.outcomes[Outcome.SANDBOX_ERROR.value]:
        # Other actors, on any machine, before it counts: the fault may have been one machine's.
        broken = ids_with_sandbox_errors(sink)
        say(f"{name}: {len(broken)} problems with a sandbox_error are run again")
        sink.drop(broken)
        _run_missing(config, name, source, sink, steps, finished_tally(sink), total)
    tally = finished_tally(sink)
    if tally.rows != total:
        raise StageError(
            f"{name}: {total - tally.rows} of {total} rows are missing in {sink.uri}; start the same command again. "
            "On a cluster of several machines, run_dir must be a place that all of them can reach"
        )
    _check_sandbox_errors(config, tally, at_least=1)
    seconds = time.monotonic() - started
    sink.finish(
        {
            "rows": tally.rows,
            "candidates": tally.candidates,
            "tokens": tally.tokens,
            "outcomes": dict(tally.outcomes),
            "reasons": dict(tally.reasons),
            "seconds": round(seconds, 3),
            "fingerprint": fingerprint(dict(settings), origin),
            **({"origin": origin} if sink.record is Group else {}),
        }
    )
    resumed = f", {kept} of them from before" if kept else ""
    say(f"{name}: {total} in, {tally.rows} out{resumed}, {_counts(tally)} ({seconds:.1f} s)")
    return tally


def _run_missing(
    config: Config, name: str, source: RowStore, sink: RowStore, steps: Sequence[Step], tally: Tally, total: int
) -> None:
    """Run the rows that are not in the sink yet; `tally` counts on from what is there."""
    done = set(sink.ids())
    with bar(name, total, len(done)) as shown, unwrapped(name):
        plan = run_plan(
            source,
            sink,
            list(steps),
            done,
            rows_per_block=config.sample.rows_per_task,
            no_progress_s=config.cluster.resource_timeout_s,
        )
        for part in plan if len(done) < total else ():
            tally.add(part)
            shown.advance(part.rows, _counts(tally))
            _check_sandbox_errors(config, tally)
    sink.drop_repetitions()


def _check_sandbox_errors(config: Config, tally: Tally, at_least: int = 50) -> None:
    """Stop early rather than rank by a broken sandbox; below `at_least` candidates it is too early to tell."""
    judged = sum(tally.outcomes.values())
    broken = tally.outcomes[Outcome.SANDBOX_ERROR.value]
    limit = config.execute.max_sandbox_error_rate
    if judged >= at_least and broken > limit * judged:
        raise StageError(
            f"{broken} of {judged} programs ended as sandbox_error, more than execute.max_sandbox_error_rate={limit}; "
            "`rrtf doctor` shows what the sandbox lacks on this machine"
        )


def _counts(tally: Tally) -> str:
    texts = [f"{tally.candidates} candidates"]
    texts += [f"{count} {what}" for what, count in tally.outcomes.most_common()]
    texts += [f"{count} {what}" for what, count in tally.reasons.most_common(4)]
    return ", ".join(texts)

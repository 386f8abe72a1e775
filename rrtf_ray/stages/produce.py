"""Sample, execute and rank: each by itself, or all three as one streaming plan.

Every one of them maps a row store to a row store by `run_plan`, is skipped if its output is complete, and continues
where it was interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray

from rrtf_ray.cluster.failures import lost_a_process, unwrapped
from rrtf_ray.cluster.resources import require
from rrtf_ray.config import Config, RankConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.errors import InputError, StageError
from rrtf_ray.identity import fingerprint, stable_seed
from rrtf_ray.progress import bar, say
from rrtf_ray.records import Group, Problem, Ranking, Vote
from rrtf_ray.schemas import from_table, to_table
from rrtf_ray.stages.actors import execute_step, sample_step
from rrtf_ray.stages.preflight import check_prompts, prompting_for
from rrtf_ray.stages.replay import hash_of, load_replay
from rrtf_ray.stages.stream import LIGHT, Step, run_plan
from rrtf_ray.stages.tally import Count, Tally, ids_with_sandbox_errors, tally_of_manifest, tally_of_store
from rrtf_ray.store.files import absolute, is_local, join
from rrtf_ray.store.models import check_model, model_identity
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import model_name

MAX_LOSSES = 3
"""How often a plan that lost a node or a process is started again, for the missing rows, before the stage fails. Ray
Data recovers from most losses by itself."""

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
    config: Config, source: RowStore[Problem], sink: RowStore[Group], model: str, round: int, name: str
) -> Tally:
    """Candidates for every problem; the number of the round enters the seeds."""
    step = _sampling(config, source, sink, model, round)
    return _run(_Work(name, source, sink, [step] if step else [], _sample_settings(config, model, round)), config)


def sample_and_execute(
    config: Config,
    source: RowStore[Problem],
    sink: RowStore[Group],
    model: str,
    round: int,
    name: str,
    rankings: RowStore[Ranking] | None = None,
) -> Tally:
    """As sample and then execute, in one plan: the first programs run while the last are written.

    rankings: where the groups' rankings go, written along with them; `rank_groups` completes that store.
    """
    step = _sampling(config, source, sink, model, round)
    ranked_by = config.rank if rankings else None
    steps = [step, execute_step(config.execute, verdict_cache(config), ranked_by)] if step else []
    return _run(_Work(name, source, sink, steps, settings_of(config, model, round), rankings), config)


def execute(config: Config, source: RowStore[Group], sink: RowStore[Group], name: str) -> Tally:
    """Verdicts for the candidates of groups that were sampled before."""
    require("execute.min_workers", cpus=config.execute.min_workers, largest_cpus=1)
    # The same claim as sample_and_execute's: both routes lead to the same groups.
    settings = source.settings() | _execute_settings(config)
    return _run(_Work(name, source, sink, [execute_step(config.execute, verdict_cache(config))], settings), config)


def produce(
    config: Config, source: RowStore, sink: RowStore, steps: Sequence[Step], settings: dict[str, Any], name: str
) -> Tally:
    """Rows of a stage that is made elsewhere. settings: what they depend on besides their source and seeds."""
    return _run(_Work(name, source, sink, steps, settings), config)


def rank_groups(
    config: Config,
    source: RowStore[Group],
    sink: RowStore[Ranking],
    name: str,
    votes: Iterable[Vote] = (),
    voted: str = "",
) -> Tally:
    """Rankings of executed groups, with a reason for each that cannot be trained on.

    voted: the votes' fingerprint, on which the rankings depend; empty without votes.
    """
    by_problem: dict[str, list[Vote]] = {}
    for vote in votes:
        by_problem.setdefault(vote.problem_id, []).append(vote)
    step = Step(
        _rank_table,
        {
            "fn_args": [config.rank, ray.put(by_problem) if by_problem else None],
            "batch_size": None,
            "num_cpus": 0.5,
            "udf_modifying_row_count": False,
        },
    )
    return _run(_Work(name, source, sink, [step], _rank_settings(config, voted)), config)


def _rank_table(table: pa.Table, config: RankConfig, votes: Any) -> pa.Table:
    """votes: object reference of the votes by problem id, or None."""
    by_problem: dict[str, list[Vote]] = {} if votes is None else ray.get(votes)
    groups = from_table(Group, table)
    return to_table([rank(group, config, by_problem.get(group.problem.id, ())) for group in groups], Ranking)


def _sampling(config: Config, source: RowStore[Problem], sink: RowStore[Group], model: str, round: int) -> Step | None:
    """The sampling step after all checks that can fail before an engine starts; None where nothing is left to do."""
    if sink.is_complete():
        return None
    sample_config = config.sample
    replay, prompting = None, Prompting(sample_config.prompt_template)
    if sample_config.engine == "vllm":
        check_model(model, config.model.max_model_len)
        check_prompts(source, model, config)
        prompting = prompting_for(config, model)
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
    return sample_step(config, model, prompting, stable_seed(config.seed, round), replay)


def _sample_settings(config: Config, model: str, round: int) -> dict[str, Any]:
    engine = config.model.model_dump(mode="json", exclude={"student", *_SPREAD["model"]})
    engine["engine"] = {k: v for k, v in engine["engine"].items() if k not in _SPREAD["engine"]}
    return {
        "model": model_name(config.run_dir, model),
        "model_files": model_identity(model) if config.sample.engine == "vllm" else "",
        "replayed": hash_of(config.sample.replay_path) if config.sample.replay_path else "",
        "engine": engine,
        "sample": config.sample.model_dump(mode="json", exclude=_SPREAD["sample"]),
        "seed": config.seed,
        "round": round,
    }


def settings_of(config: Config, model: str, round: int) -> dict[str, Any]:
    """All that sampled and executed groups depend on besides their problems."""
    return _sample_settings(config, model, round) | _execute_settings(config)


def verdict_cache(config: Config) -> str:
    """The file of known verdicts, or empty."""
    return (
        join(absolute(config.run_dir), "cache", "verdicts.sqlite")
        if config.execute.cache and is_local(config.run_dir)
        else ""
    )


def _execute_settings(config: Config) -> dict[str, Any]:
    return {"execute": config.execute.model_dump(mode="json", exclude=_SPREAD["execute"])}


def _rank_settings(config: Config, voted: str = "") -> dict[str, Any]:
    """voted: see rank_groups. What votes weigh counts only where there are some."""
    if voted:
        return {"rank": config.rank.model_dump(mode="json"), "votes": voted}
    return {"rank": config.rank.model_dump(mode="json", exclude={"judge_weight", "editor_weight", "vote_prior"})}


@dataclass(frozen=True, slots=True)
class _Work:
    """The rows of a stage: from where, through what, to where.

    settings: what the rows depend on besides their source. rankings: a second sink, for rankings that come with groups.
    """

    name: str
    source: RowStore
    sink: RowStore
    steps: Sequence[Step]
    settings: dict[str, Any]
    rankings: RowStore[Ranking] | None = None

    def origin(self) -> str:
        """What the source's rows were made of: rows depend on the problems and on every setting since, and a store of
        samples hands its problems' origin on."""
        manifest = self.source.manifest()
        own: str = manifest["fingerprint"]
        return own if self.sink.record is Ranking else manifest.get("origin", own)


def _run(work: _Work, config: Config) -> Tally:
    """Bring the sink to completion; returns what is in it."""
    source, sink, name = work.source, work.sink, work.name
    if not source.is_complete():
        raise InputError(f"{source.uri} is not complete; run the stage that writes it first")
    origin = work.origin()
    identity = fingerprint(work.settings, origin)
    sink.begin(identity, work.settings)
    if sink.is_complete():
        tally = tally_of_manifest(sink.manifest())
        say(f"{name}: complete already, {_counts(tally)}")
        return tally
    if work.rankings:
        settings = _rank_settings(config)
        work.rankings.begin(fingerprint(settings, identity), settings)
    total: int = source.manifest()["rows"]
    started = time.monotonic()
    # Rows that a faulty machine could not judge are made again: it may have been repaired since.
    kept = _drop_unjudged(work, tally_of_store(sink)).rows
    tally = _run_missing(work, config, total)
    if tally.sandbox_errors:
        # Other actors, on any machine, before it counts: the fault may have been one machine's.
        left = _drop_unjudged(work, tally)
        say(f"{name}: {tally.rows - left.rows} problems with a sandbox_error are run again")
        tally = _run_missing(work, config, total)
    if tally.rows != total:
        raise StageError(
            f"{name}: {total - tally.rows} of {total} rows are missing in {sink.uri}; start the same command again. "
            "On a cluster of several machines, run_dir must be a place that all of them can reach"
        )
    _check_sandbox_errors(tally, config.execute.max_sandbox_error_rate, at_least=1)
    elapsed_s = time.monotonic() - started
    sink.finish(
        {
            **tally.as_manifest(),
            "elapsed_s": round(elapsed_s, 3),
            "fingerprint": identity,
            **({"origin": origin} if sink.record is Group else {}),
        }
    )
    resumed = f", {kept} of them from before" if 0 < kept < total else ""
    say(f"{name}: {total} in, {tally.rows} out{resumed}, {_counts(tally)} ({elapsed_s:.1f} s)")
    return tally


def _run_missing(work: _Work, config: Config, total: int) -> Tally:
    """Run the rows that are not in the sink yet; returns the counts of all that is there then."""
    losses = 0
    with unwrapped(work.name):
        while len(done := set(work.sink.ids())) < total:
            try:
                _run_once(work, config, done, total)
                break
            except ray.exceptions.RayError as error:
                losses += 1
                if losses > MAX_LOSSES or not lost_a_process(error):
                    raise
                say(f"{work.name}: a node or process of the cluster was lost; the missing rows are run again")
    for store in (work.sink, work.rankings):
        if store:
            store.drop_repetitions()
    return tally_of_store(work.sink)


def _run_once(work: _Work, config: Config, done: set[str], total: int) -> None:
    tally = tally_of_store(work.sink)
    with bar(work.name, total, len(done)) as shown:
        plan = run_plan(
            work.source,
            work.sink,
            list(work.steps),
            done,
            rows_per_block=config.sample.rows_per_task,
            no_progress_s=config.cluster.resource_timeout_s,
            rankings=work.rankings,
        )
        for part in plan:
            tally += part
            shown.advance(part.rows, _counts(tally))
            _check_sandbox_errors(tally, config.execute.max_sandbox_error_rate)


def _drop_unjudged(work: _Work, tally: Tally) -> Tally:
    """Remove the groups with a sandbox error, and their rankings; returns the counts of what is left."""
    if not tally.sandbox_errors:
        return tally
    broken = ids_with_sandbox_errors(work.sink)
    for store in (work.sink, work.rankings):
        if store:
            store.drop(broken)
    return tally_of_store(work.sink)


def _check_sandbox_errors(tally: Tally, limit: float, at_least: int = 50) -> None:
    """Stop early rather than rank by a broken sandbox; below `at_least` candidates it is too early to tell."""
    if tally.judged >= at_least and tally.sandbox_errors > limit * tally.judged:
        raise StageError(
            f"{tally.sandbox_errors} of {tally.judged} programs ended as sandbox_error, more than "
            f"execute.max_sandbox_error_rate={limit}; `rrtf doctor` shows what the sandbox lacks on this machine"
        )


def _counts(tally: Tally) -> str:
    def text(counts: Sequence[Count]) -> list[str]:
        return [f"{count.number} {count.what}" for count in counts]

    candidates = [f"{tally.candidates} candidates"] if tally.candidates else []
    return ", ".join([*candidates, *text(tally.outcomes), *text(tally.reasons[:4])]) or "nothing to count"

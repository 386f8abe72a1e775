"""Everything that the page shows of one run, collected in one pass over each of its stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rrtf_ray.audit.trying import sample_of
from rrtf_ray.core.ranking import inversions
from rrtf_ray.progress import bar
from rrtf_ray.records import Problem, Ranking, Split
from rrtf_ray.report.audit import Repeated, StoreAudit, repeated_of
from rrtf_ray.report.changes import Change, Moved, changes_of, moved
from rrtf_ray.report.flow import GroupCounts, RankingCounts, Stage, stages_of
from rrtf_ray.report.places import Places
from rrtf_ray.report.reading import RunFacts, read_run
from rrtf_ray.report.trials import Trials, trials
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.store.run_dir import ids_and_prompts, label


@dataclass(frozen=True, slots=True)
class RoundPart:
    """One round: its stages, how its candidates ended, and some of its rankings. inverted: problems of which people
    clearly order two programs against the tests."""

    name: str
    stages: list[Stage]
    sources: Counter[str]
    outcomes: Counter[str]
    places: list[Ranking]
    inverted: list[str]


@dataclass(slots=True)
class RunPart:
    """One run. key: begins the ids of its elements on the page. moves: of each model after a round, and of each draw,
    against the base. fixed, broken: examples of the first draw, base against the last model. trials: None where nothing
    was run."""

    key: str
    facts: RunFacts
    rounds: list[RoundPart] = field(default_factory=list)
    moves: dict[str, list[Moved]] = field(default_factory=dict)
    fixed: list[Change] = field(default_factory=list)
    broken: list[Change] = field(default_factory=list)
    stores: list[StoreAudit] = field(default_factory=list)
    repeated: Repeated | None = None
    trials: Trials | None = None


def part_of(uri: str, key: str, audit: int) -> RunPart:
    """All about the run at `uri`. audit: how many problems to try in the sandbox; 0 runs nothing.

    Raises InputError where it is no run directory.
    """
    part = RunPart(key, read_run(uri))
    notices = part.facts.notices
    for round in part.facts.run.rounds():
        with notices.instead_of(label(round)):
            part.rounds.append(_round(part, round))
    with notices.instead_of("the comparison of the base and the last model"):
        _compare(part)
    with notices.instead_of("the problems that repeat"):
        train, held_out = (part.facts.run.problems(split) for split in (Split.TRAIN, Split.HELD_OUT))
        if train.parts():
            part.repeated = repeated_of(train, held_out)
        else:
            notices.append("the problems are not there, or not yet")
    if audit:
        with notices.instead_of("what needs running"):
            part.trials = _tried(part.facts, audit)
    return part


def _round(part: RunPart, round: int) -> RoundPart:
    run, config, notices = part.facts.run, part.facts.config, part.facts.notices
    groups, rankings = run.groups(round), run.rankings(round)
    if not groups.parts() and run.samples(round).parts():
        groups = run.samples(round)
        notices.append(f"{label(round)} has been sampled and not executed yet")
    elif not groups.is_complete():
        notices.append(f"{label(round)}/groups is not complete: its counts are of the rows that were there")
    counts, audit = GroupCounts(), StoreAudit(label(round), config.execute.cpu_s)
    for group in groups.read():
        counts.add(group)
        audit.add(group)
    part.stores.append(audit)
    ranked, places = (RankingCounts() if rankings.parts() else None), Places()
    inverted: list[str] = []
    if ranked is not None:
        for ranking in rankings.read():
            ranked.add(ranking, config.train)
            places.add(ranking)
            if inversions(ranking):
                inverted.append(ranking.problem_id)
    stages = stages_of(counts, ranked, part.facts.trained.get(round), config.train)
    return RoundPart(label(round), stages, counts.sources, counts.outcomes, places.best(), inverted)


def _compare(part: RunPart) -> None:
    facts = part.facts
    for name in facts.evaluations:
        audit = StoreAudit(f"evaluation of {name}", facts.config.execute.cpu_s)
        for group in facts.run.evaluated_groups(name).read():
            audit.add(group)
        part.stores.append(audit)
    before = facts.evaluations.get("base")
    if before is None:
        return
    for name, evaluation in facts.evaluations.items():
        if name != "base":
            pairs = zip(before.draws, evaluation.draws, strict=False)
            part.moves[name] = [found for b, a in pairs if (found := moved(b, a))]
    if first := next(iter(part.moves.get(facts.last, [])), None):
        num_first = facts.first_draw(facts.last)
        base, last = (facts.run.evaluated_groups(name) for name in ("base", facts.last))
        part.fixed, part.broken = (
            changes_of(ids, base.read(), last.read(), num_first) for ids in (first.fixed, first.broken)
        )


def _tried(facts: RunFacts, audit: int) -> Trials:
    stores = [facts.run.problems(split) for split in Split]
    ids = [id_ for store in stores for id_ in store.ids()]
    wanted = sample_of(ids, audit)
    chosen: list[Problem] = [problem for store in stores for problem in store.read() if problem.id in wanted]
    execute = facts.config.execute
    limits = Limits(cpu_s=execute.cpu_s, wall_s=execute.wall_s, memory_mb=execute.memory_mb)

    def open_sandbox(hash_seed: int) -> Sandbox:
        return Sandbox(limits, execute.isolation, preload=execute.preload, hash_seed=hash_seed)

    with bar("audit", len(chosen)) as shown:
        return trials(chosen, len(ids), open_sandbox, on_problem=shown.advance)


def across(first: RunPart, other: RunPart) -> list[Moved]:
    """The last model of another run against the last of the first, on the held-out problems that are in both."""
    before, after = (p.facts.evaluations.get(p.facts.last) for p in (first, other))
    if before is None or after is None:
        return []
    mine, theirs = (dict(ids_and_prompts(p.facts.run.problems(Split.HELD_OUT))) for p in (first, other))
    same = {id_ for id_, prompt in mine.items() if theirs.get(id_) == prompt}
    pairs = zip(before.draws, after.draws, strict=False)
    return [found for b, a in pairs if (found := moved(b, a, same))]


def all_settings(settings: object, prefix: str = "") -> Iterable[tuple[str, str]]:
    """(`train.loss.alpha`, `1.0`) of each setting."""
    if isinstance(settings, dict) and settings:
        for key, value in settings.items():
            yield from all_settings(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, "none" if settings is None else str(settings)

"""How well 500 votes recover the order of programs that tests tie: pairs chosen by us against pairs drawn at random.

A problem has six programs that pass its tests, in different styles, and three that fail some. Each program has a hidden
quality, and an annotator names the better of two with probability 0.8 (of two that tests order, the one that tests
prefer). Votes and tests make a ranking as in a run (core.ranking); the figure is Kendall's tau-b between its scores and
the true order among the passing programs, mean over problems (0 where a ranking says nothing). Same problems, qualities
and number of votes on all sides; the ratio is ours to each baseline's, seed by seed.

    chosen          the pair that core.pairing puts first, anew after each vote
    random          a random pair of distinct programs of one problem
    random_tied     a random pair among those that tests tie: the harder baseline
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

from benchmarks.feedback.groups import group_of
from rrtf_ray.config import RankConfig
from rrtf_ray.core.agreement import kendall_tau
from rrtf_ray.core.pairing import Pair, pairs_of, priorities
from rrtf_ray.core.ranking import digest_of, rank
from rrtf_ray.records import Choice, Group, Outcome, Vote

VOTES = 500
PROBLEMS = 60
RIGHT = 0.8
_STYLES = (
    "return sum(n for n in x if n > {k})",
    "return sum([n for n in x if n > {k}])",
    "return sum(filter(lambda n: n > {k}, x))",
    "t = 0\n    for n in x:\n        if n > {k}:\n            t += n\n    return t",
    "big = [n for n in x if n > {k}]\n    return sum(big)",
    "return sum(n * (n > {k}) for n in x)",
)
_WRONG = ("return sum(n for n in x if n >= {k})", "return sum(x)", "return len(x)")
_NUM_TESTS = 8
Chooser = Callable[[dict[str, list[Vote]]], tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class World:
    """groups: by problem id. quality: hidden, by problem id and digest; higher is better."""

    groups: dict[str, Group]
    quality: dict[tuple[str, str], float]


def make_world(seed: int, problems: int = PROBLEMS) -> World:
    """Problems with their programs and what people would say of them."""
    rng = random.Random(seed)
    groups, quality = {}, {}
    for number in range(problems):
        group = _group(number, rng)
        groups[group.problem.id] = group
        for candidate in group.candidates:
            assert candidate.verdict
            tests = candidate.verdict.pass_ratio
            quality[group.problem.id, digest_of(candidate)] = 10 * tests + rng.random()
    return World(groups, quality)


def tau_of(world: World, votes: dict[str, list[Vote]]) -> float:
    """Mean over problems of Kendall's tau-b between the ranking of the passing programs and their true order."""
    found = []
    for problem_id, group in world.groups.items():
        digests = {candidate.id: digest_of(candidate) for candidate in group.candidates}
        ranking = rank(group, RankConfig(), votes.get(problem_id, []))
        passing = [place for place in ranking.candidates if place.outcome is Outcome.PASSED]
        truth = {place.candidate_id: world.quality[problem_id, digests[place.candidate_id]] for place in passing}
        found.append(kendall_tau({place.candidate_id: place.score for place in passing}, truth) or 0.0)
    return sum(found) / len(found)


def ask(world: World, choose: Chooser, seed: int, votes: int = VOTES) -> dict[str, list[Vote]]:
    """Votes of a simulated annotator on the pairs that `choose` names, by problem."""
    rng = random.Random(f"annotator/{seed}")
    given: dict[str, list[Vote]] = defaultdict(list)
    for number in range(votes):
        problem_id, left, right = choose(given)
        better_is_left = world.quality[problem_id, left] > world.quality[problem_id, right]
        says_left = better_is_left if rng.random() < RIGHT else not better_is_left
        choice = Choice.LEFT if says_left else Choice.RIGHT
        given[problem_id].append(Vote(str(number), problem_id, left, right, choice, f"annotator-{number}"))
    return given


def chosen(world: World) -> Chooser:
    """The pair that is expected to tell most, anew after each vote."""
    pairs = {problem_id: pairs_of(group) for problem_id, group in world.groups.items()}
    urgency = {problem_id: priorities(found, []) for problem_id, found in pairs.items()}
    counts = dict.fromkeys(pairs, 0)

    def choose(given: dict[str, list[Vote]]) -> tuple[str, str, str]:
        for problem_id, votes in given.items():
            if counts[problem_id] != len(votes):
                counts[problem_id] = len(votes)
                urgency[problem_id] = priorities(pairs[problem_id], votes)
        problem_id = max(urgency, key=lambda name: max(urgency[name]))
        best = max(range(len(pairs[problem_id])), key=urgency[problem_id].__getitem__)
        return problem_id, pairs[problem_id][best].first, pairs[problem_id][best].second

    return choose


def at_random(world: World, seed: int, tied_only: bool) -> Chooser:
    """Pairs drawn with equal probability."""
    rng = random.Random(f"pairs/{seed}")
    pairs: list[Pair] = []
    for problem_id, group in world.groups.items():
        if tied_only:
            pairs += pairs_of(group, most=1000)
        else:
            digests = sorted({digest_of(candidate) for candidate in group.candidates})
            pairs += [Pair(problem_id, first, second, 1.0) for first, second in combinations(digests, 2)]

    def choose(_: dict[str, list[Vote]]) -> tuple[str, str, str]:
        pair = rng.choice(pairs)
        return pair.problem_id, pair.first, pair.second

    return choose


GOALS = {"recovered_order": ">= 1.2"}


def measure(seeds: int = 10) -> dict[str, dict[str, float]]:
    """Ratios of our tau to the others', and the taus themselves: mean, lowest and highest over seeds."""
    taus: dict[str, list[float]] = defaultdict(list)
    for seed in range(seeds):
        world = make_world(seed)
        for name, choose in (
            ("chosen", chosen(world)),
            ("random", at_random(world, seed, tied_only=False)),
            ("random_tied", at_random(world, seed, tied_only=True)),
        ):
            taus[name].append(tau_of(world, ask(world, choose, seed)))
    ratios = {
        name: [a / b for a, b in zip(taus["chosen"], taus[other], strict=True)]
        for name, other in (("recovered_order", "random"), ("recovered_order_tied", "random_tied"))
    }
    return {
        name: {
            "value": round(sum(values) / len(values), 3),
            "low": round(min(values), 3),
            "high": round(max(values), 3),
        }
        for name, values in (ratios | {f"tau_{name}": values for name, values in taus.items()}).items()
    }


def _group(number: int, rng: random.Random) -> Group:
    k = rng.randint(1, 9)
    programs = [(style, _NUM_TESTS) for style in _STYLES] + [(wrong, rng.randint(1, 7)) for wrong in _WRONG]
    written = [(f"    {style.format(k=k)}\n", passed) for style, passed in programs]
    return group_of(f"order/{number}", "def f(x):\n", "f", written, _NUM_TESTS)

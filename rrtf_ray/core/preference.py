"""How good each program of a problem is, by the votes on pairs of them.

Bradley and Terry's model with ties (Davidson 1970): a program has a strength s, and of two programs

    P(i wins) : P(tie) : P(j wins)  =  exp(d / 2) : nu : exp(-d / 2),    d = s_i - s_j

with nu = 1, so that two equal programs tie in a third of the votes. Strengths have a normal prior around 0, which keeps
one vote from deciding everything; the posterior is taken as normal around its mode (Laplace). Votes of several rounds
and annotators count alike, but repeated votes of one annotator on one pair share one vote's weight, and a lead's vote
that settles a pair (arm `settle`) replaces all others on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rrtf_ray.records import Arm, Choice, Preference, Vote

_NORMAL_95 = 1.959964
_STEPS = 50
Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of the strengths of one problem's programs.

    digests: n of them. mean_N; covariance_NN. prior: standard deviation of a strength before any vote.
    """

    digests: tuple[str, ...]
    mean_N: Array
    covariance_NN: Array
    prior: float

    def difference(self, first: str, second: str) -> tuple[float, float]:
        """Mean and variance of the first's strength minus the second's; of a program without votes, the prior's."""
        mean, variance = 0.0, 0.0
        places: list[tuple[int, int]] = []
        for digest, sign in ((first, 1), (second, -1)):
            if digest in self.digests:
                index = self.digests.index(digest)
                mean += sign * float(self.mean_N[index])
                places.append((index, sign))
            else:
                variance += self.prior**2
        for i, sign_i in places:
            for j, sign_j in places:
                variance += sign_i * sign_j * float(self.covariance_NN[i, j])
        return mean, variance

    def information(self, first: str, second: str) -> float:
        """How much a vote on this pair is expected to tell: the expected gain of information about the difference, in
        nats (half the logarithm of what its variance is divided by)."""
        mean, variance = self.difference(first, second)
        win, _, lose = _probabilities(np.array([mean]))
        fisher = (win + lose) / 4 - ((win - lose) / 2) ** 2
        return float(0.5 * np.log1p(variance * fisher[0]))


def posterior(votes: Iterable[Vote], prior: float = 1.0) -> Posterior:
    """The strengths of the programs that one problem's votes are about. prior: standard deviation of a strength."""
    compared = _compared(votes)
    digests = tuple(sorted({digest for first, second, _, _ in compared for digest in (first, second)}))
    place = {digest: i for i, digest in enumerate(digests)}
    first_V = np.array([place[first] for first, _, _, _ in compared], dtype=np.int64)
    second_V = np.array([place[second] for _, second, _, _ in compared], dtype=np.int64)
    sign_V = np.array([sign for _, _, sign, _ in compared], dtype=float)
    weight_V = np.array([weight for _, _, _, weight in compared], dtype=float)
    mean_N = np.zeros(len(digests))
    for _ in range(_STEPS):
        gradient_N, precision_NN = _slope(mean_N, first_V, second_V, sign_V, weight_V, prior)
        step_N = np.linalg.solve(precision_NN, gradient_N) if len(digests) else gradient_N
        # The posterior is log-concave, but a full step may overshoot far from the mode.
        mean_N = mean_N + step_N / max(1.0, float(np.abs(step_N).max(initial=0.0)) / 2)
        if np.abs(step_N).max(initial=0.0) < 1e-9:
            break
    _, precision_NN = _slope(mean_N, first_V, second_V, sign_V, weight_V, prior)
    return Posterior(digests, mean_N, np.linalg.inv(precision_NN).astype(np.float64), prior)


def preferences(votes: Iterable[Vote], prior: float = 1.0) -> dict[str, Preference]:
    """For each program that was voted on, by its digest, how often it would win against the others rather than lose.

    votes: of one problem. The 95% interval is that of the posterior, carried over by its slope (delta method).
    """
    votes = list(votes)
    found = posterior(votes, prior)
    n = len(found.digests)
    if n < 2:
        return {}
    counts: dict[str, int] = defaultdict(int)
    for vote in votes:
        if vote.choice is not Choice.SKIPPED:
            counts[vote.left] += 1
            counts[vote.right] += 1
    difference_NN = found.mean_N[:, None] - found.mean_N[None, :]
    win, _, lose = _probabilities(difference_NN)
    others = 1 - np.eye(n)
    value_N = ((win - lose) * others).sum(axis=1) / (n - 1)
    # d(win - lose)/dd = (win + lose) / 2 - (win - lose)^2 / 2
    slope_NN = ((win + lose) / 2 - (win - lose) ** 2 / 2) * others / (n - 1)
    jacobian_NN = np.diag(slope_NN.sum(axis=1)) - slope_NN
    spread_N = np.sqrt(np.einsum("ij,jk,ik->i", jacobian_NN, found.covariance_NN, jacobian_NN))
    return {
        digest: Preference(
            value=float(value_N[i]),
            low=float(max(-1.0, value_N[i] - _NORMAL_95 * spread_N[i])),
            high=float(min(1.0, value_N[i] + _NORMAL_95 * spread_N[i])),
            votes=counts[digest],
        )
        for i, digest in enumerate(found.digests)
    }


def settled(votes: Iterable[Vote]) -> list[Vote]:
    """The votes that count: of a pair that a lead has settled, the last settling vote alone."""
    by_pair: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        if vote.choice is not Choice.SKIPPED:
            by_pair[vote.pair].append(vote)
    kept: list[Vote] = []
    for pair in by_pair.values():
        settling = [vote for vote in pair if vote.arm is Arm.SETTLE]
        kept += settling[-1:] or pair
    return kept


def _compared(votes: Iterable[Vote]) -> Sequence[tuple[str, str, int, float]]:
    """First and second program, 1, 0 or -1 for which is better, and weight of every vote that counts."""
    kept = settled(votes)
    times: dict[tuple[str, tuple[str, str]], int] = defaultdict(int)
    for vote in kept:
        times[vote.annotator, vote.pair] += 1
    found = []
    for vote in kept:
        first, second = vote.pair
        sign = {first: 1, second: -1, None: 0}[vote.winner]
        found.append((first, second, sign, 1 / times[vote.annotator, (first, second)]))
    return found


def _slope(
    mean_N: Array, first_V: Indices, second_V: Indices, sign_V: Array, weight_V: Array, prior: float
) -> tuple[Array, Array]:
    """Gradient of the log-posterior and its negated curvature. The log-likelihood of a vote is sign * d / 2 - log Z."""
    n = len(mean_N)
    win, _, lose = _probabilities(mean_N[first_V] - mean_N[second_V])
    gradient_V = weight_V * (sign_V - (win - lose)) / 2
    curvature_V = weight_V * ((win + lose) / 4 - ((win - lose) / 2) ** 2)
    gradient_N = -mean_N / prior**2
    precision_NN = np.eye(n) / prior**2
    np.add.at(gradient_N, first_V, gradient_V)
    np.add.at(gradient_N, second_V, -gradient_V)
    for i, j, sign in (
        (first_V, first_V, 1),
        (second_V, second_V, 1),
        (first_V, second_V, -1),
        (second_V, first_V, -1),
    ):
        np.add.at(precision_NN, (i, j), sign * curvature_V)
    return gradient_N, precision_NN


def _probabilities(difference: Array) -> tuple[Array, Array, Array]:
    """Of a win, a tie and a loss of the first program; difference: of the strengths, of any shape."""
    up, down = np.exp(np.clip(difference, -60, 60) / 2), np.exp(np.clip(-difference, -60, 60) / 2)
    total = up + 1 + down
    return up / total, 1 / total, down / total

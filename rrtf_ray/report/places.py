"""Rankings that show best why candidates stand where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field

from rrtf_ray.records import Ranking, Reason

_NUM_RANKED = 5
_NUM_LEFT_OUT = 1


@dataclass(slots=True)
class Places:
    """The most informative of the rankings that were added, in whatever order they came.

    Of those that can be trained on: the ones with most kinds of candidates (source, outcome, votes and agreement), then
    with most distinct scores. Of each reason that keeps a ranking out of training: one.
    """

    _best: dict[Reason | None, list[Ranking]] = field(default_factory=dict)

    def add(self, ranking: Ranking) -> None:
        kept = self._best.setdefault(ranking.reason, [])
        kept.append(ranking)
        kept.sort(key=_most_informative_first)
        del kept[_NUM_LEFT_OUT if ranking.reason else _NUM_RANKED :]

    def best(self) -> list[Ranking]:
        """Those that can be trained on first."""
        reasons = sorted(self._best, key=lambda reason: reason.value if reason else "")
        return [ranking for reason in reasons for ranking in self._best[reason]]


def _most_informative_first(ranking: Ranking) -> tuple[int, int, str]:
    kinds = {
        (c.source, c.outcome, c.people is not None or c.human_bonus != 0, c.agreement_bonus) for c in ranking.candidates
    }
    return -len(kinds), -len({c.score for c in ranking.candidates}), ranking.problem_id

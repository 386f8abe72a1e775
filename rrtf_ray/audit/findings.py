"""What an audit finds of one problem, the reasons against it, and its score. Pure.

score = strength x the factor of each reason that is there, in [0, 1]. Strength is the mutation score (killed mutants /
mutants that are no equals of the reference), and 0.5 where there is none. A survivor is no equal if a call was found on
which it differs; with calls to try, the other survivors are taken for equals; with none, all survivors count as faults.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

WEAK_BELOW = 0.9
"""A mutation score below this is weak: of the tests of HumanEval, see docs/auditing.md."""
UNKNOWN_STRENGTH = 0.5


class Finding(StrEnum):
    """A reason not to trust the tests of a problem."""

    NO_REFERENCE = "no_reference"
    """There is nothing to run: strength is unknown."""
    REFERENCE_FAILS = "reference_fails"
    FLAKY = "flaky"
    """The reference's verdict changes: with the order of sets, the order of tests, or from run to run."""
    TRIVIAL_PASSES = "trivial_passes"
    """A program that solves nothing passes."""
    WEAK = "weak"
    """Faults pass: of the mutants, or of the samples that pass and differ from the reference on other calls."""
    ANSWER_IN_STATEMENT = "answer_in_statement"
    CHANGES_BY_ITSELF = "changes_by_itself"
    """Tests or reference use the time, chance that is not seeded, or the network."""
    TIGHT_LIMIT = "tight_limit"
    """The reference takes more than half of the limit of time: a slower machine fails it."""
    OVER_SPECIFIED = "over_specified"
    """Several distinct samples fail one and the same test, with the same value, and pass all others."""


FACTORS = {
    Finding.NO_REFERENCE: 1.0,
    Finding.REFERENCE_FAILS: 0.0,
    Finding.FLAKY: 0.0,
    Finding.TRIVIAL_PASSES: 0.2,
    Finding.WEAK: 1.0,
    Finding.ANSWER_IN_STATEMENT: 0.2,
    Finding.CHANGES_BY_ITSELF: 0.5,
    Finding.TIGHT_LIMIT: 0.5,
    Finding.OVER_SPECIFIED: 0.5,
}
"""By what a reason multiplies the score; NO_REFERENCE and WEAK are in the strength already."""
WRONG_SAMPLES = 0.5
"""By what samples multiply it that pass and differ from the reference."""


@dataclass(frozen=True, slots=True)
class ProblemAudit:
    """What was found of one problem.

    reasons: each with a sentence. num_mutants, killed: faults put in, and those that the tests notice. told_apart:
    survivors that another call tells from the reference; None where no such call could be made. num_samples: distinct
    samples that pass; wrong_samples: those of them that another call tells from the reference. survivors: the faults
    that the tests miss, in words. seconds: of the reference. not_looked_at: what could not be tried, and why.
    """

    id: str
    reasons: dict[Finding, str]
    num_mutants: int = 0
    killed: int = 0
    told_apart: int | None = None
    num_samples: int = 0
    wrong_samples: int = 0
    survivors: tuple[str, ...] = ()
    seconds: float | None = None
    not_looked_at: tuple[str, ...] = ()

    @property
    def mutation_score(self) -> float | None:
        return mutation_score(self.num_mutants, self.killed, self.told_apart)

    @property
    def score(self) -> float:
        """In [0, 1]; see the module."""
        strength = self.mutation_score
        found = UNKNOWN_STRENGTH if strength is None else strength
        for reason in self.reasons:
            found *= FACTORS[reason]
        return round(found * (WRONG_SAMPLES if self.wrong_samples else 1.0), 4)

    def row(self) -> dict[str, Any]:
        """As one line of JSON has it."""
        return {"id": self.id, "score": self.score, "mutation_score": self.mutation_score, **asdict(self)}


def mutation_score(num_mutants: int, killed: int, told_apart: int | None) -> float | None:
    """Killed / mutants that are no equals; None without mutants. told_apart: see ProblemAudit."""
    faults = num_mutants if told_apart is None else killed + told_apart
    return round(killed / faults, 4) if faults else None


def from_row(row: dict[str, Any]) -> ProblemAudit:
    """The audit that `row` was made of. Raises KeyError, TypeError or ValueError where it is none."""
    fields = {name: row[name] for name in ProblemAudit.__dataclass_fields__}
    reasons = {Finding(name): str(text) for name, text in fields.pop("reasons").items()}
    for name in ("survivors", "not_looked_at"):
        fields[name] = tuple(fields[name])
    return ProblemAudit(reasons=reasons, **fields)

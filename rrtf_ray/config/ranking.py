"""How candidates are executed and ranked, and where votes come from."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, model_validator

from rrtf_ray.config.section import Section


class ExecuteConfig(Section):
    min_workers: int = Field(1, ge=1)
    """Workers that are there from the start."""
    max_workers: int = Field(1, ge=1)
    """The pool of CPU actors grows with the load up to this many; each runs one sandbox."""
    wall_s: float = Field(10.0, gt=0)
    """Limit of time by the clock for a program, in seconds; only a backstop behind `cpu_s`."""
    cpu_s: float = Field(3.0, gt=0)
    """CPU time limit of a program, in seconds; `wall_s` is the backstop."""
    memory_mb: int = Field(1024, ge=64)
    """Limit of address space for a program, interpreter included, in MiB."""
    isolation: Literal["best_effort", "required"] = "best_effort"
    """`required` refuses to run where a layer of isolation is missing."""
    probe_calls: int = Field(50, ge=0, le=1000)
    """Calls that a problem's tests do not make, made up from those that they make: programs that pass are compared on
    them, for `rank.agreement_weight`. Functions in Python only."""
    fail_fast: bool = False
    """Stop a program's tests at the first failure; partial passes are then not graded."""
    calibrate: bool = True
    """A program gets processor time in proportion to that of its problem's reference, never more than `cpu_s`."""
    preload: tuple[str, ...] = ()
    """Modules besides the standard library that programs and tests may import, e.g. [numpy]; loaded once a worker."""
    cache: bool = True
    """Remember verdicts in run_dir/cache, if that is a local directory, and run equal programs once in all rounds."""
    max_sandbox_error_rate: float = Field(0.05, ge=0.0, le=1.0)
    """Stop the stage when more than this share of the candidates ends as SANDBOX_ERROR."""

    @model_validator(mode="after")
    def _consistent(self) -> ExecuteConfig:
        if self.max_workers < self.min_workers:
            raise ValueError(f"max_workers={self.max_workers} is below min_workers={self.min_workers}; raise it")
        if self.wall_s < self.cpu_s:
            raise ValueError(f"wall_s={self.wall_s} is below cpu_s={self.cpu_s}; raise it")
        return self


class RankConfig(Section):
    """The paper orders the outcomes and names no numbers; these are CodeRL's, with RLTF's grading."""

    compile_error: float = -1.0
    """Score of a program that is not valid source, and of a response without code."""
    runtime_error: float = -0.6
    """Also for timeouts and exhausted memory, whose place the paper does not state."""
    failed: float = -0.3
    """Score of a program that ran and failed a test."""
    passed: float = 1.0
    """Score of a program that passed all tests."""
    grade_failed: bool = True
    """Grade `failed` by the share of passed tests: failed + (passed - failed) * ratio (RLTF)."""
    teacher_bonus: float = Field(0.1, ge=0.0)
    """Ranks the teacher's response above a student's of the same level (the paper states no size)."""
    human_weight: float = Field(0.1, ge=0.0)
    """Times people's preference, in [-1, 1]: of their votes, and of a replayed file. So people order what tests tie,
    and overrule tests only where two scores differ by less than twice this."""
    judge_weight: float = Field(0.05, ge=0.0)
    """Times the preference that models' votes as judges give."""
    editor_weight: float = Field(0.05, ge=0.0)
    """Times the preference that votes from editors' events give."""
    agreement_weight: float = Field(0.5, ge=0.0)
    """Times the share of the candidates that pass, each counted as often as it was sampled, which behave like this one
    (`execute.probe_calls`), where not all behave alike. With 0.5 two samples outvote a teacher who passes."""
    vote_prior: float = Field(1.0, gt=0.0)
    """Standard deviation of a program's strength before any vote (Bradley-Terry with ties). Less of it needs more votes
    to move a program; with 1.0 a single vote gives a preference of 0.25."""
    drop_teacher_below_student: bool = True
    """The paper filters out problems whose teacher scores lower than the student."""

    @model_validator(mode="after")
    def _ordered(self) -> RankConfig:
        if not self.compile_error < self.runtime_error < self.failed < self.passed:
            raise ValueError(
                "the levels must rise: compile_error < runtime_error < failed < passed, but are "
                f"{self.compile_error}, {self.runtime_error}, {self.failed}, {self.passed}"
            )
        return self


class FeedbackConfig(Section):
    """Votes of people, judges and editors; what they weigh is in `rank`."""

    database: str | None = None
    """The URL of the database of votes (any that SQLAlchemy speaks), without a password: PostgreSQL takes it from
    PGPASSWORD or ~/.pgpass. Null is feedback.sqlite in a local run directory, where there is one."""
    min_votes: int = Field(0, ge=0)
    """A round waits for this many votes of people on its own programs before it is ranked."""
    wait_s: float = Field(86400.0, ge=0)
    """After this long it goes on with the votes that there are."""

    @model_validator(mode="after")
    def _no_password(self) -> FeedbackConfig:
        if self.database and re.search(r"://[^/@]*:[^/@]+@|[?&]password=", self.database):
            raise ValueError(
                "database holds a password, which would be written to the run directory; leave it out of the URL and "
                "give it as PGPASSWORD or in ~/.pgpass"
            )
        return self

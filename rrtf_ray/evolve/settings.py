"""What `rrtf evolve` reads: where seeds come from, who writes, and when a problem is accepted."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rrtf_ray.config import ClusterConfig, Config, Draw, ExecuteConfig, SampleConfig, Section, TeacherConfig
from rrtf_ray.evolve.records import Operation
from rrtf_ray.store.files import join


class EvolveConfig(Section):
    output: str = Field("runs/evolved", min_length=1)
    """The directory to write: a problem set, and what a later start goes on from."""
    problems: str | None = None
    """Seeds: the directory that `rrtf problems import` wrote, or a file of any of its formats."""
    instructions: str | None = None
    """Seeds: a JSONL file with a field `instruction` a row, and `input` and `id` where there are such."""
    num_seeds: int | None = Field(None, ge=1)
    """Use only so many of the seeds, always the same; null for all."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the operations that are chosen, and of what teachers are asked."""
    rounds: int = Field(1, ge=1, le=100)
    """Problems that a round accepts are the seeds of the next."""
    per_seed: int = Field(1, ge=1, le=1000)
    """New problems that are written from each seed in a round."""
    kind: Literal["seed", "function", "stdio"] = "seed"
    """Of the new problems. `seed`: as the seed's; a function for an instruction."""
    operations: tuple[Operation, ...] = Field(tuple(Operation), min_length=1)
    """What may be done to a seed; one a problem."""
    teachers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")], TeacherConfig] = Field(
        min_length=1
    )
    """The first writes statements and inputs; all of them write solutions. `roles` and `draws` are not used."""
    solutions: int = Field(4, ge=1, le=100)
    """Solutions of a problem that each teacher writes, each in a request of its own."""
    agree: int = Field(3, ge=2)
    """So many solutions must give the same value for every input."""
    temperature: float = Field(0.8, ge=0.0, le=5.0)
    """Of all that teachers write; 0 would give equal solutions, which show nothing by agreeing."""
    top_p: float = Field(0.95, gt=0.0, le=1.0)
    """Nucleus sampling: the share of probability that is sampled from."""
    min_inputs: int = Field(5, ge=1)
    """Fewest inputs with an agreed value."""
    max_inputs: int = Field(30, ge=1, le=200)
    """Most inputs that are run; the first that the teacher gave."""
    min_mutation_score: float = Field(0.9, ge=0.0, le=1.0)
    """Share of the faults put into the solution that its tests must notice."""
    against: tuple[str, ...] = ()
    """Held-out problem sets, directories or files, of which no near copy is accepted."""
    max_similarity: float = Field(0.75, gt=0.0, le=1.0)
    """Statements as similar as this are near copies: of the parent, a seed or another new problem. Jaccard's, of five
    words in a row."""
    max_held_out_similarity: float = Field(0.5, gt=0.0, le=1.0)
    """The same for problems of `against`."""
    execute: ExecuteConfig = ExecuteConfig()
    """The workers that try problems out, and what programs may use."""
    cluster: ClusterConfig = ClusterConfig()

    @model_validator(mode="after")
    def _consistent(self) -> EvolveConfig:
        if (self.problems is None) == (self.instructions is None):
            raise ValueError("the seeds are either problems=DIR or instructions=FILE; give one of the two")
        most = self.solutions * len(self.teachers)
        if self.agree > most:
            raise ValueError(f"agree={self.agree} is more than the {most} solutions that are written; lower it")
        if 2 * self.agree <= most:
            raise ValueError(f"agree={self.agree} of {most} solutions is no majority; use {most // 2 + 1} or more")
        if self.min_inputs > self.max_inputs:
            raise ValueError(f"min_inputs={self.min_inputs} is above max_inputs={self.max_inputs}; lower it")
        if self.temperature == 0 and self.solutions > 1:
            raise ValueError("temperature=0 gives each teacher's solutions as equals; use more than 0, or solutions=1")
        return self

    @property
    def work_dir(self) -> str:
        """Where a later start finds what was done. Readers of Parquet folders skip the name."""
        return join(self.output, "_work")

    def run_config(self) -> Config:
        """The settings of the stages that do the work."""
        draw = Draw(n=1, temperature=self.temperature, top_p=self.top_p)
        teachers = {
            name: teacher.model_copy(update={"draws": (draw,), "roles": ("answer",)})
            for name, teacher in self.teachers.items()
        }
        return Config(
            run_dir=self.work_dir,
            seed=self.seed,
            teachers=teachers,
            execute=self.execute,
            cluster=self.cluster,
            sample=SampleConfig(rows_per_task=ROWS_PER_TASK),
        )


ROWS_PER_TASK = 2
"""Drafts that travel together: each is several requests."""

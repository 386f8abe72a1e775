"""Where everything lies in a run directory.

config.yaml, environment.json     what was run, with which versions and seeds
problems/{train,held_out}/        the problems of this run
teachers/NAME/problems/           the train problems with the answers of teachers up to this one
student/                          the quickstart's model, where one was made
round-01/groups/                  candidates with verdicts (`rrtf sample` alone: round-01/samples/)
round-01/executed/                with a teacher that repairs: the groups before its repairs
round-01/judgements-NAME/         with a teacher that judges
round-01/rankings/
round-01/votes/                   the votes that they were made with, if any
round-01/checkpoint/              Hugging Face safetensors
baseline/round-01/                with `baseline`: rankings/ and checkpoint/ of what the run is compared with
evaluations/{base,round-01}/      groups/ and evaluation.json
metrics.jsonl, summary.json, seconds.json, report.html, logs/
feedback.sqlite                   votes, once `rrtf prefer` or a judge has made it
tracking/                         with train.tracking only
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rrtf_ray.records import Group, Judgements, Problem, Ranking, Split, Vote
from rrtf_ray.store.files import absolute, join, names_in
from rrtf_ray.store.rows import RowStore

BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class RunDir:
    """The places of one run. Rounds count from 1."""

    uri: str

    def at(self, *parts: str) -> str:
        return join(self.uri, *parts)

    def problems(self, split: Split) -> RowStore[Problem]:
        return RowStore(self.at("problems", split.value), Problem, "id")

    def answered(self, teacher: str) -> RowStore[Problem]:
        """The train problems with the answers of this teacher and those before it."""
        return RowStore(self.at("teachers", teacher, "problems"), Problem, "id")

    def student(self) -> str:
        return self.at("student")

    def samples(self, round: int) -> RowStore[Group]:
        """Groups without verdicts, where sample ran by itself."""
        return RowStore(self.at(_folder(round), "samples"), Group, "problem.id")

    def groups(self, round: int) -> RowStore[Group]:
        return RowStore(self.at(_folder(round), "groups"), Group, "problem.id")

    def executed(self, round: int, repaired_by: str = "") -> RowStore[Group]:
        """Groups that teachers will repair: as executed, or with the repairs of one that is not the last."""
        name = f"repaired-{repaired_by}" if repaired_by else "executed"
        return RowStore(self.at(_folder(round), name), Group, "problem.id")

    def judgements(self, round: int, judge: str) -> RowStore[Judgements]:
        return RowStore(self.at(_folder(round), f"judgements-{judge}"), Judgements, "problem_id")

    def rankings(self, round: int) -> RowStore[Ranking]:
        return RowStore(self.at(_folder(round), "rankings"), Ranking, "problem_id")

    def votes(self, round: int) -> RowStore[Vote]:
        """The votes that the round's rankings were made with."""
        return RowStore(self.at(_folder(round), "votes"), Vote, "id")

    def training_state(self, round: int) -> str:
        """Optimizer and scheduler state for a restart; gone once the checkpoint is complete."""
        return self.at(_folder(round), "training-state")

    def checkpoint(self, round: int) -> str:
        return self.at(_folder(round), "checkpoint")

    def tracking(self) -> str:
        """What `train.tracking` keeps on this machine: TensorBoard's event files, ids of runs."""
        return self.at("tracking")

    def evaluation(self, label: str) -> str:
        return self.at("evaluations", label)

    def rounds(self) -> list[int]:
        """The rounds that have begun, in order."""
        return sorted(int(name[6:]) for name in names_in(self.uri) if re.fullmatch(r"round-\d{2,}", name))

    def evaluations(self) -> list[str]:
        """The labels of the models whose evaluation has begun: the base, the rounds in order, and others."""
        names = names_in(self.at("evaluations"))
        return sorted(names, key=lambda name: (name != "base", not name.startswith("round-"), len(name), name))

    def evaluated_groups(self, label: str) -> RowStore[Group]:
        return RowStore(join(self.evaluation(label), "groups"), Group, "problem.id")


def ids_and_prompts(problems: RowStore[Problem]) -> Iterator[tuple[str, str]]:
    """Of all rows, without reading their tests."""
    for table in problems.columns("id", "prompt"):
        yield from zip(table["id"].to_pylist(), table["prompt"].to_pylist(), strict=True)


def model_name(run_dir: str, model: str) -> str:
    """A model's name in settings and records: relative to the run directory if it is in it, so a run directory
    can be moved and continued."""
    return model.removeprefix(absolute(run_dir).rstrip("/") + "/")


def label(round: int) -> str:
    """The name of the model after round `round`; 0 is the model that the run began with."""
    return _folder(round) if round else "base"


def _folder(round: int) -> str:
    return f"round-{round:02d}"

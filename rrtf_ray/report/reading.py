"""What lies in a run directory, read without Ray: also of a run that is still being written, or that was cut off.

What is missing or cannot be read becomes a notice in place of an error; only a folder that is no run is refused.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from rrtf_ray.config import Config
from rrtf_ray.config_file import validate
from rrtf_ray.core.evaluation import Evaluation
from rrtf_ray.errors import InputError, RRTFError, SandboxError, first_line
from rrtf_ray.records import Split
from rrtf_ray.report.flow import Trained
from rrtf_ray.store.files import MANIFEST, absolute, exists, join, read_bytes, read_json
from rrtf_ray.store.run_dir import RunDir, label

_log = logging.getLogger("rrtf_ray.report")
_MARKS = ("config.yaml", "seconds.json", "problems")
"""A folder with any of these is a run directory: a run writes them in its first minute."""


class Notices(list[str]):
    """What the report does not show, and why: sentences for a person."""

    @contextmanager
    def instead_of(self, what: str) -> Iterator[None]:
        """A notice in place of what the block would have read, where a file is damaged or changes while it is read."""
        try:
            yield
        except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, SandboxError) as error:
            _log.info("%s is left out of the report", what, exc_info=True)
            # Ours and the system's say what is wrong by themselves; of others the kind says more than the text.
            kind = "" if isinstance(error, RRTFError | OSError) else f"{type(error).__name__}: "
            self.append(f"left out: {what} ({kind}{first_line(error)})")


@dataclass(slots=True)
class RunFacts:
    """The small files of a run. settings: as config.yaml has them; config: the same, validated (defaults where they
    cannot be). trained: each round's counts, as train recorded them."""

    run: RunDir
    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    config: Config = field(default_factory=Config)
    environment: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    trained: dict[int, Trained] = field(default_factory=dict)
    metrics: list[dict[str, float]] = field(default_factory=list)
    notices: Notices = field(default_factory=Notices)

    @property
    def last(self) -> str:
        """The label of the newest model that was evaluated after a round; empty if there is none."""
        return next((name for name in reversed(self.evaluations) if name.startswith("round-")), "")

    def first_draw(self, name: str) -> int:
        """The number of candidates in the first draw of an evaluation, as it was sampled."""
        return int(self.run.evaluated_groups(name).settings()["sample"]["draws"][0]["n"])


def read_run(uri: str) -> RunFacts:
    """The facts of one run. Raises InputError where `uri` is no run directory."""
    run = RunDir(absolute(uri))
    if not any(exists(run.at(mark)) for mark in _MARKS):
        raise InputError(f"{uri} is no run directory: it has none of {', '.join(_MARKS)}; give the run_dir of a run")
    facts = RunFacts(run, uri.partition("?")[0].rstrip("/").rpartition("/")[2] or uri)
    with facts.notices.instead_of("config.yaml"):
        facts.settings = dict(yaml.safe_load(read_bytes(run.at("config.yaml"))))
        facts.config = validate(Config, facts.settings)
    with facts.notices.instead_of("environment.json"):
        facts.environment = dict(read_json(run.at("environment.json")))
    with facts.notices.instead_of("seconds.json"):
        facts.seconds = {stage: float(value) for stage, value in dict(read_json(run.at("seconds.json"))).items()}
    for name in run.evaluations():
        _read_evaluation(facts, name)
    if not facts.evaluations:
        facts.notices.append(_why_no_evaluation(facts))
    elif not facts.last or "base" not in facts.evaluations:
        facts.notices.append("there is no evaluation both before and after training yet, so nothing is compared")
    for round in run.rounds():
        place = join(run.checkpoint(round), MANIFEST)
        if exists(place):
            with facts.notices.instead_of(f"{label(round)}/checkpoint"):
                facts.trained[round] = _trained(read_json(place))
    with facts.notices.instead_of("metrics.jsonl"):
        _read_metrics(facts)
    if not exists(run.at("summary.json")):
        facts.notices.append("the run has not ended (no summary.json): this is what was there when the report was made")
    return facts


def _why_no_evaluation(facts: RunFacts) -> str:
    if facts.config.until != "evaluate":
        return f"no model was evaluated: the run ends at until={facts.config.until}"
    held_out = facts.run.problems(Split.HELD_OUT)
    if held_out.is_complete() and not held_out.manifest().get("rows"):
        return "no model was evaluated: there are no held-out problems"
    return "no evaluation is complete yet"


def _read_evaluation(facts: RunFacts, name: str) -> None:
    place = join(facts.run.evaluation(name), "evaluation.json")
    if not exists(place):
        facts.notices.append(f"the evaluation of {name} has begun and is not complete")
        return
    with facts.notices.instead_of(f"evaluations/{name}/evaluation.json"):
        facts.evaluations[name] = Evaluation.from_dict(read_json(place))


def _trained(manifest: dict[str, Any]) -> Trained:
    left_out = {reason: int(number) for reason, number in dict(manifest["left_out"]).items()}
    responses = manifest.get("responses")
    return Trained(int(manifest["examples"]), left_out, None if responses is None else int(responses))


def _read_metrics(facts: RunFacts) -> None:
    """Rows of metrics.jsonl; a number that is not finite becomes NaN, which is a gap in a curve, and is counted."""
    place = facts.run.at("metrics.jsonl")
    if not exists(place):
        return
    odd = 0
    for line in read_bytes(place).decode(errors="replace").splitlines():
        row = {k: float(v) for k, v in dict(json.loads(line)).items() if isinstance(v, int | float)}
        odd += any(not math.isfinite(value) for value in row.values())
        facts.metrics.append({k: v if math.isfinite(v) else math.nan for k, v in row.items()})
    if odd:
        facts.notices.append(
            f"{odd} of {len(facts.metrics)} steps have a metric that is not finite: gaps in the curves"
        )

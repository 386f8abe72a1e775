"""Suites: the problem sets that people report figures on, how each is recognised and read, and what was published."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rrtf_ray.benchmark.protocols import SHIPPED, Protocol
from rrtf_ray.config import SampleConfig
from rrtf_ray.errors import InputError
from rrtf_ray.problems import FORMATS, format_of, read_manifest, read_problems
from rrtf_ray.problems.source import is_hub, read_rows

_FIX = (
    "The function in the following code has a bug. Answer with the complete code of the fixed function in one code "
    "block.\n\n{prompt}"
)


@dataclass(frozen=True, slots=True)
class Suite:
    """A problem set.

    formats: from the format that a file looks like to the one it is read as; empty takes any. ids: what its ids are,
    as a regular expression. size: how many problems the whole set has; None where there are several versions.
    instruction: a chat's message, where the protocol has none.
    """

    name: str
    about: str
    formats: Mapping[str, str] = field(default_factory=dict)
    ids: str = "(?s:.*)"
    size: int | None = None
    instruction: str = SampleConfig().instruction

    def read_as(self, recognised: str, first_id: str) -> str | None:
        """The format to read a source as; None where it is not of this suite."""
        if (self.formats and recognised not in self.formats) or not re.fullmatch(self.ids, first_id):
            return None
        return self.formats.get(recognised, recognised)


def _same(*formats: str) -> dict[str, str]:
    return {name: name for name in formats}


SUITES = {
    suite.name: suite
    for suite in (
        Suite("humaneval", "HumanEval", _same("humaneval"), r"HumanEval/\d+", 164),
        Suite("humaneval+", "HumanEval+ of EvalPlus", _same("evalplus", "humanevalplus"), r"HumanEval/\d+", 164),
        Suite("mbpp", "MBPP", _same("mbpp"), r"(?i:mbpp/)?\d+"),
        Suite("mbpp+", "MBPP+ of EvalPlus", _same("evalplus", "mbppplus"), r"(?i:mbpp/)?\d+"),
        Suite("leetcode", "LeetCodeDataset", _same("leetcode")),
        Suite("stdio", "programs with standard input and output", _same("stdio")),
        Suite(
            "humaneval-fix",
            "HumanEvalFix: functions to repair, from HumanEvalPack's files (only if named)",
            {"humanevalpack": "humanevalfix", "humanevalfix": "humanevalfix"},
            instruction=_FIX,
        ),
        Suite("humaneval-infilling", "HumanEval-Infilling: single line, multi line, random span", _same("infilling")),
        Suite("custom", "any other problems"),
    )
}

SOURCE = "PanGu-Coder2, arXiv 2307.14936"
_PUBLISHED: dict[tuple[str, str], dict[str, dict[str, float]]] = {
    ("humaneval", "greedy"): {
        "StarCoder 15B": {"1": 0.3293},
        "WizardCoder 15B": {"1": 0.5980},
        "PanGu-Coder2 15B": {"1": 0.6220},
    },
    ("humaneval", "paper"): {
        "StarCoder 15B": {"1": 0.3360, "10": 0.4578, "100": 0.7982},
        "WizardCoder 15B": {"1": 0.5730, "10": 0.7332, "100": 0.9046},
        "PanGu-Coder2 15B": {"1": 0.6164, "10": 0.7955, "100": 0.9176},
    },
}


def published(suite: Suite, protocol: Protocol, num_problems: int) -> dict[str, Any]:
    """The paper's figures for the whole suite under this protocol; empty where it printed none."""
    found = _PUBLISHED.get((suite.name, protocol.name))
    if not found or num_problems != suite.size or SHIPPED[protocol.name].hash != protocol.hash:
        return {}
    return {"source": SOURCE, "pass_at_k": found}


def suite_of(name: str | None, source: str, format: str) -> tuple[Suite, str]:
    """The suite, and the format to load `source` as.

    name: None to recognise it. format: `auto` to recognise it. Raises InputError where there is no such suite or
    format, or where the source is not of it.
    """
    if name is not None and name not in SUITES:
        raise InputError(f"unknown suite {name!r}; there are {', '.join(SUITES)}")
    if format not in ("auto", *FORMATS):
        raise InputError(f"unknown format {format!r}; `rrtf problems formats` lists them")
    found = format_of(source) if format == "auto" else format
    imported = found == "parquet" and not is_hub(source) and not Path(source).is_file()
    made_from = str(read_manifest(source).get("format")) if imported else found
    first_id = next(read_problems(source)).id if found == "parquet" else _first_id(source)
    if name is None:
        named = (s for s in SUITES.values() if s.read_as(made_from, first_id) == made_from)
        return next(named), found
    suite = SUITES[name]
    read_as = suite.read_as(made_from, first_id)
    if read_as is None:
        raise InputError(
            f"{source} is not the suite {name!r}: it is of the format {made_from!r} and its first id is {first_id!r}, "
            f"but the suite has {' or '.join(suite.formats)} with ids like {suite.ids}; name another --suite, or none"
        )
    if imported and read_as != made_from:
        raise InputError(
            f"{source} was imported as {made_from!r}; for the suite {name!r} import it with --format {read_as}"
        )
    return suite, found if imported else read_as


def _first_id(source: str) -> str:
    rows = read_rows(source)
    row = next(rows)
    rows.close()
    return str(row.fields.get("task_id", ""))

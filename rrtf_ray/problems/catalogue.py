"""All problem formats: what each is, the fields by which it is recognised, and how its rows become problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from rrtf_ray.problems import dataset
from rrtf_ray.problems.formats import (
    apps,
    benchmarks,
    codecontests,
    evalplus,
    humaneval,
    humaneval_fix,
    humaneval_x,
    infilling,
    kodcode,
    leetcode,
    livecodebench,
    mbpp,
    multipl_e,
    openr1,
    plus_rows,
    rewarded,
    stdio,
)
from rrtf_ray.problems.source import Row
from rrtf_ray.records import Problem

AUTO = "auto"
"""In place of a format's name: recognise it."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the fields by which it is recognised, and how its rows become problems.

    also: what else a row must have to be recognised, and `when` that is so; empty where the fields do.
    """

    fields: tuple[str, ...]
    convert: Callable[[Iterator[Row]], Iterator[tuple[Row, Problem]]]
    about: str
    also: str = ""
    when: Callable[[Row], bool] | None = None

    def fits(self, row: Row) -> bool:
        """Whether a row looks like this format."""
        return all(name in row.fields for name in self.fields) and (self.when is None or self.when(row))


FORMATS: dict[str, Format] = {
    # In the order in which a file's format is recognised: the more particular fields first.
    "evalplus": Format(
        evalplus.FIELDS,
        evalplus.convert,
        "HumanEval+ and MBPP+ of EvalPlus: inputs, and a reference that makes the expected values",
    ),
    "evoeval": Format(
        benchmarks.EVOEVAL_FIELDS,
        benchmarks.evoeval,
        "EvoEval: inputs, and a reference that makes the expected values",
    ),
    "leetcode": Format(leetcode.FIELDS, leetcode.convert, "LeetCodeDataset: a class `Solution` and `check(candidate)`"),
    "infilling": Format(infilling.FIELDS, infilling.convert, "HumanEval-Infilling: a response is what is in the hole"),
    "humanevalpack": Format(
        humaneval_x.PACK_FIELDS, humaneval_x.convert, "HumanEvalPack in Python and JavaScript: functions to complete"
    ),
    "humanevalfix": Format(
        humaneval_fix.FIELDS,
        humaneval_fix.convert,
        "HumanEvalFix, from HumanEvalPack's rows: functions to repair (only if named)",
    ),
    "humaneval-x": Format(humaneval_x.FIELDS, humaneval_x.convert, "HumanEval-X in Python and JavaScript"),
    "bigcodebench": Format(
        benchmarks.BIGCODEBENCH_FIELDS, benchmarks.bigcodebench, "BigCodeBench, with the prompt to complete"
    ),
    "classeval": Format(benchmarks.CLASSEVAL_FIELDS, benchmarks.classeval, "ClassEval: a class from its skeleton"),
    "livecodebench": Format(
        livecodebench.FIELDS, livecodebench.convert, "LiveCodeBench's code_generation and code_generation_lite"
    ),
    "codecontests": Format(codecontests.FIELDS, codecontests.convert, "CodeContests of DeepMind"),
    "codeforces": Format(
        openr1.CODEFORCES_FIELDS, openr1.codeforces, "codeforces of open-r1, without checker programs"
    ),
    "verifiable": Format(openr1.VERIFIABLE_FIELDS, openr1.verifiable, "verifiable-coding-problems of open-r1"),
    "prime": Format(
        rewarded.PRIME_FIELDS, rewarded.prime, "Eurus-2 and PRIME: code with tests in `reward_model.ground_truth`"
    ),
    "apps": Format(apps.FIELDS, apps.convert, "APPS and TACO"),
    "deepcoder": Format(rewarded.DEEPCODER_FIELDS, rewarded.deepcoder, "DeepCoder-Preview and other sets of rllm"),
    "acecode": Format(kodcode.ACECODE_FIELDS, kodcode.acecode, "AceCode: a question and asserts"),
    "multipl-e": Format(multipl_e.FIELDS, multipl_e.convert, "MultiPL-E in Python and JavaScript; no references"),
    "cruxeval": Format(
        benchmarks.CRUXEVAL_FIELDS, benchmarks.cruxeval, "CRUXEval, as functions with one input and output"
    ),
    "humanevalplus": Format(
        plus_rows.HUMANEVAL_FIELDS,
        plus_rows.humaneval_plus,
        "HumanEval+ as the Hugging Face Hub has it",
        "lists `inputs` and `results` in `test`",
        plus_rows.has_results,
    ),
    "mbppplus": Format(plus_rows.MBPP_FIELDS, plus_rows.mbpp_plus, "MBPP+ as the Hugging Face Hub has it"),
    "stdio": Format(stdio.FIELDS, stdio.convert, "programs that read standard input and write standard output"),
    "humaneval": Format(
        humaneval.FIELDS,
        humaneval.convert,
        "HumanEval and data sets in its form: a function to complete and `check(candidate)`",
    ),
    "kodcode": Format(kodcode.KODCODE_FIELDS, kodcode.kodcode, "KodCode: a question, a solution and tests of pytest"),
    "mbpp": Format(mbpp.FIELDS, mbpp.convert, "MBPP as Google publishes it: a task and asserts"),
    "mbpp-challenge": Format(
        mbpp.FIELDS,
        partial(mbpp.convert, challenge_tests=True),
        "MBPP with the tests of `challenge_test_list` as well (only if named)",
    ),
    "parquet": Format(
        dataset.FIELDS,
        lambda rows: iter(()),
        "a data set that `rrtf problems import` wrote, or one of its Parquet files",
    ),
}


def looks_like(row: Row) -> str | None:
    """The format that a row looks like."""
    return next((name for name, known in FORMATS.items() if known.fits(row)), None)


def table() -> list[tuple[str, str, str]]:
    """Of each format its name, what it is, and by what it is recognised."""
    return [
        (name, known.about, ", ".join(f"`{part}`" for part in known.fields) + (f"; {known.also}" if known.also else ""))
        for name, known in FORMATS.items()
    ]

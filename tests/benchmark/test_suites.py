"""Suites are recognised by format and ids, and carry what the paper printed."""

import pytest

from rrtf_ray.benchmark.protocols import SHIPPED, Protocol
from rrtf_ray.benchmark.suites import SUITES, published, suite_of
from rrtf_ray.errors import InputError
from rrtf_ray.problems import FORMATS, load, write_problems
from tests.problems import rows
from tests.problems.public_rows import public_row

HUMANEVAL = rows.humaneval(task_id="HumanEval/7")


@pytest.mark.parametrize(
    ("row", "suite", "format_name"),
    [
        (HUMANEVAL, "humaneval", "humaneval"),
        (rows.humaneval(), "custom", "humaneval"),
        (rows.evalplus(task_id="HumanEval/7"), "humaneval+", "evalplus"),
        (rows.evalplus(), "mbpp+", "evalplus"),
        (rows.mbpp(), "mbpp", "mbpp"),
        (rows.leetcode(), "leetcode", "leetcode"),
        (rows.stdio(), "stdio", "stdio"),
        (public_row("infilling"), "humaneval-infilling", "infilling"),
        (public_row("humanevalpack"), "custom", "humanevalpack"),
        (public_row("apps"), "custom", "apps"),
    ],
)
def test_what_a_file_is(tmp_path, row, suite, format_name):
    source = rows.write_jsonl(tmp_path / "p.jsonl", [row])
    found, read_as = suite_of(None, source, "auto")
    assert (found.name, read_as) == (suite, format_name)


def test_an_imported_data_set_is_the_suite_that_it_was_made_from(tmp_path):
    source = rows.write_jsonl(tmp_path / "p.jsonl", [HUMANEVAL])
    write_problems(load("humaneval", source), str(tmp_path / "set"), format_name="humaneval")
    found, read_as = suite_of(None, str(tmp_path / "set"), "auto")
    assert (found.name, read_as) == ("humaneval", "parquet")
    assert suite_of("humaneval", str(tmp_path / "set"), "auto") == (found, "parquet")


def test_functions_to_repair_are_asked_for_by_name(tmp_path):
    source = rows.write_jsonl(tmp_path / "p.jsonl", [public_row("humanevalpack")])
    found, read_as = suite_of("humaneval-fix", source, "auto")
    assert (found.name, read_as) == ("humaneval-fix", "humanevalfix")
    assert "has a bug" in found.instruction
    write_problems(load("humanevalpack", source), str(tmp_path / "set"), format_name="humanevalpack")
    with pytest.raises(InputError, match=r"imported as 'humanevalpack'; .* import it with --format humanevalfix"):
        suite_of("humaneval-fix", str(tmp_path / "set"), "auto")


def test_what_is_not_there_or_does_not_fit(tmp_path):
    source = rows.write_jsonl(tmp_path / "p.jsonl", [rows.humaneval()])
    with pytest.raises(InputError, match=r"unknown suite 'humanevl'; there are humaneval, humaneval\+, mbpp"):
        suite_of("humanevl", source, "auto")
    with pytest.raises(InputError, match=r"unknown format 'xml'"):
        suite_of(None, source, "xml")
    with pytest.raises(InputError, match=r"p.jsonl is not the suite 'humaneval': .* first id is 'own/0'"):
        suite_of("humaneval", source, "auto")
    with pytest.raises(InputError, match=r"is not the suite 'mbpp': it is of the format 'humaneval'"):
        suite_of("mbpp", source, "auto")


def test_suites_name_formats_that_exist():
    assert {name for suite in SUITES.values() for pair in suite.formats.items() for name in pair} <= set(FORMATS)


def test_published_figures_belong_to_the_whole_suite_and_the_very_protocol():
    paper, humaneval = SHIPPED["paper"], SUITES["humaneval"]
    assert published(humaneval, paper, 164)["pass_at_k"]["PanGu-Coder2 15B"] == {
        "1": 0.6164,
        "10": 0.7955,
        "100": 0.9176,
    }
    assert published(humaneval, SHIPPED["greedy"], 164)["pass_at_k"]["StarCoder 15B"] == {"1": 0.3293}
    assert published(humaneval, paper, 163) == {}
    assert published(SUITES["humaneval+"], paper, 164) == {}
    assert published(humaneval, SHIPPED["chat"], 164) == {}
    assert published(humaneval, Protocol(name="greedy", max_tokens=64), 164) == {}

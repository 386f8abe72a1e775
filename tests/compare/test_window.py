"""Comparisons of problems that were published in a window of dates."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rrtf_ray import cli
from rrtf_ray.compare.pairs import pairs_of
from rrtf_ray.compare.reading import read, read_arms
from rrtf_ray.compare.window import Window, cut, warnings
from rrtf_ray.errors import InputError
from tests.compare import inputs

DATES = {"p/0": "2024-08-01", "p/1": "2024-09-01", "p/2": "2024-10-01", "p/3": "2024-11-01"}
GREEDY = {"p/0": "p", "p/1": "f", "p/2": "p", "p/3": "f", "p/4": "p"}
OTHER = {"p/0": "f", "p/1": "p", "p/2": "p", "p/3": "p", "p/4": "f"}
PUBLISHED = {"source": "a paper", "pass_at_k": {"another model": {"1": 0.31}}}


def two(tmp_path, dates=DATES, **changes):
    """Benchmarks of two models; p/4 has no date."""
    return [
        inputs.benchmark(tmp_path / name, {"greedy": (0.0, its)}, dates, **changes)
        for name, its in (("a", GREEDY), ("b", OTHER))
    ]


@pytest.mark.parametrize(
    ("window", "kept", "said"),
    [
        (
            Window("2024-09-01", "2024-10-01"),
            ["p/1", "p/2"],
            "published from 2024-09-01 to 2024-10-01: 2 of 5 problems; "
            "2 outside that window and 1 without a date are left out",
        ),
        (
            Window(since="2024-10-02"),
            ["p/3"],
            "published since 2024-10-02: 1 of 5 problems; 3 outside that window and 1 without a date are left out",
        ),
        (
            Window(until="2024-08-01", cutoff="2024-01-01"),
            ["p/0"],
            "published until 2024-08-01: 1 of 5 problems; 3 outside that window and 1 without a date are left out",
        ),
    ],
)
def test_every_arm_has_the_problems_of_the_window_with_both_ends(tmp_path, window, kept, said):
    arms = read_arms(two(tmp_path))
    found, lines = cut(arms, window)
    assert [list(arm.seeds[0].draws[0].samples) for arm in found] == [kept, kept]
    assert lines == [said]
    assert list(arms[0].seeds[0].draws[0].samples) == list(GREEDY)


def test_a_cutoff_alone_leaves_nothing_out(tmp_path):
    arms = read_arms(two(tmp_path, published=PUBLISHED))
    found, lines = cut(arms, Window(cutoff="2024-09-01"))
    assert (found, lines) == (arms, [])


def test_figures_of_others_are_of_all_problems(tmp_path):
    dates = {**DATES, "p/4": "2024-12-01"}
    arms = read_arms(two(tmp_path, dates, published=PUBLISHED))
    (whole, _), _ = cut(arms, Window(since="2024-08-01"))
    assert whole.seeds[0].suites[0].published == {"another model": {1: 0.31}}
    (part, _), _ = cut(arms, Window(since="2024-08-02"))
    assert part.seeds[0].suites[0].published == {}


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (
            Window(cutoff="2024-09-01"),
            ["2 of 5 compared problems were published on or before 2024-09-01", "and 1 have"],
        ),
        (Window(cutoff="2024-07-31"), ["0 of 5 compared problems", "and 1 have no date"]),
        (Window("2024-09-01", "", "2024-09-01"), ["1 of 3 compared problems", "ends: the models may have seen them"]),
        (Window("2024-09-02", "", "2024-09-01"), []),
        (Window("2024-09-01"), []),
    ],
)
def test_problems_that_may_have_been_in_the_training_data(tmp_path, window, said):
    arms, _ = cut(read_arms(two(tmp_path)), window)
    lines = warnings(pairs_of(*arms), window)
    assert len(lines) == bool(said)
    assert all(part in lines[0] for part in said)
    assert all(line.startswith("WARNING: ") for line in lines)


def test_only_compared_problems_are_counted(tmp_path):
    a = inputs.benchmark(tmp_path / "a", {"greedy": (0.0, {"p/0": "p", "p/1": "p"})}, DATES)
    b = inputs.benchmark(tmp_path / "b", {"greedy": (0.0, {"p/1": "p", "p/2": "p"})}, DATES)
    window = Window(cutoff="2024-12-31")
    arms, _ = cut(read_arms([a, b]), window)
    assert warnings(pairs_of(*arms), window)[0].startswith("WARNING: 1 of 1 compared problems")


def test_draws_of_a_suite_without_dates_are_left_out(tmp_path):
    for model, its in (("a", GREEDY), ("b", OTHER)):
        (tmp_path / model).mkdir()
        for suite, dates in (("leetcode", DATES), ("humaneval", None)):
            place = tmp_path / model / suite
            inputs.benchmark(place, {"greedy": (0.0, its)}, dates, suite=suite, model=model)
    arms, lines = cut(read_arms([f"{tmp_path}/a", f"{tmp_path}/b"]), Window(since="2024-09-01"))
    assert [draw.name for draw in arms[0].seeds[0].draws] == ["leetcode/greedy"]
    assert "3 of 10 problems; 1 outside that window and 6 without a date" in lines[0]


def test_evaluations_of_a_run(tmp_path):
    names = [inputs.evaluation(tmp_path / "run", label, [GREEDY], dates=DATES) for label in ("base", "round-01")]
    arms, _ = cut(read_arms(names), Window(until="2024-09-01"))
    assert list(arms[1].seeds[0].draws[0].samples) == ["p/0", "p/1"]
    bare = inputs.evaluation(tmp_path / "run", "bare", [GREEDY])
    assert read(bare).suites[0].data == read(names[0]).suites[0].data


def written_before_dates(folder):
    """Make the parts of a store as they were when a problem had no date."""
    for part in folder.glob("part-*.parquet"):
        table = pq.read_table(part)
        if "date" in table.column_names:
            table = table.drop_columns(["date"])
        else:  # groups: the problem is a struct
            rows = table.to_pylist()
            for row in rows:
                del row["problem"]["date"]
            fields = [f for f in table.schema.field("problem").type if f.name != "date"]
            schema = pa.schema([pa.field("problem", pa.struct(fields)), *list(table.schema)[1:]])
            table = pa.Table.from_pylist(rows, schema=schema)
        pq.write_table(table, part)


def test_what_was_written_before_problems_had_dates_is_read_and_has_none(tmp_path):
    a, b = two(tmp_path)
    before = read(a)
    written_before_dates(tmp_path / "a" / "problems")
    found = read(a)
    assert found.suites[0].prompts == before.suites[0].prompts
    assert found.suites[0].dates == {}
    with pytest.raises(InputError, match=r"/a: its problems have no dates.*Import them again.*another directory"):
        cut(read_arms([a, b]), Window(since="2024-09-01"))
    place = inputs.evaluation(tmp_path / "run", "base", [GREEDY], dates=DATES)
    before = read(place)
    written_before_dates(tmp_path / "run" / "evaluations" / "base" / "groups")
    found = read(place)
    assert found.draws[0].samples == before.draws[0].samples
    assert (found.suites[0].data, found.suites[0].dates) == (before.suites[0].data, {})


def test_windows_that_cannot_be_cut(tmp_path):
    a, b = two(tmp_path)
    results = inputs.results(tmp_path / "c.results.jsonl", GREEDY)
    with pytest.raises(
        InputError, match=r"c\.results\.jsonl: a file of results holds no dates.*`rrtf benchmark --samples`"
    ):
        cut(read_arms([a, results]), Window(cutoff="2024-09-01"))
    with pytest.raises(
        InputError, match=r"/a: none .* since 2025-01-01; their dates are from 2024-08-01 to 2024-11-01"
    ):
        cut(read_arms([a, b]), Window(since="2025-01-01"))
    with pytest.raises(InputError, match="--since 2025-01-01 is after --until 2024-12-31"):
        Window("2025-01-01", "2024-12-31")


def test_the_command(tmp_path, capsys):
    a, b = two(tmp_path)
    dates = ["--since", "2024-09-01", "--until", "2024-11-01", "--cutoff", "2024-09-15"]
    assert cli.main(["compare", a, b, "--k", "1", "--json", *dates]) == 0
    said = capsys.readouterr()
    written = json.loads(said.out)
    assert written["window"] == {"since": "2024-09-01", "until": "2024-11-01", "cutoff": "2024-09-15"}
    assert [line.split(":")[0] for line in written["notices"][:2]] == [
        "published from 2024-09-01 to 2024-11-01",
        "WARNING",
    ]
    assert "WARNING: 1 of 3 compared problems" in said.err
    assert written["comparisons"][0]["num_problems"] == 3
    assert {flip["problem_id"] for flip in written["pairs"][0]["flips"]} == {"p/1", "p/3"}
    assert cli.main(["compare", a, b, "--k", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["window"] is None


@pytest.mark.parametrize("text", ["2024-9-1", "20240901", "2024-02-30", "yesterday", "", "2024-W36-1"])
def test_a_text_that_is_no_date(capsys, text):
    with pytest.raises(SystemExit):
        cli.main(["compare", "a", "b", "--since", text])
    assert f"argument --since: {text!r} is not a date; give YYYY-MM-DD" in capsys.readouterr().err

"""`rrtf problems dedup`, `decontaminate` and `select`, as users start them."""

import json

import pytest

from rrtf_ray.cli import main
from rrtf_ray.curation.selection import Rule, band_of, select
from rrtf_ray.curation.showing import side_by_side
from rrtf_ray.errors import InputError
from rrtf_ray.problems import read_manifest, read_problems, write_problems
from rrtf_ray.records import Outcome
from rrtf_ray.store.run_dir import RunDir

from ..records_for_tests import candidate, group, problem

STATEMENTS = ("Return the sum.", "return  the SUM", "Reverse the list in place.", "Count all words that end in s.")


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    problems = [
        problem(f"p/{n}", prompt=f'def f(x):\n    """{text}"""\n', entry_point="f", reference="")
        for n, text in enumerate(STATEMENTS)
    ]
    write_problems(problems, str(folder))
    return folder


def ids(folder):
    return [p.id for p in read_problems(str(folder))]


def test_dedup_writes_a_clean_copy_with_lineage_and_says_what_it_left_out(data, tmp_path, capsys):
    clean = tmp_path / "clean"
    assert main(["problems", "dedup", str(data), "--output", str(clean), "--by", "prompt"]) == 0
    said = capsys.readouterr().out
    assert "p/1 = p/0: same words" in said
    assert "1 of 4 problems repeat an earlier one: 1 same words; 1 cluster" in said
    assert ids(clean) == ["p/0", "p/2", "p/3"]
    (line,) = (clean / "left_out.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["id"], row["of"], row["kept"], row["reason"]) == ("p/1", "p/0", "p/0", "same words")
    assert "SUM" in row["prompt"]
    assert "sum" in row["of_prompt"]
    lineage = read_manifest(str(clean))["lineage"]
    assert lineage["sha256"] == read_manifest(str(data))["sha256"]
    assert lineage["by"] == ["prompt"]
    again = tmp_path / "again"
    assert main(["problems", "dedup", str(clean), "--output", str(again), "--by", "prompt", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out"] == []
    assert read_manifest(str(again))["sha256"] == read_manifest(str(clean))["sha256"]


def test_decontaminate_is_a_gate_without_output_and_a_filter_with_it(data, tmp_path, capsys):
    benchmark = tmp_path / "benchmark.jsonl"
    row = {"task_id": "b/1", "prompt": 'def f(x):\n    """Reverse the list,\n    in place!"""\n', "entry_point": "f"}
    row |= {
        "canonical_solution": "    x.reverse()\n",
        "test": "def check(candidate):\n    assert candidate([]) is None\n",
    }
    row["prompt"] = row["prompt"].replace("!", ".")
    benchmark.write_text(json.dumps(row) + "\n")
    command = ["problems", "decontaminate", str(data), "--against", str(benchmark)]
    assert main(command) == 1
    said = capsys.readouterr().out
    assert f"p/2 = b/1 of {benchmark}: same words" in said
    assert f"1 of 4 problems are in {benchmark}: 1 same words" in said
    clean = tmp_path / "clean"
    assert main([*command, "--output", str(clean), "--show", "0"]) == 0
    assert ids(clean) == ["p/0", "p/1", "p/3"]
    assert main(["problems", "decontaminate", str(clean), "--against", str(benchmark), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["left_out"] == []


def test_what_cannot_be_done_is_refused_and_leaves_nothing(data, tmp_path, capsys):
    assert main(["problems", "dedup", str(data), "--output", f"{data}/"]) == 2
    assert "is the data set that is read" in capsys.readouterr().err
    clean = tmp_path / "clean"
    assert main(["problems", "decontaminate", str(data), "--against", str(data), "--output", str(clean)]) == 2
    assert "all of them are copies" in capsys.readouterr().err
    assert list(clean.iterdir()) == []
    assert main(["problems", "dedup", str(tmp_path / "none"), "--output", str(clean)]) == 2
    assert "problems import" in capsys.readouterr().err
    for wrong in (["--threshold", "0.1"], ["--threshold", "x"], ["--by", "title"]):
        with pytest.raises(SystemExit):
            main(["problems", "dedup", str(data), "--output", str(clean), *wrong])


def test_control_characters_do_not_reach_the_terminal():
    assert "\x1b" not in side_by_side("a\x1b[31m", "b")


def test_side_by_side_begins_shortly_before_the_first_difference():
    assert side_by_side("one\ntwo", "x", 60).splitlines()[0] == "  > one" + " " * 23 + " | x"
    same = "\n".join("abcdefgh")
    lines = [line.split() for line in side_by_side(f"{same}\nhere", f"{same}\nthere", 60).splitlines()]
    assert lines[:2] == [["|", "..."], ["|", "f", "|", "f"]]
    assert lines[-2:] == [["|", "h", "|", "h"], [">", "here", "|", "there"]]
    assert len(side_by_side(same, same, 60).splitlines()) == 4


def of(id_, *outcomes):
    return group(*(candidate(f"s{n}", outcome) for n, outcome in enumerate(outcomes)), id_=id_)


GROUPS = (
    of("all", Outcome.PASSED, Outcome.PASSED),
    of("none", Outcome.FAILED, Outcome.TIMEOUT),
    of("half", Outcome.PASSED, Outcome.TIMEOUT),
    of("most", Outcome.PASSED, Outcome.PASSED, Outcome.PASSED, Outcome.FAILED),
    of("machine", Outcome.SANDBOX_ERROR),
    of("one", Outcome.PASSED, Outcome.SANDBOX_ERROR),
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    store = RunDir(str(folder)).groups(1)
    store.write(GROUPS)
    store.finish({"rows": len(GROUPS)})
    (folder / "config.yaml").write_text("{}\n")
    return folder


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (Rule(), ["half", "most"]),
        (Rule(0, 0), ["none"]),
        (Rule(0.75, 1), ["all", "most", "one"]),
        (Rule(0, 1, (Outcome.TIMEOUT,)), ["none", "half"]),
    ],
)
def test_rules(rule, wanted):
    found = select(GROUPS, rule)
    assert [p.id for p in found.problems] == wanted
    assert found.bands == {"100%": 2, "0": 1, "to 50%": 1, "to 75%": 1, "no verdict": 1}
    assert found.chosen.total() == found.fitting == len(wanted)


def test_a_limit_draws_by_seed_in_the_order_of_the_run():
    many = [of(f"{n:03d}", Outcome.PASSED, Outcome.FAILED) for n in range(100)]
    one, same, other = (select(many, Rule(limit=10, seed=seed)).problems for seed in (1, 1, 2))
    assert one == same != other
    assert [p.id for p in one] == sorted(p.id for p in one)
    assert len(one) == 10
    assert select(many, Rule(limit=10)).fitting == 100


def test_bands():
    rates = (0, 0.01, 0.25, 0.26, 0.5, 0.75, 0.99, 1)
    assert [band_of(rate) for rate in rates] == [
        "0", "to 25%", "to 25%", "to 50%", "to 50%", "to 75%", "below 100%", "100%"
    ]  # fmt: skip


def test_select_writes_a_data_set_with_lineage(run, tmp_path, capsys):
    chosen = tmp_path / "chosen"
    assert main(["problems", "select", "--from", str(run), "--output", str(chosen)]) == 0
    said = capsys.readouterr().out
    assert "2 problems written" in said
    assert ["to", "75%", "1", "1"] in [line.split() for line in said.splitlines()]
    assert ids(chosen) == ["half", "most"]
    lineage = read_manifest(str(chosen))["lineage"]
    assert (lineage["from"], lineage["round"]) == (str(run), 1)
    assert lineage["rule"]["pass_rate"] == "above 0, below 1"
    hard = ["problems", "select", "--from", str(run), "--round", "1", "--pass-rate", "0", "0", "--outcome", "timeout"]
    assert main([*hard, "--output", str(chosen), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["selected"] == 1
    assert ids(chosen) == ["none"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--round", "2"], "has no round 2: judged are 1"),
        (["--outcome", "slow"], "--outcome slow is no outcome"),
        (["--pass-rate", "0.9", "0.1"], "is no interval"),
        (["--pass-rate", "0.1", "0.2"], "Nothing was written"),
    ],
)
def test_select_refuses_what_it_cannot_do(run, tmp_path, capsys, options, message):
    assert main(["problems", "select", "--from", str(run), "--output", str(tmp_path / "no"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_run_that_is_none_or_not_judged_is_refused(tmp_path, capsys):
    assert main(["problems", "select", "--from", str(tmp_path), "--output", str(tmp_path / "no")]) == 2
    assert "is no run directory" in capsys.readouterr().err
    (tmp_path / "config.yaml").write_text("{}\n")
    assert main(["problems", "select", "--from", str(tmp_path), "--output", str(tmp_path / "no")]) == 2
    assert "no round of it is judged to its end" in capsys.readouterr().err
    with pytest.raises(InputError, match="interval"):
        Rule(0.5, 0.1)

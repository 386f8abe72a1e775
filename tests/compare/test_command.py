"""`rrtf compare` as a user meets it: what is printed and written, and the exit codes."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from rrtf_ray import cli
from rrtf_ray.config import Draw
from tests.compare import inputs
from tests.conftest import ROOT


@pytest.fixture
def compare(capsys):
    def run(*arguments):
        code = cli.main(["compare", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def policy(tmp_path, max_drop):
    path = tmp_path / "policy.yaml"
    path.write_text(f"rules:\n  - {{metric: pass@1, draw: samples, tier: critical, max_drop: {max_drop}}}\n")
    return path


def two(tmp_path, won, lost, both=60, neither=80):
    return [
        inputs.results(tmp_path / f"{name}.results.jsonl", its)
        for name, its in zip("ab", inputs.flips(won, lost, both, neither), strict=True)
    ]


def test_what_is_printed(compare, tmp_path):
    code, out, err = compare(*two(tmp_path, 2, 9), "--flips", 1, "--k", "1")
    assert (code, err) == (0, "")
    said = " ".join(out.split())
    assert "b against a (95% intervals)" in said
    assert "0.0654" in said
    assert "p, Holm" not in said
    assert (
        "pass@1, samples: no difference found (exact McNemar on 151 problems); "
        "one of 6.2 points or more would be found in 80% of such comparisons" in said
    )
    assert "samples: 151 common problems; 2 won, 9 lost, 140 the same" in said
    assert "lost: p/2 (100% of samples passed, now 0%) b's program: failed, test 1: failed" in said
    assert "won: p/0" in said
    assert "- return 'f' # sample 0" in said
    assert "+ # of b" in said
    assert "p/3" not in said  # the second that was lost


def test_identical_results_are_no_difference(compare, tmp_path):
    code, out, _ = compare(*two(tmp_path, 0, 0, 40, 60))
    assert code == 0
    assert "no difference found" in out
    assert "0 won, 0 lost, 100 the same" in out
    assert "better" not in out
    assert "worse" not in out


def test_the_record(compare, tmp_path):
    a, b = two(tmp_path, 20, 2)
    c = inputs.results(tmp_path / "c.results.jsonl", inputs.flips(20, 2, 60, 80)[0])
    code, out, err = compare(a, b, c, "--json", "--output", tmp_path / "out.json")
    written = json.loads(out)
    assert code == 0
    assert written == json.loads((tmp_path / "out.json").read_text())
    assert err == "pass@10, pass@100: left out, for too few samples a problem\n"
    assert (written["kind"], written["baseline"], written["gate"]) == ("comparison", "a", None)
    assert [i["name"] for i in written["inputs"]] == ["a", "b", "c"]
    first, second = written["comparisons"]
    assert (first["other"], first["finding"], first["test"]) == ("b", "better", "exact McNemar")
    assert first["p_adjusted"] == pytest.approx(2 * first["p"])
    assert (second["finding"], second["p_adjusted"], second["difference"]["value"]) == ("no difference found", 1, 0)
    pair = written["pairs"][0]
    assert (pair["num_won"], pair["num_lost"], pair["num_same"], pair["num_common"]) == (20, 2, 140, 162)
    assert pair["outcomes"] == {"passed": {"passed": 60, "failed": 2}, "failed": {"passed": 20, "failed": 80}}
    assert len(pair["flips"]) == 22
    flip = pair["flips"][0]
    assert (flip["change"], flip["problem_id"], flip["other"]["outcome"]) == ("lost", "p/20", "failed")
    assert flip["baseline"]["program"] == inputs.program("a", "p", 0)
    assert flip["diff"].startswith("--- baseline/p/20\n+++ b/p/20\n")


@pytest.mark.parametrize(
    ("won", "lost", "max_drop", "code", "verdict"),
    [(2, 30, 0.01, 3, "block"), (2, 9, 0.01, 4, "inconclusive"), (9, 2, 0.01, 0, "pass"), (0, 0, 0.01, 4, "inconcl")],
)
def test_the_gates_verdict_is_the_exit_code(compare, tmp_path, won, lost, max_drop, code, verdict):
    found, out, _ = compare(*two(tmp_path, won, lost), "--gate", policy(tmp_path, max_drop), "--flips", 0)
    assert found == code
    assert f"gate: {verdict}" in out
    found, out, _ = compare(*two(tmp_path, won, lost), "--gate", policy(tmp_path, max_drop), "--json")
    assert found == code
    assert json.loads(out)["gate"]["verdict"].startswith(verdict)


def test_identical_results_pass_a_limit_that_the_problems_can_exclude(compare, tmp_path):
    assert compare(*two(tmp_path, 0, 0), "--gate", policy(tmp_path, 0.03))[0] == 0


def test_bad_input_is_told_in_one_line_and_writes_nothing(compare, tmp_path):
    a, b = two(tmp_path, 2, 9)
    (tmp_path / "policy.yaml").write_text("rules: 3\n")
    cases = [
        ([a], "name the baseline first"),
        ([a, tmp_path / "nowhere"], "does not exist"),
        ([a, b, "--gate", tmp_path / "policy.yaml"], "policy.yaml:1: rules=3"),
        ([a, b, "--gate", tmp_path / "none.yaml"], "none.yaml' does not exist"),
        ([a, b, "--k", "5"], "nothing can be compared: pass@5: left out"),
    ]
    for arguments, says in cases:
        code, out, err = compare(*arguments, "--output", tmp_path / "out.json")
        assert (code, out) == (2, ""), arguments
        assert err.startswith("rrtf: error: ")
        assert says in err
        assert not (tmp_path / "out.json").exists()


def test_nothing_that_was_there_is_overwritten(compare, tmp_path):
    a, b = two(tmp_path, 2, 9)
    before = (tmp_path / "a.results.jsonl").read_bytes()
    gate = policy(tmp_path, 0.1)
    for output, says in ((a, "is an input"), (gate, "is an input"), (tmp_path, "is a folder")):
        code, out, err = compare(a, b, "--gate", gate, "--output", output)
        assert (code, out) == (2, "")
        assert says in err
    assert (tmp_path / "a.results.jsonl").read_bytes() == before
    code, _, err = compare(a, b, "--output", f"{a}/out.json")
    assert (code, "cannot be written" in err) == (2, True)


def test_a_run_and_its_protocols(compare, tmp_path):
    draws = [Draw(temperature=0.0, n=1), Draw(temperature=0.8, n=2)]
    greedy = inputs.flips(9, 1, 10, 10)
    several = [{id_: letter * 2 for id_, letter in its.items()} for its in greedy]
    for label, one, two_ in zip(("base", "round-01"), greedy, several, strict=True):
        inputs.evaluation(tmp_path / "run", label, [one, two_], draws)
    inputs.evaluation(tmp_path / "run", "longer", [greedy[0], several[0]], draws, max_tokens=999)
    run = f"{tmp_path}/run"
    code, out, _ = compare(f"{run}:base", f"{run}:round-01")
    assert code == 0
    assert "pass@1, greedy: better (exact McNemar on 30 problems)" in out
    assert "pass@1, T=0.8: better (bootstrap on 30 problems)" in out
    assert "p, Holm" in out
    code, out, err = compare(f"{run}:base", f"{run}:longer")
    assert (code, out) == (2, "")
    assert "sample.max_tokens: 160 and 999" in err
    code, out, _ = compare(f"{run}:base", f"{run}:longer", "--allow-different-protocols")
    assert code == 0
    assert out.startswith("WARNING: ")
    assert "have different protocols (sample.max_tokens: 160 and 999)" in out


PUBLISHED = {"source": "a paper", "pass_at_k": {"M": {"1": 0.512, "10": 0.7}, "N": {"10": 0.6}}}


def test_published_figures_have_a_column(compare, tmp_path):
    one, other = inputs.flips(3, 3, 5, 5)
    a = inputs.benchmark(tmp_path / "a", {"greedy": (0.0, one)}, published=PUBLISHED)
    b = inputs.benchmark(tmp_path / "b", {"greedy": (0.0, other)})
    _, out, _ = compare(a, b, "--k", "1", "--flips", 0)
    assert "51.2%" in out
    assert "published" in out
    assert "51.2%" not in compare(b, b)[1]
    assert json.loads(compare(a, b, "--json")[1])["comparisons"][0]["published"] == {"M": 0.512}


def test_names_are_not_read_as_markup(compare, tmp_path):
    places = []
    for folder in ("[", "b"):
        (tmp_path / folder).mkdir()
        places.append(inputs.benchmark(tmp_path / folder / "red]", {"greedy": (0.0, {"p/0": "p", "p/1": "f"})}))
    code, out, _ = compare(*places)
    assert code == 0
    assert "b/red] against [/red] (95% intervals)" in " ".join(out.split())


def test_programs_are_printed_as_they_are(compare, tmp_path):
    a, b = two(tmp_path, 1, 0, 5, 5)
    samples = (tmp_path / "a.jsonl").read_text().splitlines()
    samples[0] = json.dumps({"task_id": "p/0", "completion": "    return x[:b:], '[red]'\n"})
    (tmp_path / "a.jsonl").write_text("\n".join(samples) + "\n")
    assert "-    return x[:b:], '[red]'\n" in compare(a, b)[1]


def test_a_reader_that_has_seen_enough(tmp_path):
    a, b = two(tmp_path, 60, 60)
    command = [sys.executable, "-m", "rrtf_ray", "compare", a, b, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout.readline() == "{\n"
        running.stdout.close()
        said = running.stderr.read()
    assert running.returncode == 1
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_seeds(compare, tmp_path):
    arms = []
    for arm in range(2):
        seeds = [inputs.simple([i < 20 + 3 * arm + seed for i in range(60)]) for seed in range(2)]
        arms.append([inputs.results(tmp_path / f"{arm}{i}.results.jsonl", its) for i, its in enumerate(seeds)])
    code, out, _ = compare(*(",".join(arm) for arm in arms), "--flips", 0)
    assert code == 0
    assert "over seeds +5.0 [+5.0, +5.0] (Student's t)" in out
    assert "(2 seeds) against" in " ".join(out.split())


def test_a_benchmark_of_164_problems_and_20_samples_takes_seconds(compare, tmp_path):
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 0.8, 164)
    names = []
    for name in "ab":
        passed = rng.random((164, 20)) < chance[:, None]
        letters = {f"p/{i}": "".join("p" if p else "f" for p in row) for i, row in enumerate(passed)}
        names.append(inputs.results(tmp_path / f"{name}.results.jsonl", letters))
    started = time.process_time()
    code, out, _ = compare(*names, "--k", "1,10")
    assert time.process_time() - started < 5
    assert code == 0
    assert "pass@10" in out


def test_numbers_of_flips(compare, capsys):
    with pytest.raises(SystemExit):
        compare("a", "b", "--flips", "-1")
    assert "is not a whole number of 0 or more" in capsys.readouterr().err

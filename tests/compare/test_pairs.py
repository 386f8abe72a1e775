"""Which draws and problems are compared, and what is refused."""

import pytest

from rrtf_ray.compare.pairs import left_out, pairs_of, refuse_differences
from rrtf_ray.compare.reading import read_arms
from rrtf_ray.config import Draw
from rrtf_ray.errors import InputError
from tests.compare import inputs

GREEDY = {"p/0": "p", "p/1": "f"}


def arms(*names):
    return read_arms(list(names))


def test_draws_correspond_by_their_parameters_or_names(tmp_path):
    some = {"greedy": (0.0, GREEDY), "T=0.8": (0.8, {"p/0": "pf"}), "T=0.2": (0.2, {"p/0": "pp"})}
    others = {"cool": (0.2, {"p/0": "fp"}), "plain": (0.0, GREEDY), "T=1": (1.0, {"p/0": "pp"})}
    a, b = arms(inputs.benchmark(tmp_path / "a", some), inputs.benchmark(tmp_path / "b", others))
    pairs = pairs_of(a, b)
    assert [(pair.draw, pair.other[0].name) for pair in pairs] == [("greedy", "plain"), ("T=0.2", "cool")]
    assert left_out([a, b], pairs) == [
        f"{tmp_path}/a: the draw T=0.8 is not in the others, and is left out",
        f"{tmp_path}/b: the draw T=1 is not in the others, and is left out",
    ]


def test_draws_of_several_suites(tmp_path):
    """Only the suites that both have are compared, and only those must have the same protocol."""
    for model, suites in (("a", ("humaneval", "mbpp")), ("b", ("mbpp", "leetcode"))):
        (tmp_path / model).mkdir()
        for suite in suites:
            place = tmp_path / model / suite
            inputs.benchmark(place, {"greedy": (0.0, GREEDY)}, suite=suite, model=model, protocol={"suite": suite})
    a, b = arms(f"{tmp_path}/a", f"{tmp_path}/b")
    assert refuse_differences([a, b], False) == []
    assert [pair.draw for pair in pairs_of(a, b)] == ["mbpp/greedy"]
    (alone,) = arms(f"{tmp_path}/b/mbpp")
    assert [pair.draw for pair in pairs_of(a, alone)] == ["mbpp/greedy"]


def test_no_draw_or_problem_in_common(tmp_path):
    a = inputs.benchmark(tmp_path / "a", {"greedy": (0.0, GREEDY)})
    b = inputs.benchmark(tmp_path / "b", {"T=1": (1.0, GREEDY)})
    c = inputs.benchmark(tmp_path / "c", {"greedy": (0.0, {"q/0": "p"})})
    with pytest.raises(InputError, match=r"no draw is in all inputs: .*/a has greedy; .*/b has T=1\. Sample with"):
        pairs_of(*arms(a, b))
    with pytest.raises(InputError, match=r"no problem is in all inputs \(.*/a has 'p/0'; .*/c has 'q/0'\)"):
        pairs_of(*arms(a, c))


def test_common_problems_and_what_each_lacks(tmp_path):
    a = inputs.results(tmp_path / "a.results.jsonl", {"p/0": "p", "p/1": "f", "p/2": "p"})
    b = inputs.results(tmp_path / "b.results.jsonl", {"p/1": "f", "p/2": "p", "p/3": "p", "p/4": "p"})
    (pair,) = pairs_of(*arms(a, b))
    assert pair.problems == ("p/1", "p/2")
    assert pair.lacking == {a: 2, b: 1}


def test_every_seed_counts(tmp_path):
    names = [f"{tmp_path}/{name}.results.jsonl" for name in ("a1", "a2", "b1", "b2")]
    for name in names[:3]:
        inputs.results(tmp_path / name, GREEDY)
    inputs.results(tmp_path / names[3], {"p/1": "p"})
    (pair,) = pairs_of(*arms(",".join(names[:2]), ",".join(names[2:])))
    assert (len(pair.baseline), len(pair.other), pair.problems) == (2, 2, ("p/1",))
    assert pair.lacking == {names[3]: 1}


def test_other_protocols_are_refused_unless_allowed(tmp_path):
    a = inputs.evaluation(tmp_path / "run", "base", [GREEDY])
    b = inputs.evaluation(tmp_path / "run", "round-01", [GREEDY], max_tokens=256)
    with pytest.raises(InputError) as raised:
        refuse_differences(arms(a, b), False)
    says = f"{a} and {b} have different protocols (sample.max_tokens: 160 and 256)"
    assert says in str(raised.value)
    assert "--allow-different-protocols" in str(raised.value)
    assert refuse_differences(arms(a, b), True) == [says]


def test_other_protocols_of_benchmarks_are_refused(tmp_path):
    a = inputs.benchmark(tmp_path / "a", {"greedy": (0.0, GREEDY)})
    b = inputs.benchmark(tmp_path / "b", {"greedy": (0.0, GREEDY)}, protocol={"suite": "tiny", "chat": True})
    with pytest.raises(InputError, match=r"\(chat: None and True, limits: \{.*\} and None\)"):
        refuse_differences(arms(a, b), False)


def test_protocols_that_are_known_by_their_hash_alone(tmp_path):
    a, b = (
        inputs.benchmark(tmp_path / name, {"greedy": (0.0, GREEDY)}, protocol={}, protocol_hash=name * 64)
        for name in "ab"
    )
    with pytest.raises(InputError, match=r"different protocols \(hashes aaaaaaaaaaaa and bbbbbbbbbbbb\)"):
        refuse_differences(arms(a, b), False)


def test_seeds_and_names_are_no_other_protocol(tmp_path):
    protocols = [{"name": f"mine {seed}", "seed": seed, "max_tokens": 512} for seed in range(2)]
    places = [inputs.benchmark(tmp_path / f"m{p['seed']}", {"greedy": (0.0, GREEDY)}, protocol=p) for p in protocols]
    assert refuse_differences(arms(*places), False) == []


def test_other_problems_are_refused(tmp_path):
    a = inputs.benchmark(tmp_path / "a", {"greedy": (0.0, GREEDY)})
    b = inputs.benchmark(tmp_path / "b", {"greedy": (0.0, GREEDY)}, data_sha256="cd" * 32)
    with pytest.raises(InputError, match=r"different problems \(data_sha256 abababababab and cdcdcdcdcdcd\)"):
        refuse_differences(arms(a, b), False)


def test_other_numbers_of_samples_are_refused(tmp_path):
    a = inputs.results(tmp_path / "a.results.jsonl", {"p/0": "pf"})
    b = inputs.results(tmp_path / "b.results.jsonl", {"p/0": "pfp"})
    with pytest.raises(InputError, match=r"a\.results\.jsonl has 2 samples a problem and .*b\.results\.jsonl has 3"):
        refuse_differences(arms(a, b), False)


def test_a_seed_of_another_protocol_is_refused_as_well(tmp_path):
    names = [inputs.evaluation(tmp_path / f"run{i}", "base", [GREEDY], max_tokens=160 + (i == 2)) for i in range(3)]
    with pytest.raises(InputError, match=r"run0.* and .*run2.* have different protocols"):
        refuse_differences(arms(f"{names[0]},{names[1]}", names[2]), False)


def test_an_input_without_a_protocol_is_taken_as_the_same_and_said(tmp_path):
    a = inputs.evaluation(tmp_path / "run", "base", [GREEDY])
    b = inputs.results(tmp_path / "b.results.jsonl", GREEDY)
    (line,) = refuse_differences(arms(a, b), False)
    assert line.startswith(f"{b}: does not say how it was sampled")
    (pair,) = pairs_of(*arms(a, b))
    assert pair.draw == "greedy"
    assert not refuse_differences(arms(b, b), False)


def test_draws_of_a_run_with_equal_temperatures(tmp_path):
    draws = [Draw(temperature=0.8, n=2), Draw(temperature=0.8, top_p=0.5, n=2)]
    a = inputs.evaluation(tmp_path / "run", "base", [{"p/0": "pf"}, {"p/0": "ff"}], draws)
    b = inputs.evaluation(tmp_path / "run", "round-01", [{"p/0": "pp"}, {"p/0": "fp"}], draws)
    pairs = pairs_of(*arms(a, b))
    assert [(p.draw, p.baseline[0].top_p, p.other[0].top_p) for p in pairs] == [
        ("T=0.8", 0.95, 0.95),
        ("T=0.8, top_p=0.5", 0.5, 0.5),
    ]

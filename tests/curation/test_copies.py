"""Copies of problems within a set, and of problems that are evaluated on."""

import random

import pytest

from benchmarks.curation.labelled import COPIES, OTHERS, make
from benchmarks.curation.near_copies import precision, recall
from rrtf_ray.core.contamination import CloseTexts
from rrtf_ray.core.minhash import NearCopies, rows_per_band
from rrtf_ray.core.similarity import NEAR
from rrtf_ray.core.words import words_of
from rrtf_ray.curation.keys import Reason, keys_of
from rrtf_ray.curation.leaks import Evaluated
from rrtf_ray.curation.repeats import find_repeats
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.records import Language, ProblemKind, Test, TestKind

from ..records_for_tests import problem

LONG = " ".join(f"word{number}" for number in range(60))
SORT = "def sort(v):\n    out = []\n    for x in v:\n        if x > 3:\n            out.append(x * 2)\n    return out\n"


def asserts(*codes):
    return tuple(Test(TestKind.ASSERT, code) for code in codes)


@pytest.fixture(scope="module")
def labelled():
    return make(40)


def test_the_labelled_set_has_every_kind(labelled):
    assert set(labelled.kinds.values()) == {*COPIES, *OTHERS}
    place = {p.id: number for number, p in enumerate(labelled.problems)}
    assert all(place[original] < place[copy] for copy, original in labelled.copy_of.items())


def test_recall_and_precision_at_the_documented_threshold(labelled):
    found = find_repeats(labelled.problems)
    assert recall(labelled, found) >= 0.95
    assert precision(labelled, found) >= 0.98
    for kind in COPIES:
        assert recall(labelled, found, kind) >= 0.9, kind
    by_prompt = find_repeats(labelled.problems, parts=("prompt",))
    assert recall(labelled, by_prompt, "paraphrase") >= 0.95
    assert recall(labelled, by_prompt, "renamed") == 0.0
    assert precision(labelled, by_prompt) >= 0.98


def test_without_the_rule_on_numbers_other_limits_are_copies(labelled):
    by_prompt = find_repeats(labelled.problems, parts=("prompt",), same_numbers=False)
    assert precision(labelled, by_prompt) < 0.9


def test_what_is_kept_holds_no_copies(labelled):
    left_out = {copy.id for copy in find_repeats(labelled.problems)}
    kept = [p for p in labelled.problems if p.id not in left_out]
    assert find_repeats(kept) == []


def test_processes_do_not_change_the_result(labelled):
    some = labelled.problems[:200]
    assert find_repeats(some, processes=2) == find_repeats(some)


def test_the_demo_has_no_near_copies_between_train_and_held_out():
    train, held_out = generate_problems(200, 60, seed=3)
    evaluated = Evaluated([("held out", held_out)])
    assert [copy for _, copy, _ in evaluated.copies_in(train) if copy] == []


def texts(rng, number):
    vocabulary = [f"w{n}" for n in range(500)]
    made = []
    for _ in range(number):
        if made and rng.random() < 0.4:
            words = list(rng.choice(made))
            for _ in range(rng.randrange(4)):
                words[rng.randrange(len(words))] = rng.choice(vocabulary)
        else:
            words = [rng.choice(vocabulary) for _ in range(rng.randint(20, 120))]
        made.append(words)
    return made


def test_hashing_finds_what_comparing_all_with_all_finds():
    made = texts(random.Random(5), 600)
    near = NearCopies(0.8)
    for start in range(0, len(made), 250):
        near.add(made[start : start + 250])
    exact = CloseTexts([(str(n), words) for n, words in enumerate(made)], 0.8, same_numbers=True)
    wanted = {}
    for number, words in enumerate(made):
        close = [
            (int(id_), same) for id_, same in exact.close_to(words) if int(id_) < number and int(id_) not in wanted
        ]
        if close:
            wanted[number] = close[0][1]
    found = near.first_copies()
    assert len(wanted) > 100
    assert len(wanted.keys() & found.keys()) >= 0.99 * len(wanted)
    for later, (earlier, similarity) in found.items():
        assert earlier < later
        assert dict(exact.close_to(made[later]))[str(earlier)] == pytest.approx(similarity)


def test_many_equal_texts_are_one():
    near = NearCopies(0.9)
    near.add([words_of(LONG)] * 300)
    assert sorted(near.first_copies()) == list(range(1, 300))
    assert NearCopies(0.9).first_copies() == {}


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.9, 1.0])
def test_bands_miss_little_at_the_threshold(threshold):
    rows = rows_per_band(threshold)
    assert (1 - threshold**rows) ** (120 // rows) <= 0.005


def test_words():
    assert " ".join(words_of('Sort "them",  by X-1 (not -2.5)!')) == "sort them by x - 1 ( not -2.5 ) !"
    assert words_of("ｆｕｌｌ 数値") == ["full", "数", "値"]
    assert words_of("the minimum of minimum(a)", "minimum") == ["the", "minimum", "of", "entry_point", "(", "a", ")"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, Reason.SAME_TEXT),
        ({"prompt": "def  double(X):"}, Reason.SAME_WORDS),
    ],
)
def test_reasons_of_prompts(changes, reason):
    (copy,) = find_repeats([problem("a"), problem("b", **changes)])
    assert (copy.id, copy.of, copy.kept, copy.reason) == ("b", "a", "a", reason)


def reference_key(source, entry_point="sort", **changes):
    return keys_of(problem(reference=source, entry_point=entry_point, **changes)).by.get(Reason.SAME_REFERENCE)


def test_references():
    key = reference_key(SORT)
    assert key is not None
    renamed = SORT.replace("sort", "f").replace("out", "o").replace("x", "item").replace("(v)", "(v: list) -> list")
    assert reference_key("from typing import List\n" + renamed, "f") == key
    assert reference_key(SORT.replace("3", "4")) != key
    assert reference_key(SORT.replace(">", ">=")) != key
    helper = "def twice(a):\n    return 2 * a if a else 0\n"
    user = "def go(v):\n    return [twice(x) for x in v]\n"
    both = reference_key(helper + user, "go")
    assert both is not None
    assert reference_key((user + helper).replace("twice", "dbl"), "go") == both
    method = "class Solution:\n    def run(self, v):\n        return [x + 1 for x in v if x > 2]\n"
    assert reference_key(method, "Solution().run") == reference_key(method.replace("run", "go"), "Solution().go")


def test_a_short_reference_and_few_tests_say_nothing():
    assert reference_key("    return 2 * x\n", "double") is None
    few = problem(tests=asserts("assert double(1) == 2", "assert double(2) == 4"))
    assert Reason.SAME_TESTS not in keys_of(few).by


def test_tests_in_another_order_under_another_name():
    codes = [f"assert f({n}) == {n * n}" for n in range(5)]
    one = problem("a", prompt="one", entry_point="f", tests=asserts(*codes), reference="")
    check = "METADATA = {}\ndef check(candidate):\n" + "".join(
        f"    {code.replace('f(', 'candidate( ')}\n" for code in reversed(codes)
    )
    other = problem("b", prompt="two", entry_point="g", tests=(Test(TestKind.CHECK, check),), reference="")
    (copy,) = find_repeats([one, other])
    assert copy.reason is Reason.SAME_TESTS
    assert find_repeats([one, other], parts=("prompt", "reference")) == []
    fewer = problem("c", prompt="three", entry_point="f", tests=asserts(*codes[:3]), reference="")
    assert find_repeats([one, fewer]) == []


def test_languages_and_infilling_problems_are_not_compared():
    tests = (Test(TestKind.STDIO, "1", "2"),)
    python = problem("a", kind=ProblemKind.STDIO, entry_point="", tests=tests, prompt=LONG, reference="")
    script = problem(
        "b",
        kind=ProblemKind.STDIO,
        entry_point="",
        tests=tests,
        prompt=LONG,
        reference="",
        language=Language.JAVASCRIPT,
    )
    assert find_repeats([python, script]) == []
    holes = [problem(name, suffix="    return 1\n") for name in "ab"]
    assert find_repeats(holes) == []


def test_leaks_name_the_set_and_the_surest_reason():
    near = LONG.replace("word20", "other")
    sets = [
        ("one", [problem("x", prompt="unlike", tests=asserts("assert 1"), reference="")]),
        ("two", [problem("y", prompt=LONG)]),
    ]
    evaluated = Evaluated(sets, parts=("prompt",))
    judged = [problem("a", prompt=near), problem("b", prompt=LONG.upper()), problem("c", prompt="something else")]
    found = {p.id: copy for p, copy, _ in evaluated.copies_in(judged)}
    assert (found["a"].where, found["a"].of, found["a"].reason) == ("two", "y", Reason.NEAR_COPY)
    assert found["a"].similarity == pytest.approx(51 / 61)
    assert found["a"].similarity >= NEAR
    assert found["b"].reason is Reason.SAME_WORDS
    assert found["c"] is None
    digits = [problem("a", prompt=LONG + " 10")]
    assert [
        c for _, c, _ in Evaluated([("s", [problem("y", prompt=LONG + " 3000")])], parts=("prompt",)).copies_in(digits)
    ] == [None]

"""The generated problems: right references, telling tests, nothing shared between the shares."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import islice

import pytest

from rrtf_ray.errors import InputError
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.quickstart.compositions import Composition, Share, Step, draw_compositions
from rrtf_ray.quickstart.operations import FOLDS, LIST_OPERATIONS, OPERATIONS
from rrtf_ray.quickstart.problems import NUM_ASSERTS, draw_solvable
from rrtf_ray.records import Problem, Split


def passes(problem: Problem, completion: str) -> bool:
    namespace: dict = {}
    exec(problem.prompt + completion, namespace)
    exec(problem.tests[0].code, namespace)
    try:
        namespace["check"](namespace[problem.entry_point])
    except Exception:
        return False
    return True


@pytest.fixture(scope="module")
def problems() -> tuple[list[Problem], list[Problem]]:
    return generate_problems(num_train=200, num_held_out=100, seed=3)


def test_numbers_ids_and_splits(problems):
    train, held_out = problems
    assert [p.id for p in train] == [f"demo/train/{i:04d}" for i in range(200)]
    assert [p.id for p in held_out] == [f"demo/held_out/{i:04d}" for i in range(100)]
    assert {p.split for p in train} == {Split.TRAIN}
    assert {p.split for p in held_out} == {Split.HELD_OUT}


def test_same_seed_same_problems_other_seed_others(problems):
    assert generate_problems(num_train=200, num_held_out=100, seed=3) == problems
    assert generate_problems(num_train=200, num_held_out=100, seed=4) != problems


def test_more_problems_extend_the_same_set(problems):
    train, _ = generate_problems(num_train=210, num_held_out=1, seed=3)
    assert train[:200] == problems[0]


def test_wrong_references_pass_their_tests_and_are_wrong_elsewhere(problems):
    train, held_out = generate_problems(num_train=200, num_held_out=100, seed=3, wrong_references=0.2)
    assert held_out == problems[1]
    wrong = [
        (given, right) for given, right in zip(train, problems[0], strict=True) if given.reference != right.reference
    ]
    assert 0.1 < len(wrong) / 200 < 0.3
    for given, right in zip(train, problems[0], strict=True):
        assert given.prompt == right.prompt
        assert passes(given, given.reference)
        assert passes(given, right.reference)
    assert not any(passes(right, given.reference) for given, right in wrong)


def test_fewer_asserts_are_some_of_the_seven(problems):
    train, held_out = generate_problems(num_train=200, num_held_out=100, seed=3, asserts=2)
    assert held_out == problems[1]
    for given, full in zip(train, problems[0], strict=True):
        lines = given.tests[0].code.splitlines()[1:]
        assert len(lines) == 2
        assert set(lines) < set(full.tests[0].code.splitlines())
        assert (given.prompt, given.reference) == (full.prompt, full.reference)


def test_no_content_is_shared(problems):
    descriptions = [p.prompt.split('"""')[1].split("\n")[0] for split in problems for p in split]
    assert len(set(descriptions)) == 300
    corpus = {c.description for c in islice(draw_compositions(Share.CORPUS, random.Random(0)), 5000)}
    assert not corpus & set(descriptions)


def test_prompt_has_humaneval_form(problems):
    for problem in problems[0]:
        assert problem.prompt.startswith(f"def {problem.entry_point}(numbers: list[int]) -> ")
        assert problem.prompt.endswith('"""\n')
        assert problem.reference.startswith("    ")
        assert problem.reference.endswith("\n")
        assert problem.tests[0].code.count("    assert candidate(") == NUM_ASSERTS
    assert 0.3 < sum(">>>" in p.prompt for p in problems[0]) / 200 < 0.7


def test_references_pass_their_own_tests_and_examples_hold(problems):
    for problem in problems[0] + problems[1]:
        assert passes(problem, problem.reference), problem.id
        if ">>>" in problem.prompt:
            call, value = problem.prompt.split(">>> ")[1].split("\n")[:2]
            namespace: dict = {}
            exec(problem.prompt + problem.reference, namespace)
            assert repr(eval(call, namespace)) == value.strip()


def test_every_single_mistake_fails_a_test(problems):
    compositions = [c for c, _ in draw_solvable(Share.TRAIN, 200, 3)]
    for problem, composition in zip(problems[0], compositions, strict=True):
        right = composition.expressions()
        assert composition.body(right) == problem.reference
        for index in range(len(right)):
            for wrong in composition.wrong_expressions(index):
                body = composition.body([*right[:index], wrong, *right[index + 1 :]])
                assert not passes(problem, body), f"{problem.id}: {wrong}"


def test_mistakes_often_pass_some_asserts(problems):
    """A graded ranking distinguishes partly right programs."""
    partly = 0
    compositions = [c for c, _ in draw_solvable(Share.TRAIN, 200, 3)]
    for problem, composition in zip(problems[0], compositions, strict=True):
        namespace: dict = {}
        right = composition.expressions()
        exec(problem.prompt + composition.body([composition.wrong_expressions(0)[0], *right[1:]]), namespace)
        results = []
        for line in problem.tests[0].code.splitlines()[1:]:
            expression = line.strip().removeprefix("assert ")
            try:
                results.append(eval(expression, {"candidate": namespace[problem.entry_point]}))
            except Exception:
                results.append(False)
        partly += any(results) and not all(results)
    assert partly > 100


def test_every_operation_occurs():
    used = {step.name for c, _ in draw_solvable(Share.TRAIN, 1200, 0) for step in c.steps}
    assert used == set(OPERATIONS)
    assert len(OPERATIONS) == len(LIST_OPERATIONS) + len(FOLDS) >= 25


def test_description_and_body_read_as_documented():
    composition = Composition((Step("keep_above", 3), Step("square"), Step("sum")))
    sentence = "Keep the numbers greater than 3, then square each number, then return the sum."
    assert composition.description == sentence
    assert composition.body(composition.expressions()) == (
        "    numbers = [n for n in numbers if n > 3]\n    numbers = [n * n for n in numbers]\n    return sum(numbers)\n"
    )
    without_fold = Composition((Step("add", 2), Step("sort")))
    assert without_fold.description == "Add 2 to each number, then sort the numbers, then return the list."
    assert without_fold.returns == "list[int]"


def test_too_many_problems_say_so(monkeypatch):
    monkeypatch.setattr("rrtf_ray.quickstart.problems._MAX_DRAWS_PER_PROBLEM", 1)
    with pytest.raises(InputError, match="ask for fewer"):
        generate_problems(num_train=50, num_held_out=1)


def test_import_is_light():
    heavy = "{'ray', 'vllm', 'deepspeed', 'torch', 'transformers', 'tokenizers'}"
    code = f"import sys, rrtf_ray.quickstart; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

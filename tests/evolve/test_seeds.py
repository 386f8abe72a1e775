"""Where new problems come from: seeds that can be read, lineage that leads somewhere, tasks that stay the same."""

import json

import pytest

from rrtf_ray.errors import DataError, InputError
from rrtf_ray.evolve.operations import SHARES, WORDS, chosen
from rrtf_ray.evolve.records import Operation, Seed
from rrtf_ray.evolve.seeds import seeds_of_instructions, seeds_of_problems, some_of, tasks_of
from rrtf_ray.problems import write_problems
from rrtf_ray.records import ProblemKind
from tests.records_for_tests import problem

SEEDS = [
    Seed(f"s{number}", f"Do the thing of number {number}.", ProblemKind.FUNCTION, f"s{number}") for number in range(9)
]


def lines(path, rows):
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_instructions_with_their_input(tmp_path):
    rows = [{"instruction": "Sort.", "input": "3 1 2", "output": "1 2 3"}, {"id": "x", "instruction": " Add. "}]
    first, second = seeds_of_instructions(lines(tmp_path / "i.jsonl", rows))
    assert (first.id, first.statement) == ("instruction/1", "Sort.\n\n3 1 2")
    assert (second.id, second.statement, second.origin) == ("x", "Add.", "x")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"instruction": "Sort."}, {"prompt": "Add."}], r"i.jsonl:2: .*'instruction' is missing"),
        ([{"instruction": "Sort."}, {"instruction": "  "}], r"i.jsonl:2: .*'instruction' is empty"),
        ([{"instruction": 3}], r"i.jsonl:1: .*expected a text"),
        ([{"instruction": "Sort."}, "{broken\n"], r"i.jsonl:2"),
        ([{"id": "a", "instruction": "Sort."}, {"id": "a", "instruction": "Add."}], r"i.jsonl:2: .*'a' is there twice"),
        ([], r"i.jsonl: the file is empty"),
    ],
)
def test_rows_that_cannot_be_used_are_named_by_file_and_line(tmp_path, rows, said):
    with pytest.raises(DataError, match=said):
        seeds_of_instructions(lines(tmp_path / "i.jsonl", rows))


def test_problems_with_the_ancestors_of_an_earlier_evolution(tmp_path):
    write_problems([problem("a~1"), problem("a~2"), problem("b")], str(tmp_path))
    lines(tmp_path / "lineage.jsonl", [{"id": "a~1", "parent": "a"}, {"id": "a~2", "parent": "a~1", "seed": "a"}])
    origins = {seed.id: seed.origin for seed in seeds_of_problems(str(tmp_path))}
    assert origins == {"a~1": "a", "a~2": "a", "b": "b"}


@pytest.mark.parametrize("parents", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}])
def test_circular_lineage_is_refused(tmp_path, parents):
    write_problems([problem("a")], str(tmp_path))
    lines(tmp_path / "lineage.jsonl", [{"id": id_, "parent": parent} for id_, parent in parents.items()])
    with pytest.raises(DataError, match=r"lineage.jsonl:1: the lineage is circular .*remove the file"):
        seeds_of_problems(str(tmp_path))


def test_an_infilling_problem_is_no_seed(tmp_path):
    write_problems([problem("a", suffix="\n    return x\n")], str(tmp_path))
    with pytest.raises(DataError, match="'a' is an infilling problem"):
        seeds_of_problems(str(tmp_path))


def test_no_seeds_are_refused_and_some_are_always_the_same():
    with pytest.raises(InputError, match="problems=x has no seeds"):
        some_of([], None, "problems=x")
    some = some_of(SEEDS, 4, "")
    assert len(some) == 4
    assert some_of(SEEDS[::-1], 4, "") == some[::-1]
    assert some_of(SEEDS, None, "") == SEEDS


def test_tasks_are_the_same_for_the_same_seed_and_each_has_its_id():
    def tasks(seed, kind="seed"):
        return list(tasks_of(SEEDS, 3, tuple(Operation), kind, 2, seed))

    assert tasks(0) == tasks(0)
    assert {task.id for task in tasks(0)} & {task.id for task in tasks(1)} == set()
    assert len({task.id for task in tasks(0)}) == 27
    assert {task.kind for task in tasks(0, "stdio")} == {ProblemKind.STDIO}
    first = tasks(0)[0]
    assert first.id.startswith("s0~")
    assert (first.lineage.seed, first.lineage.parent, first.lineage.round) == ("s0", "s0", 2)


def test_operations_are_chosen_by_share():
    assert WORDS.keys() == SHARES.keys() == set(Operation)
    counts = dict.fromkeys(Operation, 0)
    for seed in range(2000):
        counts[chosen(tuple(Operation), seed)] += 1
    assert counts[Operation.COMPLEXITY] < min(n for o, n in counts.items() if o is not Operation.COMPLEXITY)
    assert chosen((Operation.STEPS,), 1) is Operation.STEPS

"""A teacher behind a real server: what is asked, in which order, and what a bad endpoint leaves."""

from dataclasses import replace

import pytest

from benchmarks.curation.evolving import DEAR, measure, written
from benchmarks.curation.scripted_teacher import BAD, COPIED, HARMLESS, Answers, ScriptedTeacher, block
from rrtf_ray.config import TeacherConfig
from rrtf_ray.evolve.asking import TRY_OUT, WRITE, inputs_question, statement_question
from rrtf_ray.evolve.operations import WORDS
from rrtf_ray.evolve.reading import checked
from rrtf_ray.evolve.records import Operation, Rejected
from rrtf_ray.records import Fault, ProblemKind
from rrtf_ray.teachers import endpoint
from tests.evolve.answers import ECHO, INPUTS, OTHER, PROGRAM, STATEMENT, draft, said, task
from tests.problems import rows
from tests.teachers.server import Answer

QUIET = {"retries": 0, "when_down": "go_on"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(endpoint, "_BACK_OFF_S", 0.01)


def case(**changes):
    statement = STATEMENT.replace("in their order.", "in their order. Case 0.")
    given = {
        "statement": block(statement),
        "solutions": (block(PROGRAM), block(OTHER), block(PROGRAM), block(OTHER)),
        "inputs": block(INPUTS),
    }
    return Answers(**(given | changes))


def asked(answers, **settings):
    """The draft of one case, and the texts of the requests."""
    teacher = ScriptedTeacher()
    texts = []
    task = teacher.add(answers)
    say = teacher.say
    teacher.say = lambda body, n: (texts.append(body["messages"][-1]["content"]), say(body, n))[1]
    (found,) = written(teacher, [task], **settings)
    return found, texts


def test_solutions_are_asked_for_one_by_one_and_know_nothing_of_each_other():
    found, texts = asked(case())
    assert texts[0].startswith(WRITE)
    assert sum(text.startswith(TRY_OUT) for text in texts) == 1
    solving = [text for text in texts if not text.startswith((WRITE, TRY_OUT))]
    assert len(solving) == 4
    assert len(set(solving)) == 1
    assert not any("groupby" in text or "VALUES" in text for text in solving)
    assert len(found.solutions) == 4
    assert found.task.lineage.model == "big:scripted"


def test_a_statement_that_cannot_be_used_costs_one_request():
    found, texts = asked(case(statement=Answer("Prose.")))
    assert (len(texts), found.solutions, found.inputs) == (1, (), None)


@pytest.mark.parametrize("operation", Operation)
def test_the_question_has_the_operation_and_the_task_and_nothing_runs_out_of_its_block(operation):
    made = task(parent="Write ```x``` now.")
    made = replace(made, lineage=replace(made.lineage, operation=operation))
    text = statement_question(made, TeacherConfig(model="m"), 0).user
    assert WORDS[operation] in text
    assert "````\nWrite ```x``` now.\n````" in text


def test_what_is_asked_of_programs_with_standard_input():
    made = draft(said(ECHO), kind=ProblemKind.STDIO)
    config = TeacherConfig(model="m")
    assert "```text" in statement_question(made.task, config, 0).user
    question = inputs_question(made.task, checked(made, 0.75), config, 0)
    assert "the whole standard input as one text" in question.user


@pytest.mark.parametrize(
    ("answers", "settings", "fault"),
    [
        (case(statement=Answer(status=500)), {}, Fault.UNANSWERED),
        (case(statement=Answer(status=400)), {}, Fault.REJECTED),
        (case(statement=Answer(None, refusal="no")), {}, Fault.REFUSED),
        (case(statement=Answer("```python\ndef f(", finish_reason="length")), {}, Fault.CUT_OFF),
        (case(), {"max_tokens_total": 50}, Fault.OUT_OF_BUDGET),
    ],
)
def test_an_endpoint_that_gives_no_statement(answers, settings, fault):
    found, _ = asked(answers, **(QUIET | settings))
    assert found.statement.fault is fault
    with pytest.raises(Rejected):
        checked(found, 0.75)


def test_a_budget_that_ends_half_way_is_the_reason():
    dear = {name: replace(getattr(case(), name), usage=(10, 900)) for name in ("statement", "inputs")}
    solutions = tuple(replace(solution, usage=(10, 900)) for solution in case().solutions)
    found, texts = asked(case(solutions=solutions, **dear), max_tokens_total=4000, max_tokens=1000, **QUIET)
    assert 0 < len(texts) < 6
    assert Fault.OUT_OF_BUDGET in {answer.fault for answer in (*found.solutions, found.inputs)}


def test_every_mistake_of_the_scripted_teacher_is_found_and_good_problems_are_kept(tmp_path):
    """The figure of the benchmark, on one draft of each kind."""
    (tmp_path / "problems").mkdir()
    body = OTHER.replace("numbers", "xs").partition("\n")[2]
    calls = "".join(f"    assert candidate([{n}, {n}, 3, 3, {n}], {n % 3}) is not None\n" for n in range(9))
    row = {
        "entry_point": "runs",
        "prompt": STATEMENT.removesuffix("    pass\n"),
        "canonical_solution": body,
        "test": f"def check(candidate):\n{calls}",
    }
    for name in ("HumanEval.jsonl", "mbpp.jsonl"):
        rows.write_jsonl(tmp_path / "problems" / name, [row | {"task_id": name}])
    found = measure(tmp_path, 1)
    assert found["evolve_bad_accepted"] == 0, found["evolve_reasons"]
    assert found["evolve_bad_kinds"] == found["evolve_bad_drafts"] == len(BAD | HARMLESS)
    assert found["evolve_good"] == 1
    assert found["evolve_good_kept"] == 1.0, found["evolve_reasons"]
    assert COPIED.keys() <= DEAR

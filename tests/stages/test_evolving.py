"""`rrtf evolve` on a real cluster: two teachers behind a real server, a budget that ends, and a second start."""

import json
from dataclasses import replace

import pytest

from benchmarks.curation.scripted_teacher import SOLVED, STATEMENTS, ScriptedTeacher, good, rights_of
from rrtf_ray.evolve.records import JudgedDraft, Rejection
from rrtf_ray.problems import read_problems
from rrtf_ray.quickstart import generate_problems
from rrtf_ray.sandbox import Limits, Sandbox
from rrtf_ray.stages.evolving import _reopened
from rrtf_ray.store.rows import RowStore
from tests.evolve.answers import draft
from tests.teachers.server import serving

BAD = ("prose", "refusal", "wrong_example", "chance")


def test_rows_without_an_answer_are_made_again_and_others_kept(tmp_path):
    store = RowStore(str(tmp_path / "judged"), JudgedDraft, "id")
    reasons = [None, Rejection.WEAK, Rejection.OUT_OF_BUDGET, Rejection.UNANSWERED, Rejection.SANDBOX_ERROR]
    store.write([JudgedDraft(str(number), draft(), reason) for number, reason in enumerate(reasons)])
    store.finish({"rows": 5})
    assert _reopened(store)
    assert sorted(store.ids()) == ["0", "1"]
    assert not store.is_complete()
    store.finish({"rows": 2})
    assert not _reopened(store)
    assert store.is_complete()


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Two good cases and four bad ones; the file of instructions that asks for them."""
    train, _ = generate_problems(num_train=20, num_held_out=2, seed=5)
    with Sandbox(Limits()) as sandbox:
        rights = list(rights_of(train, sandbox, 2 + len(BAD)))
    teacher = ScriptedTeacher()
    makes = [good, good, *((STATEMENTS | SOLVED)[kind] for kind in BAD)]
    pairs = zip(makes, rights, strict=True)
    tasks = [teacher.add(make(right, number)) for number, (make, right) in enumerate(pairs)]
    path = tmp_path_factory.mktemp("evolve") / "instructions.jsonl"
    rows = [{"id": f"i{number}", "instruction": task.parent.statement} for number, task in enumerate(tasks)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return teacher, path


@pytest.mark.ray
def test_a_budget_that_ends_is_continued_by_the_next_start(rrtf, cluster, cases, tmp_path):
    teacher, path = cases
    output = tmp_path / "evolved"
    with serving(lambda body, number: replace(teacher.say(body, number), usage=(100, 900))) as script:
        model = f"{{model: m, base_url: '{script.url}', max_tokens: 1000"
        command = ["evolve", f"instructions={path}", f"output={output}", "agree=5", "solutions=4"]
        small = f"teachers.small={model}}}"
        first = rrtf(*command, f"teachers.big={model}, max_tokens_total: 6000}}", small, address=cluster.address)
        assert "out_of_budget" in first.stdout
        before = len(script.asked)
        done = rrtf(*command, f"teachers.big={model}}}", small, address=cluster.address)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "are made again" in done.stdout
        asked = len(script.asked)
        assert asked > before
        again = rrtf(*command, f"teachers.big={model}}}", small, address=cluster.address)
        assert again.returncode == 0, again.stdout + again.stderr
        assert (len(script.asked), "complete already" in again.stdout) == (asked, True)
    problems = list(read_problems(str(output)))
    assert sorted(problem.id.partition("~")[0] for problem in problems) == ["i0", "i1"]
    lineage = [json.loads(line) for line in (output / "lineage.jsonl").read_text().splitlines()]
    assert {row["id"] for row in lineage} == {problem.id for problem in problems}
    assert {row["card"]["num_agreeing"] for row in lineage} == {8}
    rejected = [json.loads(line) for line in (output / "rejected.jsonl").read_text().splitlines()]
    reasons = {row["seed"]: row["reason"] for row in rejected}
    assert reasons == {"i2": "prose", "i3": "refused", "i4": "example_fails", "i5": "reaches_out"}

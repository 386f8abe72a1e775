from rrtf_ray.core.contamination import overlap
from rrtf_ray.core.groups import Draft, build_group
from rrtf_ray.core.words import statement
from rrtf_ray.identity import stable_seed
from rrtf_ray.records import Source
from tests.records_for_tests import problem


def test_candidates_are_named_by_source_and_ordered():
    drafts = [
        Draft("    return 1\n", "given", source=Source.HUMAN, preference=0.5),
        Draft("    return 2\n", "stop", num_tokens=4),
        Draft("    return 3\n", "length"),
    ]
    taught = problem(teacher_responses=("    return x + x\n",))
    group = build_group(taught, drafts, model="m", teacher="both")
    assert [(c.id, c.source, c.model) for c in group.candidates] == [
        ("s0", Source.STUDENT, "m"),
        ("s1", Source.STUDENT, "m"),
        ("t0", Source.TEACHER, "reference"),
        ("t1", Source.TEACHER, "dataset"),
        ("h0", Source.HUMAN, "m"),
    ]
    assert group.candidates[4].preference == 0.5
    assert group.candidates[0].program == "def double(x):\n    return 2\n"
    assert group.candidates[0].num_tokens == 4


def test_teacher_settings_and_fraction():
    taught = [problem(f"p/{i}", teacher_responses=("    return x + x\n",)) for i in range(400)]
    draft = [Draft("    return 1\n", "stop")]

    def teachers(**settings):
        groups = [build_group(p, draft, model="m", **settings) for p in taught]
        return sum(c.source is Source.TEACHER for g in groups for c in g.candidates)

    assert [teachers(teacher=t) for t in ("none", "reference", "responses", "both")] == [0, 400, 400, 800]
    some = teachers(teacher="reference", teacher_fraction=0.3)
    assert 80 < some < 160
    assert some == teachers(teacher="reference", teacher_fraction=0.3)


def test_a_group_without_candidates_says_why():
    assert "no candidates" in build_group(problem(reference=""), [], model="m", teacher="both").error
    assert build_group(problem(), [], model="m", error="too long").error == "too long"


def test_seeds_are_stable_and_spread():
    assert stable_seed(0, "a", 1) == stable_seed(0, "a", 1) == 886027111
    assert len({stable_seed(0, "a", i) for i in range(1000)}) == 1000


def test_overlap_finds_the_same_content_and_the_same_id():
    train = [problem("a", prompt="def f(x):\n"), problem("b", prompt="def g(x):\n")]
    held_out = [problem("c", prompt="def  F(x): \n"), problem("b", prompt="other"), problem("d", prompt="new")]
    assert overlap(*([(p.id, statement(p.prompt)) for p in problems] for problems in (train, held_out))) == [
        ("a", "c"),
        ("b", "b"),
    ]

"""An evaluation as it is stored."""

import json

from rrtf_ray.config import Draw
from rrtf_ray.core.evaluation import Evaluation, Judged, draw_names, evaluate_groups
from rrtf_ray.records import Outcome


def test_an_evaluation_comes_back_from_json():
    passed, failed = Outcome.PASSED, Outcome.FAILED
    judged = [Judged("a", (passed, failed, passed)), Judged("b", (failed, failed, Outcome.SANDBOX_ERROR))]
    made = evaluate_groups(judged, "m", [Draw(n=1, temperature=0.0), Draw(n=2, temperature=0.8)], [1, 2])
    again = Evaluation.from_dict(json.loads(json.dumps(made.as_dict())))
    assert again.as_dict() == made.as_dict()
    assert again.draws[1].per_problem == {"a": 0.5, "b": 0.0}
    assert again.draws[1].pass_at_k[2].value == 1.0
    assert again.num_errors == 1


def test_draws_have_distinct_names():
    assert draw_names([(0.0, 1.0), (0.8, 0.95)]) == ["greedy", "T=0.8"]
    assert draw_names([(0.8, 0.95), (0.8, 0.9)]) == ["T=0.8", "T=0.8, top_p=0.9"]
    assert draw_names([(0.8, 0.9)] * 3) == ["T=0.8", "T=0.8, top_p=0.9", "T=0.8, top_p=0.9 #2"]
    assert draw_names([(None, None)] * 2) == ["students", "students #2"]

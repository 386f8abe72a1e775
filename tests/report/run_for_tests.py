"""A finished run, written by the product's own classes as a real one writes it, small enough to count by hand.

Two train problems and three held-out ones. Of the held-out ones, `h/fixed` is solved after training only, `h/broken`
before it only, and `h/same` by both. The second draw has two candidates.
"""

import json

import yaml

from rrtf_ray.config import Config, Draw, resolved
from rrtf_ray.config_file import validate
from rrtf_ray.core.evaluation import Judged, evaluate_groups
from rrtf_ray.core.ranking import rank
from rrtf_ray.records import Group, Outcome, Split
from rrtf_ray.store.files import join, write_bytes, write_json
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import candidate, problem

P, F, C = Outcome.PASSED, Outcome.FAILED, Outcome.COMPILE_ERROR
DRAWS = (Draw(n=1, temperature=0.0, top_p=1.0), Draw(n=2, temperature=0.8))
EVALUATED = {
    "base": {"h/broken": (P, P, F), "h/fixed": (F, F, F), "h/same": (P, P, P)},
    "round-01": {"h/broken": (F, P, F), "h/fixed": (P, P, P), "h/same": (P, P, P)},
}
"""The outcomes of s0 (greedy), s1 and s2."""


def write(store, records, settings=None):
    store.begin("f", settings or {})
    store.write(records)
    store.finish({"rows": len(records), "fingerprint": "f"})


def train_groups(**changes):
    """t/0: a repetition, a failure of the sandbox, and all kinds of places; t/1: a tie."""
    kinds = [
        candidate("s0", F, passed=2, completion="    return 2 + x\n"),
        candidate("s1", F, passed=2, completion="    return 2 + x\n"),
        candidate("s2", C, completion="    return 2 x\n"),
        candidate("s3", P, completion="    return x + x\n"),
        candidate("s4", Outcome.SANDBOX_ERROR, completion="    return 0\n"),
        candidate("t0", P, completion="    return 2 * x\n"),
    ]
    tied = [candidate("s0", F, completion="    return 1\n"), candidate("s1", F, completion="    return 3\n")]
    first = problem("t/0", prompt="def double(x):\n    '''Twice.'''\n", **changes)
    return [Group(first, tuple(kinds)), Group(problem("t/1", prompt="def double(y):\n"), tuple(tied))]


def held_out(id_):
    return problem(id_, prompt=f"def double(x):\n    '''{id_}'''\n", split=Split.HELD_OUT)


def evaluated(outcomes):
    return [
        Group(held_out(id_), tuple(candidate(f"s{i}", o, completion=f"    return {o.value!r}, {i}\n")
                                   for i, o in enumerate(found)))
        for id_, found in outcomes.items()
    ]  # fmt: skip


def write_evaluation(run, name, groups, draws=DRAWS):
    settings = {"sample": {"draws": [draw.model_dump(mode="json") for draw in draws]}}
    write(run.evaluated_groups(name), groups, settings)
    judged = [Judged(g.problem.id, tuple(c.verdict.outcome for c in g.candidates)) for g in groups]
    write_json(join(run.evaluation(name), "evaluation.json"), evaluate_groups(judged, name, draws, (1, 2)).as_dict())


def metrics(round, steps=4):
    names = ("loss", "ft_loss", "rank_loss", "ranking_accuracy", "active_pairs", "margin", "learning_rate", "grad_norm")
    rows = [
        {"round": round, **dict.fromkeys(names, 1 / step), "step": step, "steps": steps} for step in range(1, steps + 1)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def write_config(run, **changes):
    config = validate(Config, {"run_dir": run.uri, "evaluate": {"draws": [{"n": 1, "temperature": 0.0}]}} | changes)
    write_bytes(run.at("config.yaml"), yaml.safe_dump(resolved(config)).encode())
    return config


def write_round(run, config, groups, votes=()):
    write(run.groups(1), groups)
    of = {group.problem.id: [vote for vote in votes if vote.problem_id == group.problem.id] for group in groups}
    write(run.rankings(1), [rank(group, config.rank, of[group.problem.id]) for group in groups])


def finished_run(place):
    """The run directory, complete."""
    run = RunDir(str(place))
    groups = train_groups()
    write(run.problems(Split.TRAIN), [group.problem for group in groups])
    write(run.problems(Split.HELD_OUT), [held_out(id_) for id_ in EVALUATED["base"]])
    write_round(run, write_config(run), groups)
    for name, outcomes in EVALUATED.items():
        write_evaluation(run, name, evaluated(outcomes))
    manifest = {"steps": 4, "examples": 1, "responses": 3, "left_out": {"tied": 1, "response_too_long": 1}}
    write_json(join(run.checkpoint(1), "_manifest.json"), manifest)
    write_bytes(run.at("metrics.jsonl"), metrics(1).encode())
    write_json(run.at("seconds.json"), {"problems": 1.0, "train 1": 3.0})
    write_json(run.at("environment.json"), {"python": "3.11", "packages": {"ray": "2"}, "command": ["rrtf", "run"]})
    write_json(run.at("summary.json"), {})
    return run

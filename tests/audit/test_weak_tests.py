"""The figure of benchmarks.curation: the truth from HumanEval+, the flags from the audit, on two small problems."""

from benchmarks.curation.weak_tests import SAMPLES, measure, recall_and_precision
from tests.problems import rows

WEAK = "def check(candidate):\n    assert candidate(2) == 6\n    assert candidate(1) == 3\n"
STRONG = WEAK + "    assert candidate(0) == 0\n    assert candidate(-4) == -12\n"
RIGHT, WRONG = "    return x + x + x\n", "    return abs(3 * x)\n"


def test_figures_of_a_weak_and_a_strong_problem(tmp_path):
    for folder in ("problems", "samples"):
        (tmp_path / folder).mkdir()
    base = [rows.humaneval(task_id="own/weak", test=WEAK), rows.humaneval(task_id="own/strong", test=STRONG)]
    plus = [
        rows.evalplus(
            task_id=row["task_id"],
            prompt=row["prompt"],
            entry_point="triple",
            canonical_solution=row["canonical_solution"],
            base_input=[[2]],
            plus_input=[[-3], [0]],
            contract="",
            assertion="",
        )
        for row in base
    ]
    rows.write_jsonl(tmp_path / "problems" / "HumanEval.jsonl", base)
    rows.write_jsonl(tmp_path / "problems" / "HumanEvalPlus-Mini.jsonl", plus)
    samples = [{"task_id": row["task_id"], "samples": [RIGHT, WRONG]} for row in base]
    rows.write_jsonl(tmp_path / "samples" / SAMPLES[0], samples)
    rows.write_jsonl(tmp_path / "samples" / SAMPLES[1], samples)
    found = measure(tmp_path, programs=10)
    assert (found["weak_test_problems"], found["weak_test_weak"]) == (2, 1)
    assert (found["weak_test_recall_with_samples"], found["weak_test_precision_with_samples"]) == (1.0, 1.0)


def test_recall_and_precision():
    assert recall_and_precision([(True, True), (True, False), (False, True), (False, False)]) == (0.5, 0.5)
    assert recall_and_precision([(False, False)]) == (0.0, 0.0)

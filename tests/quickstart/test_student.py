"""The student: its corpus, its tokenizer, and a three-step model that is saved and loaded again."""

from __future__ import annotations

import ast
from itertools import islice

import pytest
import torch

from rrtf_ray.quickstart import make_student
from rrtf_ray.quickstart import student as student_module
from rrtf_ray.quickstart.corpus import MISREAD_RATE, SLIP_RATE, bug_rates, draw_documents
from rrtf_ray.quickstart.operations import OPERATIONS
from rrtf_ray.quickstart.problems import generate_problems
from rrtf_ray.quickstart.student import _encode, _pad
from rrtf_ray.quickstart.tokenizer import SPECIAL_TOKENS


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On a busy machine, threads that wait for each other take minutes for a second's work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(student_module, "NUM_THREADS", 1)
        yield


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """Directory, metrics and progress reports of a student of three steps."""
    output_dir = tmp_path_factory.mktemp("quickstart") / "student"
    seen: list[tuple[int, int, float]] = []
    metrics = make_student(output_dir, steps=3, on_step=lambda *report: seen.append(report))
    return output_dir, metrics, seen


@pytest.fixture(scope="module")
def tokenizer(student):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(student[0])


def test_documents_are_valid_python_and_repeat_with_the_seed():
    documents = list(islice(draw_documents(0), 400))
    assert documents == list(islice(draw_documents(0), 400))
    assert documents != list(islice(draw_documents(1), 400))
    for document in documents:
        ast.parse(document.given + document.written + (document.suffix or ""))
    gaps = sum(d.suffix is not None for d in documents) / 400
    assert 0.08 < gaps < 0.22


def test_corpus_holds_right_and_wrong_versions_of_a_misread_operation():
    rates = bug_rates(0)
    misread = [OPERATIONS[name] for name in OPERATIONS if rates[name] == MISREAD_RATE]
    operation = next(operation for operation in misread if not operation.constants)
    texts = [d.given + d.written for d in islice(draw_documents(0), 6000) if d.suffix is None]
    texts = [t for t in texts if operation.phrase in t.lower()]
    right = sum(operation.code in t for t in texts) / len(texts)
    assert 0.15 < right < 0.6


@pytest.mark.parametrize("seed", range(4))
def test_share_of_problems_without_misread_operation_does_not_depend_on_the_seed(seed):
    rates = bug_rates(seed)
    assert rates == bug_rates(seed)
    assert set(rates.values()) == {MISREAD_RATE, SLIP_RATE}
    _, held_out = generate_problems(num_train=1, num_held_out=300, seed=seed)
    starts = [OPERATIONS[name].phrase.split("{k}")[0] for name in OPERATIONS if rates[name] == MISREAD_RATE]
    touched = sum(any(start in p.prompt.lower() for start in starts) for p in held_out)
    assert 0.5 < touched / 300 < 0.8


def test_reports_every_step(student):
    _, metrics, seen = student
    assert [(step, total) for step, total, _ in seen] == [(1, 3), (2, 3), (3, 3)]
    assert seen[-1][2] == metrics["loss"]
    assert 0.5e6 < metrics["num_parameters"] < 4e6
    assert metrics["num_tokens"] > 0


def test_same_seed_same_weights_and_the_callers_settings_are_left_alone(student, tmp_path):
    from safetensors.torch import load_file

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(3)
    try:
        make_student(tmp_path, steps=3)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.random.get_rng_state(), state)
    first, second = (load_file(d / "model.safetensors") for d in (student[0], tmp_path))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_loads_with_transformers_and_knows_its_end(student, tokenizer):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(student[0])
    assert model.config.model_type == "gpt_bigcode"
    assert model.config.multi_query
    assert model.dtype == torch.float32
    assert model.config.n_positions >= 1024
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 0
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    ids = tokenizer("def solve(", return_tensors="pt").input_ids
    assert model.generate(ids, max_new_tokens=4).shape[1] > ids.shape[1]


@pytest.mark.parametrize(
    "text", ["    return sum(numbers)\n", "\t é ß 你好 🙂\r\n\n x", "a  b , c . d n't", " lead", ""]
)
def test_tokenizer_gives_any_text_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_tokens_are_starcoders(tokenizer):
    assert tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(len(SPECIAL_TOKENS)))
    for token in ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>", "<filename>", "<reponame>"):
        assert len(tokenizer.encode(token)) == 1
    ids = tokenizer.encode("<fim_prefix>a<fim_suffix>b<fim_middle>")
    assert tokenizer.decode(ids, skip_special_tokens=True) == "ab"


def test_prompt_and_completion_encode_alike_together_and_apart(tokenizer):
    for problem in generate_problems(num_train=20, num_held_out=1)[0]:
        apart = tokenizer.encode(problem.prompt) + tokenizer.encode(problem.reference)
        assert tokenizer.encode(problem.prompt + problem.reference) == apart


def test_every_document_learns_its_end_and_nothing_that_is_given(tokenizer):
    batch = [_encode(document, tokenizer) for document in islice(draw_documents(0), 40)]
    ids_BT, mask_BT, labels_BT = _pad(batch, tokenizer.pad_token_id)
    assert ids_BT.shape == mask_BT.shape == labels_BT.shape
    assert ((ids_BT == tokenizer.pad_token_id) == (mask_BT == 0)).all()
    assert (labels_BT[mask_BT == 0] == -100).all()
    assert ((labels_BT == tokenizer.eos_token_id).sum(dim=1) == 1).all()
    assert (labels_BT[:, 0] == -100).all()

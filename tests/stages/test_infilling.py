"""A benchmark asks for a middle with the very tokens that the gateway asks with."""

import pytest

from rrtf_ray.config import Config
from rrtf_ray.errors import DataError, InputError
from rrtf_ray.problems import write_problems
from rrtf_ray.quickstart.tokenizer import train_tokenizer
from rrtf_ray.records import Problem, Split
from rrtf_ray.serving.calls import MiddleWanted, middle
from rrtf_ray.serving.models import EngineDescription, engine_from
from rrtf_ray.stages.infilling import infilling_of
from rrtf_ray.stages.inputs import prepare_problems
from rrtf_ray.stages.preflight import check_prompts
from rrtf_ray.store.models import tokenizer_of
from rrtf_ray.store.rows import RowStore
from rrtf_ray.store.run_dir import RunDir
from tests.records_for_tests import problem

CONTEXT, MAX_TOKENS = 256, 32
PREFIX, SUFFIX = "def add(a, b):\n    total = ", "\n    return total\n"
TEXTS = ["def add(a, b):\n    return a + b\n", "print(add(1, 2))\nfor i in range(10):\n    print(i)\n"] * 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tokenizer that has StarCoder's markers."""
    folder = tmp_path_factory.mktemp("model")
    train_tokenizer(TEXTS, vocab_size=400, max_length=CONTEXT).save_pretrained(folder)
    return str(folder)


def gateway_call(model, prefix, suffix):
    description = EngineDescription(
        adapters=(),
        context=CONTEXT,
        vocab_size=400,
        chat=False,
        capacity=1,
        tokenizer=tokenizer_of(model).backend_tokenizer.to_str(),
    )
    engine = engine_from(description, 1, ask=None)
    return middle(MiddleWanted(prefix, suffix, MAX_TOKENS, {}), "m", engine).body


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [(PREFIX, SUFFIX), ("", "\n"), ("x = 1\n" * 40, SUFFIX), ("a <fim_middle> b\n", "<|endoftext|>\n"), ("é = ☺", "ß")],
)
def test_the_gateway_s_tokens_and_ends(model, prefix, suffix):
    infilling = infilling_of(model)
    body = gateway_call(model, prefix, suffix)
    fitted = infilling.prompt(prefix, suffix, context=CONTEXT, max_tokens=MAX_TOKENS)
    assert fitted.prompt_ids == body["prompt"]
    assert fitted.max_tokens == body["max_tokens"] == MAX_TOKENS
    assert infilling.stop_ids == body["stop_token_ids"]


def test_the_tokens_by_hand(model):
    tokenizer = tokenizer_of(model)
    marker = tokenizer.convert_tokens_to_ids
    ids = infilling_of(model).prompt(PREFIX, SUFFIX, context=CONTEXT, max_tokens=MAX_TOKENS).prompt_ids
    assert ids == [
        *(marker("<fim_prefix>"), *tokenizer.encode(PREFIX)),
        *(marker("<fim_suffix>"), *tokenizer.encode(SUFFIX)),
        marker("<fim_middle>"),
    ]


def store_of(tmp_path, *problems):
    store = RowStore(str(tmp_path / "problems"), Problem, "id")
    store.write(problems, "0")
    return store


def config_of():
    return Config.model_validate({"model": {"max_model_len": CONTEXT}, "sample": {"max_tokens": MAX_TOKENS}})


def test_a_prompt_that_would_be_cut_is_refused(model, tmp_path):
    """The gateway cuts it around the cursor; a benchmark of less than the problem would measure something else."""
    room = CONTEXT - MAX_TOKENS
    line = len(tokenizer_of(model).encode("x = 1\n"))
    fits = (room - 3 - 1) // line  # three markers, and a line end as the suffix
    good, bad = (problem(str(n), prompt="x = 1\n" * n, suffix="\n") for n in (fits, fits + 1))
    check_prompts(store_of(tmp_path / "good", good), model, config_of())
    with pytest.raises(
        DataError, match=rf"1 prompts are longer .* {room} tokens: {fits + 1} \({(fits + 1) * line + 4} t"
    ):
        check_prompts(store_of(tmp_path / "bad", good, bad), model, config_of())


def test_such_problems_are_held_out_and_never_trained_on(tmp_path):
    train = problem("a", split=Split.TRAIN)
    for split in (Split.TRAIN, Split.HELD_OUT):
        hole = problem("b", prompt="x = ", suffix="\n", split=split)
        write_problems([train, hole], str(tmp_path / split))
        config = Config(run_dir=str(tmp_path / f"run-{split}"), problems={"source": str(tmp_path / split)})
        run = RunDir(config.run_dir)
        if split is Split.TRAIN:
            with pytest.raises(InputError, match=r"'b' is an infilling problem .* import them with `--split held_out`"):
                prepare_problems(config, run)
        else:
            prepare_problems(config, run)
            assert list(run.problems(split).read()) == [hole]


def test_a_model_without_markers_says_so(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path / "plain")
    plain = str(tmp_path / "plain")
    check_prompts(store_of(tmp_path / "a", problem(prompt="x")), plain, config_of())
    with pytest.raises(InputError, match=r"plain' has no fill-in-the-middle markers .* such as StarCoder2"):
        check_prompts(store_of(tmp_path / "b", problem(prompt="x", suffix="\n")), plain, config_of())

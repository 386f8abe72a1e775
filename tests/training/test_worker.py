"""Rankings to examples with a real tokenizer, and what is rejected before anything is started."""

import pytest

from rrtf_ray.config import Config, LossConfig, RankConfig, TrainConfig
from rrtf_ray.core.ranking import rank
from rrtf_ray.errors import ConfigError, InputError
from rrtf_ray.records import Outcome, Reason
from rrtf_ray.stages.preflight import check_training
from rrtf_ray.store.prompting import Prompting
from rrtf_ray.store.run_dir import RunDir
from rrtf_ray.training.worker import make_examples
from tests.records_for_tests import candidate, group

GOOD = candidate("t0", Outcome.PASSED)
BAD = candidate("s0", Outcome.FAILED, passed=1)
EOS = "<|endoftext|>"


def bytes_tokenizer(**special):
    """A byte-level tokenizer; `special` are its eos_token, pad_token ..."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {EOS: 0} | {b: i for i, b in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()), 1)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def ranked(number, *candidates):
    return rank(group(*candidates, id_=f"p/{number}"), RankConfig())


@pytest.mark.parametrize("special", [{"eos_token": EOS}, {"eos_token": EOS, "pad_token": EOS}])
def test_without_a_pad_token_or_with_pad_as_eos_the_end_is_taught_all_the_same(special):
    (example,), left_out = make_examples([ranked(1, GOOD, BAD)], bytes_tokenizer(**special), Prompting(), TrainConfig())
    assert [response[-1] for response in example.responses] == [0, 0]
    assert 0 not in example.prompt
    assert not left_out


def test_what_cannot_be_trained_on_is_left_out_and_counted():
    rankings = [
        ranked(1, GOOD, BAD),
        ranked(2, GOOD),
        ranked(3, candidate("s0", Outcome.FAILED), candidate("s1", Outcome.FAILED)),
        ranked(4, candidate("t0", Outcome.FAILED, passed=2), candidate("s0", Outcome.COMPILE_ERROR)),
        ranked(5, GOOD, candidate("s0", Outcome.FAILED, completion="x" * 300)),
        ranked(6, GOOD, BAD, candidate("s1", Outcome.FAILED, completion="y" * 300)),
    ]
    config = TrainConfig(max_length=200)
    examples, left_out = make_examples(rankings, bytes_tokenizer(eos_token=EOS), Prompting(), config)
    assert [e.problem_id for e in examples] == ["p/1", "p/6"]
    assert left_out == {
        Reason.TOO_FEW: 1,
        Reason.TIED: 1,
        Reason.NO_PASSING_TARGET: 1,
        Reason.TOO_LONG: 1,
        "response_too_long": 1,
    }


def test_supervised_training_takes_the_target_alone_where_nothing_could_be_compared():
    config = TrainConfig(loss=LossConfig(objective="sft"))
    rankings = [ranked(1, GOOD, BAD), ranked(2, GOOD)]
    examples, left_out = make_examples(rankings, bytes_tokenizer(eos_token=EOS), Prompting(), config)
    assert [len(e.responses) for e in examples] == [1, 1]
    assert not left_out


@pytest.fixture
def model(tmp_path):
    """model(**special): the folder of a tiny model whose tokenizer has these special tokens."""
    from transformers import GPTBigCodeConfig, GPTBigCodeForCausalLM

    def make(**special):
        settings = {"vocab_size": 300, "n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
        GPTBigCodeForCausalLM(GPTBigCodeConfig(n_positions=256, **settings)).save_pretrained(tmp_path)
        bytes_tokenizer(**special).save_pretrained(tmp_path)
        return str(tmp_path)

    return make


def test_a_model_that_can_be_trained_is_let_through(model, tmp_path):
    check_training(Config(train=TrainConfig(max_length=256)), RunDir(str(tmp_path)), model(eos_token=EOS))


def test_a_tokenizer_that_cannot_end_a_response_is_refused(model, tmp_path):
    with pytest.raises(InputError, match=r"has no EOS token.*set eos_token in its tokenizer_config\.json"):
        check_training(Config(train=TrainConfig(max_length=256)), RunDir(str(tmp_path)), model())


def test_a_context_longer_than_the_models_is_refused(model, tmp_path):
    with pytest.raises(ConfigError, match=r"train\.max_length=1024 is more than the 256 positions"):
        check_training(Config(), RunDir(str(tmp_path)), model(eos_token=EOS))

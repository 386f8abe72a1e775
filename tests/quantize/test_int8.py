"""Int8 checkpoints: what is rounded and what is not, that Transformers reads them, and what is rejected."""

import resource

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTBigCodeConfig,
    GPTBigCodeForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from rrtf_ray.errors import InputError, StageError  # noqa: E402
from rrtf_ray.quantize.int8 import write_int8  # noqa: E402

SMALL = {"vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def bigcode():
    return GPTBigCodeForCausalLM(GPTBigCodeConfig(vocab_size=96, n_embd=32, n_layer=2, n_head=4, n_positions=64))


def llama():
    return LlamaForCausalLM(LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=False))


@pytest.mark.parametrize("make", [bigcode, llama])
def test_linear_layers_are_rounded_to_the_nearest_of_256_steps_and_nothing_else_is(make, tmp_path):
    torch.manual_seed(0)
    model = make()
    model.save_pretrained(tmp_path / "model")
    counts = write_int8(str(tmp_path / "model"), tmp_path / "int8")
    before, after = (load_file(tmp_path / name / "model.safetensors") for name in ("model", "int8"))
    rounded = {name for name, value in after.items() if value.dtype == torch.int8}
    assert len(rounded) == counts.layers > 0
    assert sum(after[name].numel() for name in rounded) == counts.quantized
    assert sum(p.numel() for p in model.parameters()) == counts.parameters
    for name in rounded:
        scale = after[name.replace("weight", "weight_scale")]
        assert scale.shape == (before[name].shape[0], 1)
        assert scale.dtype == torch.float32
        error = (after[name].float() * scale - before[name]).abs()
        assert (error <= 0.5001 * scale).all()
    others = {name for name in before if name not in rounded}
    assert others >= {name for name in before if "norm" in name or "ln_" in name or "wte" in name or "embed" in name}
    assert ("lm_head.weight" in before) == ("lm_head.weight" in others)
    for name in others:
        assert torch.equal(after[name], before[name].bfloat16()), name


def test_a_reloaded_checkpoint_gives_nearly_the_same_logits(tmp_path):
    torch.manual_seed(0)
    model = llama().eval()
    model.save_pretrained(tmp_path / "model")
    write_int8(str(tmp_path / "model"), tmp_path / "int8")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "int8", dtype=torch.float32).eval()
    tokens = torch.arange(60).reshape(2, 30)
    with torch.no_grad():
        expected, found = model(tokens).logits, again(tokens).logits
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()
    assert not torch.equal(found, expected)


def test_a_16_bit_checkpoint_keeps_its_type(tmp_path):
    llama().half().save_pretrained(tmp_path / "model")
    write_int8(str(tmp_path / "model"), tmp_path / "int8")
    after = load_file(tmp_path / "int8" / "model.safetensors")
    assert after["model.norm.weight"].dtype == torch.float16


def test_a_full_disk_is_told_with_the_place(tmp_path):
    llama().save_pretrained(tmp_path / "model")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(StageError, match=r"int8 cannot be written.*set TMPDIR to another folder"):
            write_int8(str(tmp_path / "model"), tmp_path / "int8")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def no_linear_layers(folder):
    GPT2LMHeadModel(GPT2Config(vocab_size=96, n_embd=32, n_layer=1, n_head=4)).save_pretrained(folder)


def experts(folder):
    MixtralForCausalLM(MixtralConfig(**SMALL, num_key_value_heads=2, num_local_experts=2)).save_pretrained(folder)


def diverged(folder):
    model = llama()
    model.model.layers[1].mlp.up_proj.weight.data[3, 4] = float("nan")
    model.save_pretrained(folder)


def quantized_already(folder):
    llama().save_pretrained(folder / "first")
    write_int8(str(folder / "first"), folder)


def broken(folder):
    llama().save_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"no tensors")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_linear_layers, r"GPT2LMHeadModel\) has no linear layers"),
        (experts, r"mixture of experts \(model\.layers\.0\..*experts"),
        (diverged, r"model\.layers\.1\.mlp\.up_proj\.weight has values that are not finite"),
        (quantized_already, "is already quantized"),
        (broken, "cannot be loaded"),
    ],
)
def test_a_model_that_cannot_be_quantized_is_named_with_the_reason(make, message, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    make(model)
    with pytest.raises(InputError, match=message) as caught:
        write_int8(str(model), tmp_path / "int8")
    assert str(model) in str(caught.value)

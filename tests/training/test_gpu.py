"""What only a GPU can show: FlexAttention over a packed row equals the CPU's attention."""

from array import array

import pytest
import torch

from rrtf_ray.config import TrainConfig
from rrtf_ray.core.examples import Example
from rrtf_ray.core.packing import pack
from rrtf_ray.training.attention import BLOCK
from rrtf_ray.training.model import choose_path, load_model
from rrtf_ray.training.objective import Objective, response_logprobs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU, and there is none"),
]

KINDS = {
    "gpt_bigcode": {"vocab_size": 97, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "qwen2": {
        "vocab_size": 97,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    },
}


def example(number):
    prompt = array("i", [(7 * at + number) % 97 for at in range(20 + number)])
    responses = tuple(array("i", [(at * at + size) % 97 for at in range(size)]) for size in (5, 40, 12 + number))
    return Example(
        f"p{number}", prompt, responses, (1.0, 0.0, -1.0), (True, False, False), (1.0, 0.0, 0.0), (True, False, False)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("bfloat16", 0.03)])
def test_flex_attention_gives_what_the_cpu_gives(kind, dtype, tolerance, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **KINDS[kind])).save_pretrained(tmp_path)
    examples = [example(number) for number in range(4)]
    found = {}
    for device, config in (
        ("cpu", TrainConfig(zero_stage=1)),
        ("cuda", TrainConfig(zero_stage=1, use_gpu=True, dtype=dtype)),
    ):
        objective = Objective(load_model(str(tmp_path), config), config.logits_chunk).to(device)
        packed, why = choose_path(objective, objective.model, config)
        assert packed, why
        batch = pack(examples, [1.0] * 4, chunk=64, multiple=BLOCK if config.use_gpu else 1).to(device)
        found[device] = response_logprobs(objective, batch)
    assert found["cuda"] == pytest.approx(found["cpu"], rel=tolerance)

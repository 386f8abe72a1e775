"""The arithmetic of memory, against numbers worked by hand."""

from dataclasses import replace

import pytest

from rrtf_ray.planning.memory import CPU_RESERVE, GPU_RESERVE, Model, Training, memory, remedies

# A StarCoder block of width 10 with keys as wide as queries and an MLP of four times the width.
MODEL = Model(
    parameters=1000,
    layers=4,
    hidden=10,
    query_width=10,
    key_width=10,
    mlp_values=80,
    vocabulary=50,
    adapter_width=60,
)
TRAINING = Training(
    num_workers=4,
    use_gpu=True,
    zero_stage=3,
    offload="none",
    bytes_per_value=2,
    lora_rank=0,
    tokens_per_pass=100,
    logits_chunk=8,
    gradient_checkpointing=False,
)


def parts(**changes):
    return {p.name: p for p in memory(MODEL, replace(TRAINING, **changes)).parts}


@pytest.mark.parametrize(
    ("stage", "weights", "gradients", "optimizer"),
    [(1, 2000, 2000, 3000), (2, 2000, 500, 3000), (3, 500, 500, 3000)],
)
def test_each_stage_of_zero_partitions_one_thing_more(stage, weights, gradients, optimizer):
    """Rajbhandari et al.: 2, 2 and 12 bytes per parameter; stage 1 divides the 12, stage 2 the gradients too, 3 all."""
    found = parts(zero_stage=stage)
    assert [found[n].device for n in ("weights", "gradients", "optimizer")] == [weights, gradients, optimizer]


def test_without_zero_there_is_no_second_copy_of_the_weights():
    found = parts(zero_stage=0, bytes_per_value=4)
    assert [found[n].device for n in ("weights", "gradients", "optimizer")] == [4000, 4000, 8000]
    assert found["ZeRO's buffers"].device == found["gradients in fp32"].device == 0


def test_a_layer_keeps_32_bytes_a_token_and_hidden_value():
    """34 sbh of Korthikanti et al. without the two dropout masks; 100 tokens, 4 layers, width 10."""
    assert parts()["activations"].device == 32 * 10 * 100 * 4
    assert parts(bytes_per_value=4)["activations"].device == 2 * 32 * 10 * 100 * 4


def test_checkpointing_keeps_inputs_and_one_layer():
    assert parts(gradient_checkpointing=True)["activations"].device == 100 * (4 * 2 * 10 + 32 * 10)


def test_the_output_layer():
    found = parts()
    assert found["logits"].device == 8 * 50 * 8  # in 16 bit: fp32 and twice 16 bit
    assert found["output layer"].device == 50 * 10 * 6
    found = parts(bytes_per_value=4)
    assert found["logits"].device == 8 * 50 * 4
    assert found["output layer"].device == 50 * 10 * 4


def test_offloading_moves_parts_to_the_host():
    found = parts(offload="optimizer")
    assert (found["optimizer"].device, found["optimizer"].host) == (0, 3000)
    assert (found["gradients"].device, found["gradients"].host) == (0, 500 + 1000)
    assert found["weights"].device == 500
    assert found["gradients in fp32"].device == 0
    found = parts(offload="parameters")
    assert (found["weights"].device, found["weights"].host) == (0, 500)


def test_lora_trains_rank_times_in_plus_out():
    found = memory(MODEL, replace(TRAINING, lora_rank=2, zero_stage=2))
    assert found.trainable == 2 * 60
    named = {p.name: p.device for p in found.parts}
    assert named["weights"] == (1000 + 120) * 2
    assert named["optimizer"] == 120 * 12 / 4
    assert named["output layer"] == 0


def test_a_worker_holds_a_pass_or_a_step_never_both():
    found = memory(MODEL, replace(TRAINING, use_gpu=False, zero_stage=2))
    named = {p.name: p.device for p in found.parts}
    always = sum(named[n] for n in ("weights", "gradients", "optimizer", "ZeRO's buffers", "reserve"))
    a_pass = sum(named[n] for n in ("activations", "logits", "output layer"))
    assert named["reserve"] == CPU_RESERVE
    assert a_pass > named["gradients in fp32"] == 1000
    assert found.device == always + a_pass
    small = memory(replace(MODEL, layers=0, mlp_values=0), replace(TRAINING, tokens_per_pass=0, logits_chunk=0))
    assert small.device == 500 + 500 + 3000 + 2 * (500_000_000 + 1000) + GPU_RESERVE + 50 * 10 * 6


def test_every_remedy_makes_it_fit():
    start = replace(TRAINING, zero_stage=3, tokens_per_pass=400)
    fits_in = memory(MODEL, replace(start, tokens_per_pass=250)).device

    def fits(changed):
        return memory(MODEL, changed).device <= fits_in

    assert not fits(start)
    found = remedies(start, fits, shortest_pass=50)
    assert {"gradient_checkpointing": True} in found
    assert {"tokens_per_pass": 200} in found  # the longest half that fits
    assert {"offload": "optimizer"} not in found  # saves 3500 bytes of the 192,000
    for change in found:
        assert fits(replace(start, **change)), change


def test_remedies_combine_where_one_is_not_enough():
    start = replace(TRAINING, zero_stage=3, tokens_per_pass=400)
    both = {"gradient_checkpointing": True, "tokens_per_pass": 50}
    fits_in = memory(MODEL, replace(start, **both)).device
    found = remedies(start, lambda changed: memory(MODEL, changed).device <= fits_in, shortest_pass=50)
    assert both in found
    assert all(len(change) == 2 for change in found)


def test_no_remedy_where_nothing_helps():
    assert remedies(TRAINING, lambda changed: False, shortest_pass=50) == []
    start = replace(TRAINING, zero_stage=0, bytes_per_value=4, num_workers=1)
    for change in remedies(start, lambda t: t.bytes_per_value == 2, shortest_pass=50):
        assert replace(start, **change).zero_stage > 0, "bfloat16 without ZeRO is refused by the configuration"

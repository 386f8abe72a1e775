"""`rrtf plan` as a user meets it, on architectures that are only a config.json."""

import json
import re
from pathlib import Path

import pytest

from rrtf_ray.cli import main

CONFIGS = Path(__file__).parents[2] / "jobs" / "configs"
ENDS = {"bos_token_id": 0, "eos_token_id": 0}
STARCODER = ENDS | {
    "model_type": "gpt_bigcode",
    "vocab_size": 49152,
    "n_positions": 8192,
    "n_embd": 6144,
    "n_layer": 40,
    "n_head": 48,
    "n_inner": 24576,
    "multi_query": True,
}
STARCODER2_3B = ENDS | {
    "model_type": "starcoder2",
    "vocab_size": 49152,
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "max_position_embeddings": 16384,
    "use_bias": True,
}
QWEN25_CODER_3B = {
    "model_type": "qwen2",
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "tie_word_embeddings": True,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
}
TINY = ENDS | {
    "model_type": "qwen2",
    "vocab_size": 100,
    "hidden_size": 8,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "tie_word_embeddings": True,
}


@pytest.fixture
def plan(tmp_path, capsys):
    """Run the command on an architecture; returns what it printed."""

    def run(architecture, *arguments):
        folder = tmp_path / "model"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(architecture))
        places = [f"model.student={folder}", f"run_dir={tmp_path}/run"]
        # argparse takes overrides in one piece only, wherever it stands.
        overrides = [a for a in arguments if "=" in a]
        options = [a for a in arguments if "=" not in a]
        assert main(["plan", *options, *overrides, *places]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("starcoder-8gpu", STARCODER),
        ("starcoder-4x8gpu", STARCODER),
        ("one-gpu", STARCODER2_3B),
        ("one-gpu-instruct", QWEN25_CODER_3B),
    ],
)
def test_the_memory_in_a_configuration_is_the_commands(plan, tmp_path, name, architecture):
    path = CONFIGS / f"{name}.yaml"
    comment = [line[2:] for line in path.read_text().splitlines() if line.startswith("# ")]
    start = comment.index("memory per GPU, GiB (an estimate)")
    table = comment[start : start + 11]
    assert table[-1].endswith("of 80 GiB: fits")
    printed = plan(architecture, "--config", str(path), f"problems.source={tmp_path}/none")
    assert "\n".join(table) in printed
    assert "unknown until problems.source exists" in printed


def test_numbers_of_a_tiny_model(plan):
    found = json.loads(plan(TINY, "--json", "train.epochs=2", "train.batch_groups=100", "train.lora={rank: 3}"))
    # Queries 8 x 8, keys and values 8 x 4, output 8 x 8; gate, up and down 8 x 20.
    widths = 16 + 12 + 12 + 16 + 3 * 28
    layer = 64 + 8 + 2 * (32 + 4) + 64 + 3 * 160 + 2 * 8
    assert found["parameters"] == 100 * 8 + 2 * layer + 8
    assert found["trainable_parameters"] == 3 * 2 * widths
    assert (found["problems"], found["problems_from"], found["steps_at_most"]) == (1200, "the quickstart", 24)
    assert found["fits"]
    # A token keeps 4h + queries and output, keys and values, and 4 * 20 of a gated MLP, in fp32.
    assert found["parts"]["activations"]["device"] == 4096 * 2 * 4 * (4 * 8 + 2 * 8 + 2 * 4 + 4 * 20)


def test_what_does_not_fit_names_what_does(plan):
    gpu = ["train.use_gpu=true", "train.dtype=bfloat16", "train.tokens_per_pass=8192"]
    printed = plan(STARCODER2_3B, *gpu, "--gpu-memory-gib", "40")
    assert "of 40 GiB: does not fit" in printed
    found = json.loads(plan(STARCODER2_3B, *gpu, "--gpu-memory-gib", "40", "--json"))
    assert not found["fits"]
    assert found["remedies"]
    for change in found["remedies"]:
        assert " ".join(change).replace("train.lora={rank: 16}", "'train.lora={rank: 16}'") in printed
        assert "of 40 GiB: fits" in plan(STARCODER2_3B, *gpu, *change, "--gpu-memory-gib", "40"), change


def test_offloading_shows_the_hosts_share(plan):
    printed = plan(STARCODER2_3B, "train.use_gpu=true", "train.dtype=bfloat16", "train.offload=optimizer")
    assert re.search(r"optimizer +0\.00  and 33\.87 of the host's memory", printed)
    assert re.search(r"host +50\.80  per worker", printed)  # 12 for the optimizer, 2 + 4 for gradients


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("{alpha: 0.5, pairs: all}", "rrtf: 0.5 * L_rank (all pairs, weighted by"),
        ("{objective: sft, ft_target: best}", "sft: L_ft (sum over the tokens of the best response)"),
        ("{objective: sft, ft_target: all}", "sft: L_ft (sum over the tokens of all distinct responses that pass)"),
        ("{pairs: passing}", "pairs of one that passes and one that fails"),
        ("{objective: dpo}", "dpo: pairs of a teacher and a student, beta 0.1"),
    ],
)
def test_the_loss_in_a_line(plan, loss, says):
    assert says in plan(TINY, f"train.loss={loss}")


@pytest.mark.slow  # for the student
def test_the_quickstart_is_the_student_that_it_makes(plan, tmp_path, capsys, student):
    config = json.loads((student / "config.json").read_text())
    assert main(["plan", "--json", f"run_dir={tmp_path}/run", "seed=1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"] == json.loads(plan(config, "--json"))["parameters"]


def test_problems_are_counted_from_the_rankings_if_they_are_there(plan, tmp_path):
    place = tmp_path / "run" / "round-01" / "rankings"
    place.mkdir(parents=True)
    (place / "_manifest.json").write_text(json.dumps({"rows": 50, "reasons": {"ranked": 41, "tied": 9}}))
    found = json.loads(plan(TINY, "--json", "train.batch_groups=20", "train.epochs=1"))
    assert (found["problems"], found["steps_at_most"]) == (41, 3)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no config.json"),
        ("{}", "cannot be loaded"),
        ('{"model_type": "no-such-model"}', "cannot be loaded"),
        ('{"model_type": "vit"}', "not a causal language model"),
    ],
)
def test_a_model_that_is_unknown(tmp_path, capsys, content, says):
    if content:
        (tmp_path / "config.json").write_text(content)
    assert main(["plan", f"model.student={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert f"model.student={str(tmp_path)!r}" in error
    assert says in error


def test_lora_layers_that_are_not_there(tmp_path, capsys):
    (tmp_path / "config.json").write_text(json.dumps(TINY))
    assert main(["plan", f"model.student={tmp_path}", "train.lora={target_modules: [c_attn]}"]) == 2
    error = capsys.readouterr().err
    assert "c_attn" in error
    assert "q_proj" in error

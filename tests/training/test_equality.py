"""The loss and the gradient of every parameter, against a plain implementation: each response alone through the
model in float64, all logits, and the paper's formula in Python loops."""

import copy
import json
import logging
import math
import random
from array import array
from dataclasses import replace

import pytest
import torch

from rrtf_ray.config import LoraConfig, LossConfig, TrainConfig
from rrtf_ray.core.examples import Example, plan_passes
from rrtf_ray.core.packing import pack, pad_rows
from rrtf_ray.errors import ConfigError, InputError
from rrtf_ray.training.attention import CPU_ATTENTION
from rrtf_ray.training.engine import _merged
from rrtf_ray.training.model import choose_path, load_model
from rrtf_ray.training.objective import Objective, group_loss, response_logprobs

pytestmark = pytest.mark.slow

VOCAB = 67
TOLERANCE = 1e-5
# Weights so large that who sees whom, and at which position, matters; and every dropout there is.
SIZE = {
    "vocab_size": VOCAB,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 32,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
GPT2 = {
    "vocab_size": VOCAB,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "initializer_range": 0.2,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
LLAMA = {"intermediate_size": 48, "num_key_value_heads": 2, "max_position_embeddings": 64, "attention_dropout": 0.1}
KINDS = {
    "gpt_bigcode": GPT2,
    "gpt2": GPT2,
    "starcoder2": SIZE | LLAMA | {"residual_dropout": 0.1, "embedding_dropout": 0.1},
    "llama": SIZE | LLAMA,
    "qwen2": SIZE | LLAMA,
    "gpt_neox": SIZE
    | {"intermediate_size": 48, "max_position_embeddings": 64, "hidden_dropout": 0.1, "attention_dropout": 0.1},
    "opt": SIZE | {"ffn_dim": 48, "max_position_embeddings": 64, "word_embed_proj_dim": 32, "attention_dropout": 0.1},
    "mistral": SIZE | LLAMA | {"sliding_window": 6},
    "bloom": {"vocab_size": VOCAB, "hidden_size": 32, "n_layer": 2, "n_head": 4, "attention_dropout": 0.1},
    "mamba": {"vocab_size": VOCAB, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "gemma2": SIZE | LLAMA | {"head_dim": 8},
}
PACKABLE = ["gpt_bigcode", "gpt2", "starcoder2", "llama", "qwen2", "gpt_neox", "opt"]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """More threads only slow models this small down, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """folder(kind): a tiny random model of that kind, made once."""
    made = {}

    def make(kind):
        if kind not in made:
            from transformers import AutoConfig, AutoModelForCausalLM

            torch.manual_seed(0)
            made[kind] = tmp_path_factory.mktemp(kind)
            model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **KINDS[kind]))
            if kind == "bloom":  # it has no setting for it that matters
                for weight in model.parameters():
                    weight.data *= 8 if weight.ndim > 1 else 1
            model.save_pretrained(made[kind])
        return str(made[kind])

    return make


def groups(seed, count=6):
    """Random ragged groups; some responses begin alike, one begins another."""
    chooser = random.Random(seed)

    def tokens(size):
        return array("i", [chooser.randrange(VOCAB) for _ in range(size)])

    found = []
    for at in range(count):
        size = 2 + at % 3
        begin = tokens(chooser.randrange(1, 4))
        responses = [begin + tokens(chooser.randrange(9)) for _ in range(size - 1)] + [tokens(chooser.randrange(1, 12))]
        scores = sorted((round(chooser.uniform(-1, 1.1), 2) for _ in range(size)), reverse=True)
        teacher = [chooser.random() < 0.4 for _ in range(size)]
        teacher[0] = not teacher[-1]
        reference = tuple(chooser.uniform(-40, -20) for _ in range(size))
        target = chooser.randrange(2)
        imitate = tuple(float(place == target) for place in range(size))
        passed = tuple(score > 0 for score in scores)
        prompt = tokens(chooser.randrange(1, 12))
        found.append(
            Example(f"p{at}", prompt, tuple(responses), tuple(scores), tuple(teacher), imitate, passed, 1.0, reference)
        )
    return found


def naive_loss(model, examples, loss):
    """The mean over the groups, from the definitions alone."""
    total = 0.0
    for e in examples:
        tokens = []  # per response: log-probability of each of its tokens
        for response in e.responses:
            text = torch.tensor([[*e.prompt, *response]])
            logprobs = model(input_ids=text, use_cache=False).logits[0].log_softmax(-1)
            tokens.append([logprobs[len(e.prompt) - 1 + at, token] for at, token in enumerate(response)])
        ft_loss = 0.0
        for share, one in zip(e.imitate, tokens, strict=True):
            ft_loss = ft_loss - share * sum(one) / (1 if loss.ft_reduction == "sum" else len(one))
        rank_loss = 0.0
        for i in range(len(tokens)):
            for j in range(len(tokens)):
                if e.scores[i] <= e.scores[j] or (loss.pairs == "teacher" and e.is_teacher[i] == e.is_teacher[j]):
                    continue
                if loss.pairs == "passing" and not (e.passed[i] and not e.passed[j]):
                    continue
                if loss.objective == "dpo":
                    moved = sum(tokens[i]) - e.reference[i] - sum(tokens[j]) + e.reference[j]
                    rank_loss = rank_loss + torch.log1p(torch.exp(-loss.beta * moved))
                    continue
                shared = 0
                while shared < min(len(tokens[i]), len(tokens[j])) and e.responses[i][shared] == e.responses[j][shared]:
                    shared += 1
                values = []
                for which in (i, j):
                    if loss.compare == "first_token":
                        values += tokens[which][shared : shared + 1]
                        continue
                    weights = [loss.prefix_weight if at < shared else 1.0 for at in range(len(tokens[which]))]
                    value = sum(w * p for w, p in zip(weights, tokens[which], strict=True))
                    if sum(weights) == 0:
                        values = None
                        break
                    values.append(value / sum(weights) if loss.length_normalize else value)
                if values is None or len(values) < 2:
                    continue
                gap = e.scores[i] - e.scores[j] if loss.gap_weight else 1.0
                short = values[1] - values[0] + loss.margin
                rank_loss = rank_loss + gap * (short.exp().log1p() if loss.link == "logistic" else torch.relu(short))
        if loss.objective == "dpo":
            total = total + rank_loss
        else:
            total = total + ft_loss + (loss.alpha * rank_loss if loss.objective == "rrtf" else 0.0)
    return total / len(examples)


def naive(model, examples, loss=None):
    """Loss, and gradients by name, in float64; `model` is a folder or a model that is copied."""
    from transformers import AutoModelForCausalLM

    if isinstance(model, str):
        exact = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64, attn_implementation="eager")
    else:
        exact = copy.deepcopy(model).double()
        exact.set_attn_implementation("eager")
    exact.eval()
    exact.zero_grad()
    value = naive_loss(exact, examples, loss or LossConfig())
    value.backward()
    return value.item(), {name: p.grad for name, p in exact.named_parameters()}


def settings(**changes):
    return TrainConfig(**({"max_length": 32, "tokens_per_pass": 4096} | changes))


def ready(folder, config, packed=True):
    """An Objective in training mode, on the path that `choose_path` found."""
    model = load_model(folder, config)
    objective = Objective(model, config.logits_chunk)
    found, why = choose_path(objective, model, config)
    assert found == packed, why
    return objective


def batches(examples, config, packed):
    for ((*places,),) in plan_passes([e.num_tokens for e in examples], config.tokens_per_pass, 1):
        chosen = [examples[at] for at in places]
        build = pack if packed else pad_rows
        yield build(chosen, [1.0] * len(chosen), chunk=config.logits_chunk)


def ours(objective, made, count, loss=None):
    """Loss, and gradients by name, summed over passes."""
    objective.zero_grad()
    total = 0.0
    for batch in made:
        value, _ = objective(batch, group_loss(loss or LossConfig()), 1 / count)
        value.backward()
        total += value.item()
    return total, {name: p.grad for name, p in objective.model.named_parameters()}


def agree(found, expected, tolerance=TOLERANCE):
    assert found[0] == pytest.approx(expected[0], rel=tolerance)
    assert found[1].keys() == expected[1].keys()
    whole = math.sqrt(sum(float(g.double().square().sum()) for g in expected[1].values() if g is not None))
    assert whole > 0.1
    for name, gradient in expected[1].items():
        assert (gradient is None) == (found[1][name] is None), name
        if gradient is None:
            continue
        error = (found[1][name].double() - gradient).norm().item()
        # Some gradients are zero but for rounding, e.g. that of a key's bias.
        assert error < tolerance * max(gradient.norm().item(), 1e-2 * whole), name


@pytest.mark.parametrize("kind", PACKABLE)
def test_equal_to_the_plain_implementation(folder, kind):
    examples = groups(1)
    expected = naive(folder(kind), examples)
    for packing in ("packed", "padded"):
        for changes in (
            {},
            {"logits_chunk": 1, "tokens_per_pass": 40},
            {"logits_chunk": 17, "tokens_per_pass": 90, "gradient_checkpointing": True},
        ):
            config = settings(packing=packing, **changes)
            objective = ready(folder(kind), config, packing == "packed")
            assert (objective.model.config._attn_implementation == CPU_ATTENTION) == (packing == "packed")
            made = list(batches(examples, config, packing == "packed"))
            assert len(made) == 1 or "tokens_per_pass" in changes
            agree(ours(objective, made, len(examples)), expected)


@pytest.mark.parametrize(
    "loss",
    [
        LossConfig(pairs="all", gap_weight=False, margin=0.7, alpha=0.3, ft_reduction="token_mean"),
        LossConfig(pairs="all", length_normalize=False, prefix_weight=0.25, alpha=5.0),
        LossConfig(pairs="all", prefix_weight=0.0, margin=0.2),
        LossConfig(pairs="all", link="logistic", margin=0.5, alpha=2.0),
        LossConfig(pairs="passing", link="logistic", compare="first_token", gap_weight=False),
        LossConfig(objective="sft"),
        LossConfig(objective="dpo", beta=0.3),
        LossConfig(objective="dpo", pairs="all"),
    ],
    ids=["rrhf", "prefix_sum", "prefix_0", "logistic", "first_token", "sft", "dpo", "dpo_all"],
)
@pytest.mark.parametrize("packed", [True, False])
def test_every_objective(folder, loss, packed):
    examples = groups(2)
    config = settings(packing="packed" if packed else "padded", logits_chunk=20, tokens_per_pass=90)
    objective = ready(folder("gpt_bigcode"), config, packed)
    found = ours(objective, batches(examples, config, packed), len(examples), loss)
    agree(found, naive(folder("gpt_bigcode"), examples, loss))


@pytest.mark.parametrize("kind", ["gpt_bigcode", "llama"])
def test_company_padding_and_order_change_nothing(folder, kind):
    examples = groups(3)
    config = settings()
    objective = ready(folder(kind), config)
    ones = [1.0] * len(examples)
    expected = naive(folder(kind), examples)

    def moved(e, order):
        return replace(
            e,
            responses=tuple(e.responses[at] for at in order),
            scores=tuple(e.scores[at] for at in order),
            is_teacher=tuple(e.is_teacher[at] for at in order),
            reference=tuple(e.reference[at] for at in order),
            imitate=tuple(e.imitate[at] for at in order),
            passed=tuple(e.passed[at] for at in order),
        )

    shuffled = []
    for at, e in enumerate(examples):
        order = list(range(len(e.responses)))
        random.Random(at).shuffle(order)
        shuffled.append(moved(e, order))
    assert shuffled != examples
    for made in (
        [pack(examples, ones, chunk=30)],
        [pack(examples[::-1], ones, chunk=30)],
        [pack(examples[4:] + examples[:4], ones, chunk=1000)],
        [pack([e], [1.0], chunk=30) for e in examples],
        [pack(examples, ones, chunk=30, pad=5, multiple=64)],
        [pack(shuffled, ones, chunk=30)],
        # A group of weight 0 is as good as absent.
        [pack([*examples, groups(9)[0]], [*ones, 0.0], chunk=30)],
    ):
        agree(ours(objective, made, len(examples)), expected)
    objective = ready(folder(kind), settings(packing="padded"), packed=False)
    for made in (
        [pad_rows(examples, ones, chunk=30)],
        [pad_rows(examples, ones, chunk=30, pad=5)],
        [pad_rows(shuffled[::-1], ones, chunk=30)],
        [pad_rows([e], [1.0], chunk=30) for e in shuffled],
    ):
        agree(ours(objective, made, len(examples)), expected)


def test_summed_log_probabilities(folder):
    examples = groups(4)
    for packing in ("packed", "padded"):
        config = settings(packing=packing, logits_chunk=9)
        objective = ready(folder("llama"), config, packing == "packed").eval()
        build = pack if packing == "packed" else pad_rows
        batch = build(examples, [1.0] * len(examples), chunk=config.logits_chunk)
        found = iter(response_logprobs(objective, batch))
        from transformers import AutoModelForCausalLM

        exact = AutoModelForCausalLM.from_pretrained(folder("llama"), dtype=torch.float64)
        for e in examples:
            for response in e.responses:
                logits = exact(input_ids=torch.tensor([[*e.prompt, *response]])).logits[0, len(e.prompt) - 1 : -1]
                loss = torch.nn.functional.cross_entropy(logits, torch.tensor(response), reduction="sum")
                assert next(found) == pytest.approx(-loss.item(), rel=1e-5)
        assert next(found, None) is None
        assert all(p.grad is None for p in objective.parameters())


@pytest.mark.parametrize("kind", ["bloom", "mamba", "mistral"])
def test_what_cannot_be_packed_is_padded(folder, kind):
    examples = groups(5)
    config = settings(logits_chunk=20, tokens_per_pass=90)
    model = load_model(folder(kind), config)
    objective = Objective(model, config.logits_chunk)
    packed, why = choose_path(objective, model, config)
    assert not packed
    assert type(model).__name__ in why
    assert model.training
    agree(ours(objective, batches(examples, config, False), len(examples)), naive(folder(kind), examples))
    with pytest.raises(ConfigError, match="auto or padded"):
        choose_path(objective, model, settings(packing="packed"))


def test_a_leak_that_is_too_small_to_show_in_the_numbers_is_found(tmp_path):
    # As Transformers makes it, a tiny Bloom hardly attends: packed without a mask its numbers are right to 1e-4.
    from transformers import AutoModelForCausalLM, BloomConfig

    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(BloomConfig(vocab_size=96, hidden_size=32, n_layer=2, n_head=4)).save_pretrained(
        tmp_path
    )
    for dtype in ("float32", "bfloat16"):
        config = settings(dtype=dtype)
        model = load_model(str(tmp_path), config)
        packed, why = choose_path(Objective(model, 512), model, config)
        assert not packed
        assert "lets one response of a packed row see another" in why


def test_a_sliding_window_is_measured_by_the_longest_text_there_may_be(folder, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    for window, packed in ((31, False), (32, True)):
        kind = AutoConfig.for_model("mistral", **(KINDS["mistral"] | {"sliding_window": window}))
        AutoModelForCausalLM.from_config(kind).save_pretrained(tmp_path)
        model = load_model(str(tmp_path), settings())
        found, why = choose_path(Objective(model, 512), model, settings())
        assert found == packed
        assert packed or "sliding window of 31 tokens" in why


def test_softcapped_logits_are_refused(folder):
    with pytest.raises(InputError, match="caps its logits"):
        load_model(folder("gemma2"), settings())


def test_logits_that_are_changed_after_the_output_layer_are_refused(tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    kind = AutoConfig.for_model("granite", **SIZE, **LLAMA, logits_scaling=4.0)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(kind).save_pretrained(tmp_path)
    model = load_model(str(tmp_path), settings())
    with pytest.raises(InputError, match="changes its logits after the output layer"):
        choose_path(Objective(model, 512), model, settings())


def test_weights_that_are_not_finite_are_refused(folder):
    model = load_model(folder("llama"), settings())
    model.get_output_embeddings().weight.data[3] = torch.nan
    with pytest.raises(InputError, match="weights are damaged"):
        choose_path(Objective(model, 512), model, settings())


def test_weights_of_another_architecture_are_refused(folder, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    AutoModelForCausalLM.from_pretrained(folder("llama")).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(AutoConfig.from_pretrained(folder("gpt_bigcode")).to_dict()))
    with pytest.raises(InputError, match="its weights are not those of a GPTBigCodeForCausalLM"):
        load_model(str(tmp_path), settings())
    # Of the same architecture and another shape.
    kind = AutoConfig.from_pretrained(folder("llama"))
    kind.intermediate_size = 56
    (tmp_path / "config.json").write_text(json.dumps(kind.to_dict()))
    with pytest.raises(InputError, match=str(tmp_path)):
        load_model(str(tmp_path), settings())


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be loaded"):
        load_model(str(tmp_path), settings())


@pytest.mark.parametrize("kind", PACKABLE)
def test_nothing_is_dropped_in_training(folder, kind):
    examples = groups(6)
    for packing in ("packed", "padded"):
        config = settings(packing=packing)
        objective = ready(folder(kind), config, packing == "packed")
        (batch,) = batches(examples, config, packing == "packed")
        values = [objective(batch, group_loss(LossConfig()))[0].item() for _ in range(2)]
        assert values[0] == values[1]


@pytest.mark.parametrize("packing", ["packed", "padded"])
@pytest.mark.parametrize("lora", [None, LoraConfig(rank=2)])
@pytest.mark.parametrize(("checkpointing", "times"), [(False, 1), (True, 2)])
def test_gradient_checkpointing_computes_each_layer_again(folder, packing, lora, checkpointing, times):
    examples = groups(6)
    config = settings(packing=packing, gradient_checkpointing=checkpointing, lora=lora)
    objective = ready(folder("llama"), config, packing == "packed")
    calls = []
    for name, module in objective.model.named_modules():
        if name.endswith("layers.0.mlp"):
            # Before it, since the second time ends where all that is needed is there again.
            module.register_forward_pre_hook(lambda *_: calls.append(1))
    ours(objective, batches(examples, config, packing == "packed"), len(examples))
    assert len(calls) == times


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["gpt2", "gpt_bigcode", "llama"])
def test_lora(folder, kind, checkpointing):
    examples = groups(7)
    lora = LoraConfig(rank=3, alpha=5)
    config = settings(lora=lora, gradient_checkpointing=checkpointing, logits_chunk=20, tokens_per_pass=90)
    objective = ready(folder(kind), config)
    torch.manual_seed(1)
    for name, p in objective.model.named_parameters():
        assert p.requires_grad == (".lora_" in name)
        if p.requires_grad:
            torch.nn.init.normal_(p, std=0.1)  # peft begins with B = 0, where A has no gradient
    found = ours(objective, batches(examples, config, True), len(examples))
    agree(found, naive(objective.model, examples))
    assert {name for name, gradient in found[1].items() if gradient is not None} == {
        name for name, _ in objective.model.named_parameters() if ".lora_" in name
    }
    merged = _merged(objective.model.state_dict(), objective.model, lora)
    expected = copy.deepcopy(objective.model).merge_and_unload().state_dict()
    assert merged.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(merged[name], weight, rtol=1e-5, atol=1e-6)
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(folder(kind)).state_dict()
    changed = {name for name, weight in merged.items() if not torch.allclose(weight, base[name])}
    assert changed
    assert not any("embed" in name or "wte" in name or "lm_head" in name or "norm" in name for name in changed)


def test_lora_names_its_layers(folder):
    only = settings(lora=LoraConfig(rank=2, target_modules=("q_proj",)))
    objective = ready(folder("llama"), only)
    adapted = {name.split(".")[-4] for name, p in objective.model.named_parameters() if p.requires_grad}
    assert adapted == {"q_proj"}
    with pytest.raises(ConfigError, match="target_modules"):
        load_model(folder("llama"), settings(lora=LoraConfig(rank=2, target_modules=("no_such_layer",))))


def test_bfloat16_is_close(folder, caplog):
    caplog.set_level(logging.WARNING)
    examples = groups(8)
    expected, _ = naive(folder("gpt_bigcode"), examples)
    for packing in ("packed", "padded"):
        config = settings(packing=packing, dtype="bfloat16")
        objective = ready(folder("gpt_bigcode"), config, packing == "packed")
        value, gradients = ours(objective, batches(examples, config, packing == "packed"), len(examples))
        assert value == pytest.approx(expected, rel=0.03)
        assert all(g is None or g.dtype == torch.bfloat16 for g in gradients.values())

"""How problems are put to models: base models continue, instruct models are asked through their own chat template."""

from __future__ import annotations

import json

import pytest

from rrtf_ray.core.extraction import extract
from rrtf_ray.errors import InputError
from rrtf_ray.store.models import tokenizer_of
from rrtf_ray.store.prompting import Prompting, end_of_turn, prompting_of

EOT, TURN, BOS = "<|endoftext|>", "<|im_end|>", "<s>"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
MISTRAL = (
    "<s>{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'system' %}{{ raise_exception('no system role here') }}"
    "{% else %}{{ m.content }}<|endoftext|>{% endif %}{% endfor %}"
)
ENDLESS = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
BROKEN = "{% for m in messages %}{{ m.content.nothing.at_all }}{% endfor %}"
ASKED = {"template": "{prompt}", "system": "", "instruction": "Write it:\n{prompt}", "thinking": False}


@pytest.fixture
def model(tmp_path):
    """A folder with a tokenizer of bytes: its chat template, EOS, and where its generation stops."""

    def make(template: str | None, *, eos: str = EOT, stops: tuple[str, ...] = (), name: str = "model") -> str:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
        from transformers import PreTrainedTokenizerFast

        vocabulary = {b: i for i, b in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([AddedToken(t, special=True) for t in (EOT, TURN, BOS, "<|im_start|>")])
        # As many models do: every text begins with BOS, which a chat template writes itself.
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=eos, bos_token=BOS)
        fast.chat_template = template
        folder = tmp_path / name
        fast.save_pretrained(folder)
        if stops:
            ids = [tokenizer.token_to_id(stop) for stop in stops]
            (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
        return str(folder)

    return make


def shown(model: str, prompting: Prompting, prompt: str) -> str:
    return tokenizer_of(model).decode(prompting.encode(tokenizer_of(model), prompt))


def test_a_base_model_continues_its_prompt(model):
    folder = model(None)
    prompting, note = prompting_of(folder, chat="auto", **ASKED | {"template": "# {prompt}"})
    assert note == ""
    assert shown(folder, prompting, "def f():\n") == "<s># def f():\n"
    assert prompting.answer("def f():\n", "    return 1\n") == "    return 1\n"
    assert tokenizer_of(folder).convert_ids_to_tokens(prompting.end(tokenizer_of(folder))) == EOT


def test_an_instruct_model_is_asked_through_its_template(model):
    folder = model(CHATML, stops=(TURN, EOT))
    prompting, _ = prompting_of(folder, chat="auto", **ASKED | {"system": "Be brief."})
    assert shown(folder, prompting, "def f():\n") == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWrite it:\ndef f():\n<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    assert tokenizer_of(folder).convert_ids_to_tokens(prompting.end(tokenizer_of(folder))) == TURN
    thinking, _ = prompting_of(folder, chat="auto", **ASKED | {"thinking": True})
    assert shown(folder, thinking, "x").endswith("<|im_start|>assistant\n")


def test_the_first_token_is_written_once(model):
    folder = model(MISTRAL)
    prompting, _ = prompting_of(folder, chat="auto", **ASKED)
    ids = prompting.encode(tokenizer_of(folder), "x")
    assert ids.count(tokenizer_of(folder).bos_token_id) == 1
    assert shown(folder, prompting, "x") == "<s>[INST] Write it:\nx [/INST]"


def test_a_base_model_that_is_published_with_a_template_is_not_chatted_with(model):
    folder = model(CHATML)  # it stops at its EOS, not where the template ends a turn
    prompting, note = prompting_of(folder, chat="auto", **ASKED)
    assert not prompting.chat
    assert "does not stop where it ends a turn" in note
    assert prompting_of(folder, chat="on", **ASKED)[0].chat
    assert not prompting_of(model(CHATML, stops=(TURN,), name="instruct"), chat="off", **ASKED)[0].chat


def test_a_template_without_an_end_of_turn(model):
    folder = model(ENDLESS)
    assert end_of_turn(tokenizer_of(folder)) is None
    assert not prompting_of(folder, chat="auto", **ASKED)[0].chat
    prompting, note = prompting_of(folder, chat="on", **ASKED)
    assert tokenizer_of(folder).convert_ids_to_tokens(prompting.end(tokenizer_of(folder))) == EOT
    assert "its EOS is taken" in note


def test_templates_that_cannot_be_used_are_named(model):
    with pytest.raises(InputError, match=r"model.chat=on, but .* has no chat template"):
        prompting_of(model(None), chat="on", **ASKED)
    with pytest.raises(InputError, match=r"no system role here.*sample.system=''"):
        prompting_of(model(MISTRAL, name="mistral"), chat="auto", **ASKED | {"system": "Be brief."})
    with pytest.raises(InputError, match=r"the chat template of .* fails"):
        prompting_of(model(BROKEN, name="broken"), chat="on", **ASKED)


@pytest.mark.parametrize(
    ("prompt", "completion", "code"),
    [
        ("def f():\n", "    return 1\n", "```python\ndef f():\n    return 1\n```"),
        ("def f():\n", "def f():\n    return 1\n", "```python\ndef f():\n    return 1\n```"),
        ("Add two numbers.\n", "print(sum(map(int, input().split())))\n", None),
        ("function f() {\n", "  return 1;\n}\n", "```\nfunction f() {\n  return 1;\n}\n```"),
    ],
)
def test_what_is_imitated_in_a_chat_is_the_code_in_a_block(prompt, completion, code):
    answer = Prompting(chat=True).answer(prompt, completion)
    assert answer == (code or f"```python\n{completion}```")


def test_a_block_that_was_cut_off_does_not_end():
    answer = Prompting(chat=True).answer("def f():\n", "    return (1 +", truncated=True)
    assert answer == "```python\ndef f():\n    return (1 +"


def test_an_imitated_answer_is_read_as_the_same_program():
    prompt, completion = "def f(n):\n", "    return n + 1\n"
    answer = Prompting(chat=True).answer(prompt, completion)
    assert extract(answer, prompt, "f").program.strip() == (prompt + completion).strip()

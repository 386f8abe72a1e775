"""How a problem is put to a model, and what the model is shown as its answer: as text to continue, or as a chat.

One `Prompting` decides for sampling, training, evaluation and the check of lengths, so that all see the same tokens. A
base model continues the prompt. An instruct model gets the problem as a user's message through its own chat template,
and answers with code in a block.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

from rrtf_ray.errors import InputError, first_line
from rrtf_ray.store.models import generation_ends, tokenizer_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = "rrtfanswer"
"""Stands for an assistant's answer, to see what a template puts after it."""


@dataclass(frozen=True, slots=True)
class Prompting:
    """template: around a prompt that is continued. The others are for a chat: instruction around the prompt, system
    message (empty for none), and whether the model may think first, which is handed to the template."""

    template: str = "{prompt}"
    chat: bool = False
    system: str = ""
    instruction: str = "{prompt}"
    thinking: bool = False

    def text(self, tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
        """What the model reads before its answer. Raises InputError where the chat template fails."""
        if not self.chat:
            return self.template.replace("{prompt}", prompt)
        system = [{"role": "system", "content": self.system}] if self.system else []
        user = {"role": "user", "content": self.instruction.replace("{prompt}", prompt)}
        return _rendered(tokenizer, [*system, user], add_generation_prompt=True, enable_thinking=self.thinking)

    def encode(self, tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
        """The tokens of `text`: a chat template writes its own first token, for other texts the tokenizer may."""
        ids: list[int] = tokenizer.encode(self.text(tokenizer, prompt), add_special_tokens=not self.chat)
        return ids

    def answer(self, prompt: str, completion: str, *, truncated: bool = False) -> str:
        """A response as training shows it: the completion, in a chat the whole code in a block. truncated: it was cut
        off, so the block does not end either."""
        if not self.chat:
            return completion
        code = prompt + completion if _continues(completion) else completion
        block = f"```{'python' if _is_python(code) or truncated else ''}\n{code.strip(chr(10))}"
        return block if truncated else f"{block}\n```"

    def end(self, tokenizer: PreTrainedTokenizerBase) -> int:
        """The token that ends an answer. Raises InputError for a tokenizer without one."""
        end = end_of_turn(tokenizer) if self.chat else None
        end = tokenizer.eos_token_id if end is None else end
        if end is None:
            raise InputError("the tokenizer has no EOS token; set eos_token in its tokenizer_config.json")
        return int(end)


@cache
def prompting_of(
    model: str, *, chat: Literal["auto", "on", "off"], template: str, system: str, instruction: str, thinking: bool
) -> tuple[Prompting, str]:
    """How problems are put to `model`, and what a person should know about it; empty for nothing.

    chat: `auto` for a chat where the model has a chat template and stops by itself where that ends a turn. Base models
    are often published with a template, but do not stop there.

    Raises InputError where chat is `on` and the model has no chat template, or one that fails.
    """
    if chat == "off":
        return Prompting(template), ""
    tokenizer = tokenizer_of(model)
    if not getattr(tokenizer, "chat_template", None):
        if chat == "on":
            raise InputError(
                f"model.chat=on, but the tokenizer of {model!r} has no chat template; use model.chat=off, or put "
                "chat_template.jinja into its folder"
            )
        return Prompting(template), ""
    prompting = Prompting(template, True, system, instruction, thinking)
    end = end_of_turn(tokenizer)
    if chat == "auto" and (end is None or end not in generation_ends(model)):
        why = f"{model} has a chat template, but does not stop where it ends a turn: prompts are continued (model.chat)"
        return Prompting(template), why
    prompting.text(tokenizer, "")  # a template that fails does so now
    if end is None:
        return prompting, f"the chat template of {model} ends a turn with no token of its own: its EOS is taken"
    return prompting, ""


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token with which the chat template ends an assistant's turn; None if it is not a token of its own."""
    turn = [{"role": "user", "content": "x"}, {"role": "assistant", "content": _MARK}]
    _, mark, tail = _rendered(tokenizer, turn).rpartition(_MARK)
    if not mark or not tail.strip():
        return None
    first: int = tokenizer.encode(tail.lstrip(), add_special_tokens=False)[0]
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    return first if first in special else None


def _rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **options: Any) -> str:
    from jinja2 import TemplateError

    try:
        text = cast("str", tokenizer.apply_chat_template(messages, tokenize=False, **options))
    except (TemplateError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"the chat template of {tokenizer.name_or_path!r} fails ({type(error).__name__}: {first_line(error)}); a "
            "template without a system role needs sample.system='', others need model.chat=off"
        ) from None
    return text


def _continues(completion: str) -> bool:
    """Whether a completion goes on in the body that its prompt has begun."""
    line = next((line for line in completion.split("\n") if line.strip()), "")
    return line.startswith((" ", "\t"))


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True

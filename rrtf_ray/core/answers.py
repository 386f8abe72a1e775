"""What of a model's response is its answer: without its reasoning, and without the marks around the answer.

In: a response as a model wrote it. Out: the text in which `core.extraction` looks for code.

Left out are reasoning (`<think>` and its kin, with or without the opening mark; the analysis channel of OpenAI's
harmony format, with its special tokens or without), the marks with which models begin and end a turn or a file, and
what is wrapped around the code as a whole: a block quote, quotes in place of a fence, an `<answer>`, a JSON object.
Reasoning that never ends has no answer after it.

Pure, stdlib only. Limit: a mark counts where it is not written between quotes, so a program that has one in a longer
text, and chatter around it, is cut there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_OPENINGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<scratchpad>": "</scratchpad>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<unused94>": "<unused95>",
}
_THOUGHT_MARK = re.compile("|".join(map(re.escape, (*_OPENINGS, *_OPENINGS.values()))), re.IGNORECASE)
_CLOSINGS = {opening.lower(): closing.lower() for opening, closing in _OPENINGS.items()}

_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>")
_BARE_ANALYSIS = re.compile(r"\s*analysis(?=[A-Z][\w']*[\s,.:])")
"""Harmony without its special tokens: the channel's name is glued to the first sentence."""
_BARE_FINAL = re.compile(r"assistant\s?final")

_BEGIN = re.compile(
    r"\s*(?:<s>|<bos>|<\|begin_of_text\|>|<｜begin▁of▁sentence｜>|<\|im_start\|>(?:assistant)?\n?"
    r"|<\|start_header_id\|>assistant<\|end_header_id\|>\n*|<start_of_turn>model\n?|<fim_middle>|<\|fim_middle\|>)"
)
_END = re.compile(
    r"<\|(?:endoftext|im_end|im_start|eot_id|eom_id|end_of_text|end_of_turn|end|return|eot|EOT|user|endofresponse"
    r"|end_of_solution|END_RESPONSE|END_OF_TURN_TOKEN|file_sep|repo_name|fim_pad|fim_prefix|fim_suffix|fim_middle)\|>"
    r"|<(?:file_sep|filename|reponame|repo_name|gh_stars|issue_start|jupyter_start|end_of_turn|eos|EOT|fim_prefix"
    r"|fim_suffix|fim_middle|fim_pad)>"
    r"|<｜end▁of▁sentence｜>|<｜User｜>|</s>(?=[ \t]*(?:\n|\Z))"
)

_ANSWER = re.compile(r"^[ \t]*(?:<answer>|<solution>|<\|begin_of_solution\|>)", re.MULTILINE | re.IGNORECASE)
_ANSWER_END = re.compile(r"</answer>|</solution>|<\|end_of_solution\|>", re.IGNORECASE)
_QUOTED_FENCE = re.compile(r"^>[ \t]?(?:```|~~~)", re.MULTILINE)
_QUOTES_AS_FENCE = re.compile(r"('''|\"\"\")(?:python3?|py)[ \t]*")
_JSON_FENCE = re.compile(r"\A\s*(?:```+|~~~+)(?:json)?[ \t]*\n(.*?)\n?(?:```+|~~~+)?\s*\Z", re.DOTALL | re.IGNORECASE)
_JSON_KEYS = ("code", "solution", "program", "answer", "completion", "python", "final_answer", "response")
_QUOTES = ('"', "'", "`")


def answer_of(response: str) -> str:
    """The answer in `response`; empty where the response ends within its reasoning."""
    return _unwrapped(_turn(_without_reasoning(_turn_begun(response))))


def _without_reasoning(text: str) -> str:
    channels = list(_CHANNEL.finditer(text))
    if channels:
        final = [match for match in channels if match.group(1) == "final"]
        return _until(_CHANNEL_END, text[final[-1].end() :]) if final else ""
    if _BARE_ANALYSIS.match(text):
        *_, answer = _BARE_FINAL.split(text)
        return answer if _BARE_FINAL.search(text) else ""
    return _after_closed_thoughts(text)


def _after_closed_thoughts(text: str) -> str:
    """Without each thought; of an answer whose thought was opened by the prompt, what follows the closing mark."""
    kept, start = "", 0
    closing: str | None = None  # of the thought that is open
    for mark in _unquoted(_THOUGHT_MARK, text):
        name = mark.group().lower()
        if closing is not None:
            if name == closing:
                closing, start = None, mark.end()
        elif name not in _CLOSINGS:
            kept, start = "", mark.end()
        elif not text[max(start, text.rfind("\n", start, mark.start())) : mark.start()].strip():
            kept, closing = kept + text[start : mark.start()], _CLOSINGS[name]
    return kept if closing is not None else kept + text[start:]


def _unquoted(mark: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The marks that are not written between quotes."""
    for match in mark.finditer(text):
        quoted_before = text.endswith(_QUOTES, 0, match.start())
        quoted_after = text.startswith(_QUOTES, match.end()) and not text.startswith("```", match.end())
        if not (quoted_before or quoted_after):
            yield match


def _turn_begun(text: str) -> str:
    while begin := _BEGIN.match(text):
        text = text[begin.end() :]
    return text


def _turn(text: str) -> str:
    return _until(_END, _turn_begun(text))


def _until(mark: re.Pattern[str], text: str) -> str:
    end = next(_unquoted(mark, text), None)
    return text[: end.start()] if end else text


def _unwrapped(text: str) -> str:
    if answers := list(_ANSWER.finditer(text)):
        text = _until(_ANSWER_END, text[answers[-1].end() :])
    if _QUOTED_FENCE.search(text):
        text = "".join(line[1:].removeprefix(" ") for line in text.splitlines(keepends=True) if line.startswith(">"))
    return _of_json(_fenced(text))


def _fenced(text: str) -> str:
    """With fences in place of the quotes that some models write for them."""
    lines = text.split("\n")
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines):
        if opened and line.rstrip() == opened[1]:
            lines[opened[0]], lines[number] = "```python", "```"
            opened = None
        elif opened is None and (begin := _QUOTES_AS_FENCE.fullmatch(line)):
            opened = number, begin.group(1)
    return "\n".join(lines)


def _of_json(text: str) -> str:
    """The code in a response that is one JSON object, fenced or not."""
    fenced = _JSON_FENCE.match(text)
    inner = (fenced.group(1) if fenced else text).strip()
    if not (inner.startswith("{") and inner.endswith("}")):
        return text
    try:
        found = json.loads(inner, strict=False)
    except (ValueError, RecursionError):
        return text
    for key in _JSON_KEYS:
        if isinstance(found, dict) and isinstance(found.get(key), str):
            code: str = found[key]
            return code
    return text

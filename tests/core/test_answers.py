"""Answers: reasoning goes, marks go, and a program that happens to contain a mark stays."""

from __future__ import annotations

import time

import pytest

from rrtf_ray.core.answers import answer_of
from rrtf_ray.core.extraction import extract
from rrtf_ray.records import ProblemKind

STUB = 'def area(r):\n    """Area of a circle."""\n'
WRONG = "```python\ndef area(r):\n    return r\n```\n"
RIGHT = "def area(r):\n    return 3 * r * r\n"
FENCED = f"```python\n{RIGHT}```\n"


def completion(response: str, kind: ProblemKind = ProblemKind.FUNCTION) -> str:
    return extract(response, "" if kind is ProblemKind.STDIO else STUB, "area", kind).completion


@pytest.mark.parametrize(
    "thought",
    [
        f"<think>\nDraft:\n{WRONG}No.\n</think>\n\n",
        f"Draft:\n{WRONG}No.\n</think>\n\n",  # the chat template opened it
        f"<thinking>{WRONG}</thinking>",
        f"<|im_start|>assistant\n<think>\n{WRONG}</think>\n",
        f"[THINK]{WRONG}[/THINK]",
        f"<seed:think>\n{WRONG}</seed:think>\n",
        f"◁think▷{WRONG}◁/think▷",
        f"<|begin_of_thought|>\n{WRONG}<|end_of_thought|>\n\n<|begin_of_solution|>\n",
        f"<think>one</think>\n<think>\n{WRONG}</think>\n",
        f"<think>`</think>` ends it.\n{WRONG}</think>\n",
        f"<|channel|>analysis<|message|>{WRONG}<|end|><|start|>assistant<|channel|>final<|message|>",
        f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary<|message|>{WRONG}<|end|>"
        "<|start|>assistant<|channel|>final<|message|>",
        f"analysisWe draft:\n{WRONG}No.assistantfinal",
    ],
)
def test_reasoning_is_not_the_answer(thought: str) -> None:
    assert completion(thought + FENCED) == RIGHT
    assert completion(thought + "\n" + RIGHT) == RIGHT


@pytest.mark.parametrize(
    "cut_off",
    [
        f"<think>\nDraft:\n{WRONG}Wait, ",
        f"<think>one</think><think>{WRONG}",
        f"<|channel|>analysis<|message|>Draft:\n{WRONG}So",
        f"analysisWe draft:\n{WRONG}Now",
        f"[THINK]\n{WRONG}",
    ],
)
@pytest.mark.parametrize("kind", [ProblemKind.FUNCTION, ProblemKind.STDIO])
def test_a_response_cut_off_within_its_reasoning_has_no_answer(cut_off: str, kind: ProblemKind) -> None:
    assert completion(cut_off, kind) == ""


def test_an_answer_before_a_second_thought_that_never_ends_stays() -> None:
    assert completion(f"{FENCED}\n<think>Is it right? ") == RIGHT


def test_a_body_after_an_empty_thought() -> None:
    assert completion("<think>\n\n</think>\n\n    return 3 * r * r\n").strip("\n") == "    return 3 * r * r"


@pytest.mark.parametrize(
    "mark",
    [
        "<|endoftext|>",
        "<|eot_id|>",
        "</s>",
        "<|im_end|>",
        "<end_of_turn>",
        "<｜end▁of▁sentence｜>",
        "<file_sep>",
        "<|fim_pad|>",
    ],
)
@pytest.mark.parametrize("after", ["", "\n", "\ndef area(r):\n    return 0\n"])
def test_a_mark_ends_the_answer_also_within_its_line(mark: str, after: str) -> None:
    assert completion(f"    return 3 * r * r{mark}{after}").rstrip("\n") == "    return 3 * r * r"
    assert completion(RIGHT.rstrip("\n") + mark + after).rstrip("\n") == RIGHT.rstrip("\n")


@pytest.mark.parametrize(
    "body",
    [
        '    return text.split("</think>")[-1]\n',
        "    end = '<|endoftext|>'\n    return r + end\n",
        '    page = """\n<think>\n</s>\n"""\n    return page\n',
    ],
)
def test_a_mark_that_the_program_writes_stays(body: str) -> None:
    assert completion(body) == body


@pytest.mark.parametrize("line", ['return text.split("</think>")[-1]', "return r + '<|endoftext|>'"])
def test_a_mark_between_quotes_stays_among_chatter(line: str) -> None:
    assert completion(f"Sure:\n```python\n{STUB}    {line}\n```\n") == f"{STUB}    {line}\n"


@pytest.mark.parametrize(
    "response",
    [
        "".join(f"> {line}\n" for line in FENCED.splitlines()),
        f"Here you are:\n\n'''python\n{RIGHT}'''\n",
        f'"""python\n{RIGHT}"""',
        f"<answer>\n{RIGHT}</answer>",
        f"<answer>{FENCED}</answer>\nDone.",
        '{"reasoning": "r is squared", "code": "def area(r):\\n    return 3 * r * r\\n"}',
        '```json\n{"solution": "```python\\ndef area(r):\\n    return 3 * r * r\\n```"}\n```',
    ],
)
def test_what_is_wrapped_around_code_goes(response: str) -> None:
    assert completion(response) == RIGHT


def test_an_object_that_is_the_program_stays() -> None:
    assert answer_of('{"a": 1}') == '{"a": 1}'
    assert extract("    return {'code': 'x'}\n", STUB, "area").completion == "    return {'code': 'x'}\n"


@pytest.mark.parametrize(
    "above",
    [
        "That fails for 5. Corrected:\n",
        "Wait, that is wrong. Let me fix it:\n",
        "Oops, the square is missing.\n\n",
        "Here is the fixed version:\n",
        "So the final answer is\n",
        "\n### Revised code\n",
    ],
)
def test_a_correction_replaces_the_attempt(above: str) -> None:
    assert completion(f"First idea:\n{WRONG}{above}{FENCED}") == RIGHT


@pytest.mark.parametrize(
    "above",
    [
        "A common mistake:\n",
        "An incorrect version, for contrast:\n",
        "Do not write it like this:\n",
        "Before the fix it was:\n",
        "For comparison:\n",
        "",
    ],
)
def test_a_version_for_contrast_does_not(above: str) -> None:
    assert completion(f"{FENCED}{above}{WRONG}") == RIGHT


def test_a_helper_of_its_own_block_comes_along() -> None:
    helper = "def square(x):\n    return x * x\n"
    answer = "def area(r):\n    return 3 * square(r)\n"
    response = f"A helper:\n```python\n{helper}```\nIt is used:\n```python\n{answer}```\n```python\narea(1)\n```\n"
    assert completion(response) == helper + answer


def test_a_whole_program_is_preferred_to_the_snippet_that_explains_it() -> None:
    whole = "n = int(input())\nprint(sum(map(int, input().split())))\n"
    snippet = "total = 0\nfor x in xs:\n    total += x\nprint(total)\n"
    response = f"The key step:\n```python\n{snippet}```\nThe program:\n```python\n{whole}```\nOutput:\n```\n6\n```\n"
    assert completion(response, ProblemKind.STDIO) == whole


@pytest.mark.parametrize(
    "body",
    [
        "t = 2\n    t = t * r\n    return t\n",
        '"""Area."""\n    return r\n',
        "for k in range(2):\n        r += k\n    return r\n",
    ],
)
def test_a_lost_indentation_is_an_error_of_the_program(body: str) -> None:
    with pytest.raises(SyntaxError):
        compile(extract(body, STUB, "area").program, "<program>", "exec")


@pytest.mark.parametrize("piece", ["'''python\n", "<think></think>", "\n<think>", '"<think>"', "</think>", "x<think>"])
def test_a_degenerate_response_takes_no_long_time(piece: str) -> None:
    began = time.process_time()
    answer_of(piece * 20_000)
    assert time.process_time() - began < 5  # quadratic, 100 KB took 4 to 6 s, and these are up to 200

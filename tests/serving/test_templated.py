"""Prompts that clients templated: the code around the cursor is found again."""

from __future__ import annotations

import pytest

from rrtf_ray.fim.families import FAMILIES
from rrtf_ray.serving.templated import parse_templated

P, S = "def f(a):\n    return ", "\n\nf(1)\n"


@pytest.mark.parametrize(
    ("prompt", "family"),
    [
        (f"<fim_prefix>{P}<fim_suffix>{S}<fim_middle>", "starcoder"),
        (f"<fim_prefix><fim_suffix>{S}<fim_middle>{P}", "starcoder"),
        (f"<fim_suffix>{S}<fim_prefix>{P}<fim_middle>", "starcoder"),
        (f"<fim-prefix>{P}<fim-suffix>{S}<fim-middle>", "santacoder"),
        (f"<|fim_prefix|>{P}<|fim_suffix|>{S}<|fim_middle|>", "qwen"),
        (f"<|fim_prefix|><|fim_suffix|>{S}<|fim_middle|>{P}", "qwen"),
        (f"<｜fim▁begin｜>{P}<｜fim▁hole｜>{S}<｜fim▁end｜>", "deepseek"),
        (f"<PRE> {P} <SUF>{S} <MID>", "codellama"),
        (f"<PRE>{P}<SUF>{S}<MID>", "codellama"),
        (f" ▁<PRE> {P}▁<SUF>{S}▁<MID>", "codellama"),
        (f"<PRE> <SUF>{S} <MID> {P}", "codellama"),
        (f"<[fim-suffix]>{S}<[fim-prefix]>{P}<[fim-middle]>", "seedcoder"),
        (f"<|code_suffix|>{S}<|code_prefix|>{P}<|code_middle|>", "codegeex"),
        (f"[SUFFIX]{S}[PREFIX]{P}", "codestral"),
        (f"[SUFFIX]{S}[PREFIX]{P}[MIDDLE]", "codestral"),
        (f"[PREFIX]{P}[SUFFIX]{S}[MIDDLE]", "codestral"),
        (f"\n\n[SUFFIX]{S}[PREFIX]{P}", "codestral"),
        (f"<s><fim_prefix>{P}<fim_suffix>{S}<fim_middle>", "starcoder"),
        (f" <s> <PRE> {P} <SUF>{S} <MID>", "codellama"),
        (f"<｜begin▁of▁sentence｜><｜fim▁begin｜>{P}<｜fim▁hole｜>{S}<｜fim▁end｜>", "deepseek"),
        (f"<|begin▁of▁sentence|><｜fim▁begin｜>{P}<｜fim▁hole｜>{S}<｜fim▁end｜>", "deepseek"),
    ],
)
def test_templated_prompts_of_all_families(prompt, family):
    found = parse_templated(prompt)
    assert found is not None
    assert (found.prefix, found.suffix, found.family) == (P, S, family)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
@pytest.mark.parametrize(("prefix", "suffix"), [("", S), (P, ""), ("", ""), ("    ", " + 1\n"), ("\r\n", "\r\n")])
def test_empty_and_blank_pieces(family, prefix, suffix):
    space = " " if family.spaced else ""
    prompts = [f"{family.prefix}{space}{prefix}{space}{family.suffix}{suffix}{space}{family.middle}"]
    if not family.spaced:
        prompts.append(f"{family.suffix}{suffix}{family.prefix}{prefix}{family.middle}")
    if prefix == "":
        prompts.append(f"{family.prefix}{space}{family.suffix}{suffix}{space}{family.middle}")
    else:
        prompts.append(f"{family.prefix}{space}{family.suffix}{suffix}{space}{family.middle}{space}{prefix}")
    for prompt in prompts:
        found = parse_templated(prompt)
        assert found is not None
        expected = prefix.strip(" ") if family.spaced and not prefix.strip(" ") and prompt == prompts[0] else prefix
        assert (found.prefix, found.suffix) == (expected, suffix), prompt


@pytest.mark.parametrize(
    ("prompt", "prefix"),
    [
        (
            "<|repo_name|>mine\n<|file_sep|>a.py\nx = 1\n<|file_sep|>b.py\n"
            f"<|fim_prefix|>{P}<|fim_suffix|>{S}<|fim_middle|>",
            f"mine\na.py\nx = 1\nb.py\n{P}",
        ),
        (
            f"<repo_name>mine<file_sep>a.py\nx = 1<file_sep><fim_prefix>b.py\n{P}<fim_suffix>{S}<fim_middle>",
            f"mine\na.py\nx = 1\nb.py\n{P}",
        ),
        (f"<file_sep>x = 1<file_sep>y = 2<file_sep><fim_prefix>{P}<fim_suffix>{S}<fim_middle>", f"x = 1\ny = 2\n{P}"),
        (f"<reponame>mine<filename>b.py\n<fim_prefix>{P}<fim_suffix>{S}<fim_middle>", f"mine\nb.py\n{P}"),
        (f"<filename>b.py\n<fim_suffix>{S}<fim_prefix>{P}<fim_middle>", f"b.py\n{P}"),
        (
            f'<file_sep>a.py\nM = "<fim_prefix>"  # <fim_prefix>\n<fim_prefix>{P}<fim_suffix>{S}<fim_middle>',
            f'a.py\nM = "<fim_prefix>"  # <fim_prefix>\n{P}',
        ),
    ],
)
def test_other_files_become_lines_before_the_prefix(prompt, prefix):
    found = parse_templated(prompt)
    assert found is not None
    assert (found.prefix, found.suffix) == (prefix, S)


MENTIONS = [
    'MARKERS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")\n',
    "prompt = f'<fim_prefix>{p}<fim_suffix>{s}<fim_middle>'\n",
    "find(`<fim_suffix>`)\n",
]


@pytest.mark.parametrize("code", MENTIONS)
def test_code_that_mentions_markers_does_not_break_out(code):
    for prefix, suffix in ((code + P, S), (P, S + code), (code + P, S + code)):
        for prompt in (
            f"<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>",
            f"<fim_prefix><fim_suffix>{suffix}<fim_middle>{prefix}",
            f"<fim_suffix>{suffix}<fim_prefix>{prefix}<fim_middle>",
        ):
            found = parse_templated(prompt)
            assert found is not None
            assert (found.prefix, found.suffix) == (prefix, suffix)


def test_unquoted_mentions_before_the_cursor():
    code = "# <fim_suffix> comes second\n" + P
    found = parse_templated(f"<fim_prefix>{code}<fim_suffix>{S}<fim_middle>")
    assert (found.prefix, found.suffix) == (code, S)
    code = "# [PREFIX] comes last\n" + P
    found = parse_templated(f"[SUFFIX]{S}[PREFIX]{code}")
    assert (found.prefix, found.suffix) == (code, S)


def test_a_cursor_between_quotes_is_no_mention():
    found = parse_templated('<fim_prefix>x = "<fim_suffix>"\n<fim_middle>')
    assert (found.prefix, found.suffix) == ('x = "', '"\n')


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "   \n",
        P,
        'MARKERS = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")\n',
        f"x = 1\n<fim_prefix>{P}<fim_suffix>{S}<fim_middle>",
        f"<fim_prefix>{P}<fim_middle>",
        f"<fim_prefix>{P}<fim_suffix>{S}",
        f"<fim_prefix>{P}<fim_suffix>{S}<fim_middle>x = 1",
        f"<fim_prefix>{P}<fim_middle>{S}<fim_suffix>",
        f"<fim_middle>{P}<fim_suffix>{S}<fim_prefix>",
        f"<fim_suffix>{S}<fim_prefix>{P}",
        f"<fim_prefix>{P}<|fim_suffix|>{S}<fim_middle>",
        f"<fim_prefix>{P}<fim_suffix>{S}<|fim_middle|>",
        f"<PRE>{P}</PRE>",
        f"<SUF>{S}<PRE>{P}<MID>",
        f"[PREFIX]{P}[SUFFIX]{S}",
        f"[SUFFIX]{S}",
        f"<file_sep>a.py\n{P}",
        f"<file_sep>a.py\nx = '<fim_prefix>'\n<fim_suffix>{S}<fim_middle>",
        f"<file_sep>a.py\n[SUFFIX]{S}[PREFIX]{P}",
        f"<|fim_prefix|{P}<|fim_suffix|>{S}<|fim_middle|>",
    ],
)
def test_other_prompts_are_plain(prompt):
    assert parse_templated(prompt) is None


def test_large_prompts_are_read_in_one_pass():
    """Runs of blanks, line ends and markers that would each take a careless pattern minutes."""
    for filler in (
        "\n" * 300_000,
        " " * 300_000,
        "<fim_suffix>" * 20_000,
        '"<fim_suffix>"' * 20_000,
        "<file_sep>" * 20_000,
    ):
        assert parse_templated(filler) is None
        assert parse_templated(f"<file_sep>{filler}") is None
        found = parse_templated(f"<fim_prefix>{filler}<fim_suffix>{S}<fim_middle>")
        assert found is not None
        assert found.prefix + "<fim_suffix>" + found.suffix == f"{filler}<fim_suffix>{S}"

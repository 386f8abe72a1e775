"""The documentation is true: commands are run, or parsed by the real parser where running is too dear; the files,
links, settings and modules that it names exist.

A block that follows the line `<!-- run -->` is run, and each line of the text block behind it must be in its output.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from rrtf_ray import cli
from rrtf_ray.ablation.settings import AblationConfig
from rrtf_ray.benchmark.protocols import SHIPPED
from rrtf_ray.benchmark.suites import SUITES
from rrtf_ray.compare.gate import Policy
from rrtf_ray.config import Config
from rrtf_ray.config_file import load, load_config, validate
from rrtf_ray.errors import ConfigError
from rrtf_ray.evolve.records import Rejection
from rrtf_ray.evolve.settings import EvolveConfig
from rrtf_ray.problems import FORMATS
from rrtf_ray.serving.settings import ServeSettings

from .test_structure import EVERYONE, MAY_IMPORT

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8") for page in PAGES}
EVERYTHING = "\n".join(TEXTS.values())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

_BLOCK = re.compile(r"(<!-- run -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"(<<\s*'?(\w+)'?[^\n]*\n).*?^\2$", re.MULTILINE | re.DOTALL)
BENCHMARK_OPTIONS = {
    "--seqs",
    "--problems",
    "--samples",
    "--trl-python",
    "--data",
    "--drafts",
    "--peers",
    "--url",
    "--rows-per-task",
}
# What a reader makes before the command of a block is run: not part of the repository.
MADE_BY_THE_READER = {
    "my.jsonl",
    "twice.jsonl",
    "samples.jsonl",
    "before.jsonl",
    "after.jsonl",
    "HumanEval.jsonl",
    "keys.txt",
}
MADE_BY_THE_READER |= {"pairs.yaml", "humanevalpack-python.jsonl", "HumanEval-SingleLineInfilling.jsonl.gz"}
MADE_BY_THE_READER |= {"LeetCodeDataset-v0.3.1-test.jsonl", "half.jsonl", "all.jsonl"}


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str
    run: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """words: one simple command, without redirections."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.place} {' '.join(self.words)[:60]}"


def blocks() -> list[Block]:
    return [
        Block(page, text[: match.start(2)].count("\n") + 1, match[2], match[3], bool(match[1]))
        for page, text in TEXTS.items()
        for match in _BLOCK.finditer(text)
    ]


def simple_commands(text: str) -> Iterator[tuple[str, ...]]:
    """The commands of a shell script, split at `&&`, `||`, `|`, `;` and line ends; redirections are left out."""
    for line in _HEREDOC.sub(r"\1", text).replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.commenters = "#"
        lexer.whitespace_split = True
        words: list[str] = []
        skip = False
        for token in lexer:
            if token in {"&&", "||", "|", ";"}:
                if words:
                    yield tuple(words)
                words = []
            elif token in {">", ">>", "<", "<<"}:
                skip = True
            elif skip:
                skip = False
            else:
                words.append(token)
        if words:
            yield tuple(words)


BLOCKS = blocks()
COMMANDS = [Command(str(b), words) for b in BLOCKS if b.language == "bash" for words in simple_commands(b.text)]
INLINE = [
    (page, span.replace("\n", " "))
    for page, text in TEXTS.items()
    for span in re.findall(r"`([^`]+)`", _BLOCK.sub("", text))
]


def test_every_block_says_what_it_is():
    """A block without a language, or an indented one, would pass by the checks below."""
    for block in BLOCKS:
        assert block.language in {"bash", "text", "json", "yaml", "python"}, block
    for page, text in TEXTS.items():
        assert len(re.findall(r"^```", text, re.MULTILINE)) == 2 * sum(b.page == page for b in BLOCKS), page
        assert not re.search(r"\n\n    (rrtf|make|python|curl|ray|serve) ", _BLOCK.sub("", text)), page


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_is_one(command):
    check(command.words)


def check(words: tuple[str, ...]) -> None:
    """Fail unless the command would be accepted."""
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # variables for this command only
        words = words[1:]
    program, *arguments = words
    match program.rpartition("/")[2]:
        case "rrtf":
            check_rrtf(arguments)
        case "python":
            check_python(arguments)
        case "make":
            assert arguments
            for target in (a for a in arguments if "=" not in a):
                assert target in TARGETS, f"the Makefile has no target {target}"
        case "pip":
            check_pip(arguments)
        case "ray":
            check_ray(arguments)
        case "serve":
            verb, path = arguments
            assert verb in {"run", "deploy"}
            check_serve_file(path)
        case "curl":
            check_curl(arguments)
        case "cat" | "export":
            pass
        case _:
            pytest.fail(f"nobody knows how to check {program!r}: teach tests/test_docs.py, or leave it out")


def parsed(arguments: list[str]) -> argparse.Namespace:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            return cli.parser().parse_args(arguments)
    except SystemExit as ended:
        if ended.code:
            pytest.fail(f"rrtf {shlex.join(arguments)}: {said.getvalue()}")
        return argparse.Namespace(command="", overrides=[])


def check_rrtf(arguments: list[str]) -> None:
    args = parsed(arguments)
    command = " ".join(filter(None, (args.command, getattr(args, "action", ""))))
    for flag in (a.partition("=")[0] for a in arguments if a.startswith("--")):
        # argparse takes the beginning of an option's name for the whole.
        assert flag in options_of(cli.parser())[command], f"rrtf {command} has no option {flag}"
    if args.command == "serve":
        given = [f"engine.model={args.model}", f"engine.name={args.name}", *args.overrides]
        load(ServeSettings, None, given)
    elif args.command == "ablate":
        load(AblationConfig, str(ROOT / args.config), args.overrides)
    elif args.command == "evolve":
        load(EvolveConfig, str(ROOT / args.config) if args.config else None, args.overrides)
    elif hasattr(args, "config"):
        load_config(str(ROOT / args.config) if args.config else None, args.overrides)
    elif args.command == "problems" and args.action == "import":
        assert args.format in FORMATS
    elif args.command == "verify":
        assert args.format == "auto" or args.format in FORMATS
    if args.command == "benchmark":
        assert args.protocol in {*SHIPPED, *MADE_BY_THE_READER}, f"what is {args.protocol}?"
        assert args.suite is None or args.suite in SUITES, f"what is {args.suite}?"
    given = (getattr(args, name, None) or [] for name in ("input", "problems", "samples", "keys"))
    for path in (path for paths in given for path in ([paths] if isinstance(paths, str) else paths)):
        assert path in MADE_BY_THE_READER or path.startswith("runs/"), f"what is {path}?"


def check_python(arguments: list[str]) -> None:
    if arguments[0] != "-m":
        assert (ROOT / arguments[0]).is_file(), arguments[0]
        return
    module, *rest = arguments[1:]
    if module.startswith("jobs."):
        command = {"jobs.pipeline": "run"}.get(module, module.removeprefix("jobs."))
        assert importlib.util.find_spec(module), module
        check_rrtf([command, *rest])
    elif module == "rrtf_ray":
        check_rrtf(rest or ["--help"])
    elif module == "pytest":
        for path in (a for a in rest if a.startswith("tests")):
            assert (ROOT / path).exists(), path
    else:
        source = runnable_source(module)
        for flag in (a.partition("=")[0] for a in rest if a.startswith("--")):
            assert has_option(source, flag), f"{module} has no option {flag}"


def runnable_source(module: str) -> str:
    """The source of a module that `python -m` runs."""
    spec = importlib.util.find_spec(module)
    assert spec, f"there is no module {module}"
    if spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
        assert spec, f"{module} cannot be run"
    assert spec.origin
    source = Path(spec.origin).read_text()
    assert "__main__" in Path(spec.origin).name or 'if __name__ == "__main__"' in source, module
    return source


def has_option(source: str, flag: str) -> bool:
    """Benchmarks name an option as `add_argument("--some-name"` or as a keyword of `arguments`: `some_name=`."""
    keyword = flag.removeprefix("--").replace("-", "_")
    return (
        flag == "--json"
        or f'"{flag}"' in source
        or bool(re.search(rf"\barguments\([^)]*\b{keyword}=", source, re.DOTALL))
    )


def check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    for package in arguments[1:]:
        name, _, extra = package.rstrip("]").partition("[")
        assert name == PROJECT["name"], package
        assert not extra or extra in PROJECT["optional-dependencies"], f"there is no extra {extra}"


def check_ray(arguments: list[str]) -> None:
    if arguments[0] == "up":
        assert (ROOT / arguments[1]).is_file()
        return
    assert arguments[:4] == ["job", "submit", "--working-dir", "."]
    check(tuple(arguments[arguments.index("--") + 1 :]))


def check_serve_file(path: str) -> None:
    from rrtf_ray.serving.settings import EngineSettings, GatewaySettings

    for application in yaml.safe_load((ROOT / path).read_text())["applications"]:
        kind = EngineSettings if application["import_path"].endswith(":engine") else GatewaySettings
        validate(kind, application["args"])


def check_curl(arguments: list[str]) -> None:
    from rrtf_ray.serving.bodies import CompletionBody, parse
    from rrtf_ray.serving.gateway import ROUTES

    route = "/" + arguments[0].partition("/")[2]
    assert route in ROUTES, route
    if "-d" in arguments:
        assert route == "/v1/completions"
        parse(CompletionBody, arguments[arguments.index("-d") + 1].encode())


@pytest.mark.parametrize(
    "words",
    [
        "rrtf verfy",
        "rrtf run --confg x",
        "rrtf run --conf jobs/configs/demo.yaml",
        "rrtf plan train.epoch=2",
        "rrtf serve --model m engin.cpus=2",
    ],
)
def test_a_wrong_command_would_be_found(words):
    with pytest.raises((pytest.fail.Exception, AssertionError, ConfigError)):
        check(tuple(words.split()))


@pytest.mark.parametrize(
    "words",
    [
        "make dmo",
        "python -m benchmarks.nothing",
        "python -m benchmarks.sampling --pears 3",
        "python -m jobs.train --rownd 2",
        "pip install rrtf-ray[gpus]",
        "rm -r runs",
    ],
)
def test_so_would_a_wrong_target_module_option_extra_or_program(words):
    with pytest.raises((pytest.fail.Exception, AssertionError)):
        check(tuple(words.split()))


def test_commands_in_the_text_are_commands_with_such_options():
    """`rrtf plan --gpu-memory-gib` within a sentence need not be whole, but what is there must exist."""
    known = options_of(cli.parser())
    for page, span in INLINE:
        words = span.split()
        if words[0] == "rrtf" and len(words) > 1 and words[1].startswith("--"):
            parsed(words[1:])
        elif words[0] == "rrtf" and len(words) > 1:
            name = next((n for n in (" ".join(words[1:3]), words[1]) if n in known), None)
            assert name, f"{page}: `{span}` is no command"
            for flag in (w for w in words[2:] if w.startswith("--")):
                assert flag in known[name], f"{page}: `{span}`: {name} has no option {flag}"
        elif words[0] == "make":
            assert words[1] in TARGETS, f"{page}: `{span}`"
        elif words[0] == "python" and words[1:2] == ["-m"]:
            check(tuple(words))
        elif words[0] in {"pip", "serve"} and len(words) > 1:
            check(tuple(shlex.split(span)))
        elif words[0].startswith("--"):
            assert words[0] in set().union(*known.values()) | BENCHMARK_OPTIONS, f"{page}: `{span}` is no option"


def options_of(parser: argparse.ArgumentParser, prefix: str = "") -> dict[str, set[str]]:
    """The options of every command, by its name (`problems import` for one below another)."""
    found = {prefix: {option for action in parser._actions for option in action.option_strings}}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                found |= options_of(inner, f"{prefix} {name}".strip())
    return found


def test_every_command_and_format_is_in_the_documentation():
    for name in FORMATS:
        assert f"`{name}`" in TEXTS["docs/problems.md"], name
    for command in filter(None, options_of(cli.parser())):
        assert f"rrtf {command}" in EVERYTHING, command


def test_every_reason_and_setting_of_evolve_is_in_its_page():
    for name in [*Rejection, *EvolveConfig.model_fields]:
        assert f"`{name}`" in TEXTS["docs/evolving.md"], name


KEYS = sorted({command.words[1:] for command in COMMANDS if command.words[:2] == ("rrtf", "key")})


@pytest.mark.parametrize("words", KEYS, ids=" ".join)
def test_keys_are_made_as_the_documentation_says(words, capsys):
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert said.err.startswith("rrtf-")
    assert said.out.startswith(f"{words[1]} sha256:")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder with the files that the blocks write, whichever of them is run first, and `rrtf` on the path."""
    folder = tmp_path_factory.mktemp("reader")
    for block in BLOCKS:
        for name, body in re.findall(r"^cat > (\S+) <<'EOF'\n(.*?)^EOF$", block.text, re.MULTILINE | re.DOTALL):
            (folder / name).write_text(body)
    (folder / "jobs").symlink_to(ROOT / "jobs")
    (folder / "bin").mkdir()
    script = folder / "bin" / "rrtf"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m rrtf_ray "$@"\n')
    script.chmod(0o755)
    return folder


RUN = [(block, BLOCKS[index + 1]) for index, block in enumerate(BLOCKS) if block.run]


@pytest.mark.parametrize(("block", "shown"), RUN, ids=[str(block) for block, _ in RUN])
@pytest.mark.slow
def test_what_is_run_prints_what_is_shown(block, shown, reader):
    program = ["bash", "-e", "-c"] if block.language == "bash" else [sys.executable, "-c"]
    path = f"{reader / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*program, block.text],
        cwd=reader,
        env=os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    printed = {line.strip() for line in done.stdout.splitlines()}
    for line in shown.text.splitlines():
        assert line.strip() in printed, f"{shown}: {line!r} is not in\n{done.stdout}"


def test_examples_of_data_and_code_can_be_read():
    for block in BLOCKS:
        if block.language == "json":
            assert isinstance(yaml.safe_load(block.text), dict), block
        elif block.language == "yaml":
            settings = yaml.safe_load(block.text)
            validate(Policy if "rules" in settings else Config, settings)
        elif block.language == "python":
            compile(block.text, str(block), "exec")


_PATH = re.compile(r"(?:(?:rrtf_ray|tests|docs|jobs|benchmarks|serve)/)?[\w./-]+(?:\.(?:py|yaml|md|toml)|/)|\.ci/run")
_SECTIONS = ("problems", "model", "sample", "execute", "rank", "train", "evaluate", "cluster")
_SETTING = re.compile(rf"((?:{'|'.join(_SECTIONS)}|engine|gateway)\.[a-z_.]+)(=.+)?")


def key_exists(kind: Any, path: list[str]) -> bool:
    """Whether a section has such a key, its sections inside."""
    fields = kind.model_fields
    if path[0] not in fields:
        return False
    if len(path) == 1:
        return True
    return any(key_exists(section, path[1:]) for section in sections_in(fields[path[0]].annotation))


def sections_in(annotation: Any) -> list[Any]:
    """The sections in an annotation: itself, in a tuple or beside null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in getattr(annotation, "__args__", ()) for found in sections_in(argument)]


def test_settings_that_the_text_names_exist_and_take_such_values():
    spans = [(page, span) for page, span in INLINE if not _PATH.fullmatch(span) and ".key=" not in span]
    found = [(page, span, match) for page, span in spans if (match := _SETTING.fullmatch(span))]
    assert len(found) > 100
    for page, span, match in found:
        kind: Any = ServeSettings if match[1].startswith(("engine.", "gateway.")) else Config
        assert key_exists(kind, match[1].split(".")), f"{page}: `{span}` is no setting"
        if match[2] and kind is Config:
            # Some values need another setting beside them; what is wrong with a value itself names the override.
            assert not refusal(span).startswith("override"), f"{page}: {refusal(span)}"


def refusal(override: str) -> str:
    """Why a run would not take it; empty where it would."""
    try:
        load_config(None, [override])
    except ConfigError as error:
        return str(error)
    return ""


def test_a_wrong_setting_would_be_found():
    assert key_exists(Config, ["train", "loss", "alpha"])
    assert key_exists(Config, ["sample", "draws", "n"])
    assert key_exists(Config, ["train", "lora", "rank"])
    assert not key_exists(Config, ["train", "loss", "alhpa"])
    assert not key_exists(Config, ["train", "epochs", "n"])
    assert refusal("train.zero_stage=7").startswith("override")
    assert not refusal("train.loss.alpha=0")


_OF_A_RUN = {"config.yaml"}


def test_files_that_the_text_names_exist():
    for page, span in INLINE:
        if not _PATH.fullmatch(span) or span in _OF_A_RUN or "NAME" in span or span.startswith(("/", "site/", "runs/")):
            continue
        assert (ROOT / span).exists() or (ROOT / "rrtf_ray" / span).exists(), f"{page}: `{span}` does not exist"


def test_files_in_the_drawings_exist():
    drawing = next(b for b in BLOCKS if b.page == "docs/architecture.md" and b.language == "text")
    named = re.findall(r"[a-z_/]+\.py", drawing.text)
    assert len(named) > 10
    for name in named:
        assert (ROOT / "rrtf_ray" / name).is_file(), name


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub and MkDocs make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_links_and_their_anchors_resolve():
    for page, text in TEXTS.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", _BLOCK.sub("", text)):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (ROOT / page).parent / path if path else ROOT / page
            assert file.is_file(), f"{page}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", file.read_text()), re.MULTILINE)
                assert anchor in map(slug, headings), f"{page}: {target}"


def test_the_page_of_settings_is_current():
    generated = runpy.run_path(str(ROOT / "docs" / "generate_configuration.py"))["page"]()
    assert TEXTS["docs/configuration.md"] == generated, "run `python docs/generate_configuration.py`"


def test_the_page_of_settings_has_every_key():
    def keys(kind: Any, prefix: str) -> Iterator[str]:
        for name, field in kind.model_fields.items():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                yield from keys(field.annotation, f"{prefix}{name}.")
            else:
                yield prefix + name

    for key in [*keys(Config, ""), *keys(ServeSettings, "")]:
        assert f"| `{key}` |" in TEXTS["docs/configuration.md"], key


def test_every_room_is_in_the_table_of_architecture_with_what_it_may_import():
    rows = re.findall(r"^\| `([\w/]+)` \| ([^|]+) \| ([^|]*)\|$", TEXTS["docs/architecture.md"], re.MULTILINE)
    shown = {room: set(re.findall(r"`([\w/]+)`", allowed)) for room, _, allowed in rows}
    for room, allowed in MAY_IMPORT.items():
        wanted = ", ".join(f"`{name}`" for name in MAY_IMPORT if name in allowed)
        assert shown.get(room) == allowed, f"docs/architecture.md: the row of `{room}` must end in | {wanted} |"
    assert list(shown) == list(MAY_IMPORT)
    for name in EVERYONE:
        assert f"`{name}`" in TEXTS["docs/architecture.md"].split("| room |")[0]


def test_readme_is_short():
    assert len(TEXTS["README.md"].splitlines()) <= 100


def test_nothing_of_this_machine_is_committed():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in tracked:
        assert not name.endswith((".safetensors", ".parquet", ".bin", ".log")), name

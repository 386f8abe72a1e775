"""`rrtf quantize`: an int8 checkpoint for serving, and how it compares with the original."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs

from rrtf_ray.cluster.connecting import connected
from rrtf_ray.config import Config
from rrtf_ray.core.metrics import paired_difference
from rrtf_ray.errors import InputError, StageError
from rrtf_ray.identity import fingerprint
from rrtf_ray.progress import say
from rrtf_ray.quantize.decode_speed import compare_speed
from rrtf_ray.quantize.report import Comparison, QuantizeReport
from rrtf_ray.records import Group
from rrtf_ray.stages.evaluate import evaluate
from rrtf_ray.stages.inputs import prepare_problems, recorded, require_held_out
from rrtf_ray.store.files import (
    MANIFEST,
    absolute,
    exists,
    join,
    make_dir,
    read_json,
    remove,
    resolve,
    upload_dir,
)
from rrtf_ray.store.models import check_model, is_hub_id, local_folder, model_identity, tokenizer_of
from rrtf_ray.store.run_dir import RunDir, label


def quantize(config: Config, model: str, output: str, *, evaluated: bool) -> QuantizeReport:
    """Write `model` to `output` with int8 weights, and measure size, speed and, if `evaluated`, pass@1 of both.

    An output that this command made of the same model before is kept and measured again. Raises InputError for a model
    that cannot be quantized, or an output that holds something else.
    """
    if is_hub_id(model):
        raise InputError(f"--model {model} is a hub id; download it first (`hf download {model}`) and give its folder")
    model, output = absolute(model), absolute(output)
    check_model(model, config.model.max_model_len)
    run = RunDir(absolute(config.run_dir))
    if evaluated:
        prepare_problems(config, run)
        require_held_out(config, run)
    manifest = make(model, output)
    with connected(config):
        return QuantizeReport(
            output=output,
            parameters=manifest["parameters"],
            quantized_parameters=manifest["quantized"],
            quantized_layers=manifest["layers"],
            original_bytes=_size(model),
            int8_bytes=_size(output),
            speeds=compare_speed(config, model, output),
            pass_at_1=_compare(config, run, model, output) if evaluated else None,
        )


def make(model: str, output: str) -> dict[str, Any]:
    """Write the checkpoint, whole or not at all; returns its manifest, with the counts of Int8Counts."""
    key = fingerprint("int8", model_identity(model))
    if exists(join(output, MANIFEST)) and (before := read_json(join(output, MANIFEST))).get("fingerprint") == key:
        say(f"quantize: {output} already exists")
        return before
    # Before the model is read, which may take minutes: can the output be written without losing anything?
    make_dir(output)
    if resolve(output)[0].get_file_info(pafs.FileSelector(resolve(output)[1])):
        raise InputError(
            f"--output {output} is not empty and not what `rrtf quantize` makes of {model}; "
            "choose another folder, or remove this one"
        )
    from rrtf_ray.quantize.int8 import write_int8

    say(f"quantize: reading {model}")
    try:
        with tempfile.TemporaryDirectory(prefix="rrtf-int8-") as folder:
            counts = write_int8(local_folder(model), Path(folder))
            tokenizer_of(model).save_pretrained(folder)
            manifest = {
                "fingerprint": key,
                "base": model,
                "layers": counts.layers,
                "quantized": counts.quantized,
                "parameters": counts.parameters,
            }
            upload_dir(Path(folder), output, manifest)
    except BaseException:
        remove(output)
        raise
    return manifest


def _compare(config: Config, run: RunDir, model: str, output: str) -> Comparison:
    labels = [_label(config, run, place) for place in (model, output)]
    with recorded(config, run):
        original, int8 = (evaluate(config, run, m, name) for m, name in zip((model, output), labels, strict=True))
    before, after = original.draws[0].per_problem, int8.draws[0].per_problem
    both = sorted(before.keys() & after.keys())
    if not both:
        raise StageError("no problem could be judged for both models; the lines above say why")
    texts = [_first_responses(run.evaluated_groups(name).read()) for name in labels]
    return Comparison(
        original=original.draws[0].pass_at_k[1],
        int8=int8.draws[0].pass_at_k[1],
        difference=paired_difference([before[i] for i in both], [after[i] for i in both]),
        problems=len(both),
        same_text=sum(texts[0][i] == texts[1][i] for i in both),
    )


def _first_responses(groups: Iterable[Group]) -> dict[str, str]:
    return {g.problem.id: g.candidates[0].response for g in groups if g.candidates}


def _label(config: Config, run: RunDir, model: str) -> str:
    """The name of the evaluation: the round's, whose evaluation may already exist, or the folder's name and state."""
    for round in range(1, config.rounds + 1):
        if model == run.checkpoint(round):
            return label(round)
    return f"{model.rstrip('/').rpartition('/')[2]}-{model_identity(model)[:8]}"


def _size(model: str) -> int:
    """Bytes of the weight files."""
    filesystem, path = resolve(model)
    infos = filesystem.get_file_info(pafs.FileSelector(path))
    return sum(i.size for i in infos if i.base_name.endswith((".safetensors", ".bin")))

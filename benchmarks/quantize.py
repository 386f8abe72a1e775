"""What int8 gains if linear layers dominate, as in any useful code model: ms/token, in turn.

    python -m benchmarks.quantize [--json]

The model is a random GPTBigCode of 129 million parameters with a small vocabulary; its texts are meaningless but cost
the same. `rrtf quantize` measures the same on your checkpoint.

    int8_ms_vs_float32_1, _8     ms/token of the int8 checkpoint / the original in float32, 1 and 8 requests at a time
    int8_ms_vs_bfloat16_1, _8    the same, both computing in bfloat16
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from benchmarks.measure import arguments
from rrtf_ray.cluster.connecting import joined
from rrtf_ray.config import ClusterConfig, Config
from rrtf_ray.quantize.decode_speed import compare_speed


def main() -> None:
    args = arguments(__doc__)
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="rrtf-bench-") as folder:
        original, int8 = Path(folder) / "original", Path(folder) / "int8"
        _make(original, int8)
        with joined(ClusterConfig()):
            for dtype in ("float32", "bfloat16"):
                model = {"dtype": dtype, "max_model_len": 512, "engine": {"enforce_eager": True}}
                config = Config.model_validate({"model": model, "sample": {"max_tokens": 256}})
                for speed in compare_speed(config, str(original), str(int8)):
                    figures[f"int8_ms_vs_{dtype}_{speed.requests}"] = speed.as_dict()
    if args.json:
        print(json.dumps(figures))
        return
    print(f"{'ratio':<26}{'median':>10}{'min':>10}{'max':>10}{'original ms':>14}{'int8 ms':>10}")
    for key, found in figures.items():
        ratios = "".join(f"{found[name]:>10.3f}" for name in ("ratio", "ratio_min", "ratio_max"))
        print(f"{key:<26}{ratios}{found['first_ms']:>14.2f}{found['second_ms']:>10.2f}")


def _make(original: Path, int8: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from rrtf_ray.quantize.int8 import write_int8
    from rrtf_ray.quickstart import make_student

    make_student(original, steps=1)
    tokenizer = AutoTokenizer.from_pretrained(original)
    config = AutoConfig.from_pretrained(original)
    config.n_embd, config.n_layer, config.n_head = 1024, 12, 16
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(original)
    write_int8(str(original), int8)
    tokenizer.save_pretrained(int8)


if __name__ == "__main__":
    main()

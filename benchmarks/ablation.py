"""What the defaults gain over imitation of the best program on the demo's task: a reduced `rrtf ablate`.

    python -m benchmarks.ablation [--seeds N] [--output DIR] [--json]

    gain_no_teacher, gain_weak_teacher, gain_faulty_teacher, gain_full_teacher
        held-out pass@1 at T=0.8 of `rrtf` minus that of `sft` after the same steps on the same samples, with Student's
        95% interval over seeds, paired by seed

The regimes and objectives are those of jobs/ablations/demo.yaml, with fewer problems and seeds and one learning
rate. Started again with the same --output, it makes what is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.measure import arguments
from rrtf_ray.ablation.command import ablate, check
from rrtf_ray.ablation.settings import AblationConfig, SearchConfig
from rrtf_ray.cli.logs import logged
from rrtf_ray.config_file import load

CONFIG = str(Path(__file__).parents[1] / "jobs" / "ablations" / "demo.yaml")
REDUCED = {
    "problems.num_train": 300,
    "problems.num_held_out": 200,
    "train.steps": 60,
    "evaluate.draws": [{"n": 4, "temperature": 0.8}],
    "evaluate.k": [1],
}
REGIMES = ("no-teacher", "weak-teacher", "faulty-teacher", "full-teacher")
FIGURE = "pass@1, T=0.8"


def main() -> None:
    args = arguments(__doc__, seeds=3, output="runs/benchmark-ablation")
    seeds = list(range(args.seeds))
    found = load(AblationConfig, CONFIG, [f"output={args.output}", f"seeds={seeds}"])
    reduced = {
        "settings": found.settings | REDUCED,
        "regimes": {name: found.regimes[name] for name in REGIMES},
        "objectives": {name: found.objectives[name] for name in ("sft", "rrtf")},
        "search": SearchConfig(),
    }
    runs = check(found.model_copy(update=reduced), CONFIG)
    with logged(runs.ablation.output, to_stderr=args.json):
        result = ablate(runs)
    gains = gains_of(result)
    if args.json:
        print(json.dumps(gains))
        return
    for name, gain in gains.items():
        print(f"{name:<20}{100 * gain['value']:+.1f} points [{100 * gain['low']:+.1f}, {100 * gain['high']:+.1f}]")


def gains_of(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By `gain_<regime>`, the difference of `rrtf` from the baseline."""
    return {
        f"gain_{row['regime'].replace('-', '_')}": row["differences"][FIGURE]
        for row in result["rows"]
        if row["objective"] == "rrtf"
    }


if __name__ == "__main__":
    main()

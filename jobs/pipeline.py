"""`ray job submit --working-dir . -- python -m jobs.pipeline --config FILE`: the same as `rrtf run`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))

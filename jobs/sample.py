"""`ray job submit --working-dir . -- python -m jobs.sample --config FILE`: the same as `rrtf sample`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["sample", *sys.argv[1:]]))

"""`ray job submit --working-dir . -- python -m jobs.evaluate --config FILE`: the same as `rrtf evaluate`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))

"""`ray job submit --working-dir . -- python -m jobs.rank --config FILE`: the same as `rrtf rank`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["rank", *sys.argv[1:]]))

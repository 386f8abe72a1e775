"""`ray job submit --working-dir . -- python -m jobs.execute --config FILE`: the same as `rrtf execute`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["execute", *sys.argv[1:]]))

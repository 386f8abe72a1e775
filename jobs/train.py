"""`ray job submit --working-dir . -- python -m jobs.train --config FILE`: the same as `rrtf train`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))

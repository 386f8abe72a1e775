"""`python -m rrtf_ray` is `rrtf`."""

import sys

from rrtf_ray.cli import main

if __name__ == "__main__":
    sys.exit(main())

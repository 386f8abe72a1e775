"""`rrtf verify`: run samples that people have against problems that people have, with the sandbox alone (no Ray).

In: a file of problems and a file of samples. Out: one JSON line a sample, and pass@k.
"""

from rrtf_ray.verify.command import verify

__all__ = ["verify"]

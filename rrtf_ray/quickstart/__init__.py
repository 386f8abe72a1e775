"""What `make demo` runs on without any data: generated problems and a tiny student."""

from rrtf_ray.quickstart.problems import generate_problems
from rrtf_ray.quickstart.student import make_student

__all__ = ["generate_problems", "make_student"]

"""Programs as source: what CPython says of one before anything of it is run."""

from __future__ import annotations

from rrtf_ray.sandbox.shared import loading
from rrtf_ray.sandbox.shared.loading import Unusable


def refusal(program: str) -> str:
    """Why CPython does not compile a file that holds this program; empty where it does. Nothing is run."""
    try:
        loading.compiled(program)
    except Unusable as error:
        return error.text or "it does not compile"
    return ""

"""Make a code model better by RRTF, on Ray. Start with `rrtf --help` or `rrtf_ray.records`."""

__version__ = "0.3.0.dev0"

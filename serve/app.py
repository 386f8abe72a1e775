"""The Ray Serve application: `serve run serve/config.yaml`, or `serve run serve.app:app model=DIR`."""

from rrtf_ray.stages.serve import app_from_arguments as app

__all__ = ["app"]

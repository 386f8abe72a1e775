"""What `serve/config.yaml` deploys: an engine per checkpoint, and the gateway in front of them."""

from rrtf_ray.deployments.applications import engine_from_arguments as engine
from rrtf_ray.deployments.applications import gateway_from_arguments as gateway

__all__ = ["engine", "gateway"]

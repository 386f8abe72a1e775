"""The page of `rrtf prefer` as a Ray Serve application, beside the endpoint or alone.

One replica: SQLite has one writer, and a page that people click in needs no more.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve

from rrtf_ray.deployments.applications import START_LIMIT_S, wait_until_running
from rrtf_ray.deployments.rollout import connect
from rrtf_ray.feedback.asking import Asking
from rrtf_ray.feedback.database import FeedbackDatabase
from rrtf_ray.progress import only_our_lines, say

PREFER = "prefer"
ROUTE = "/prefer"


@serve.ingress()
class PreferServer:
    """The one replica of the page."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._database = FeedbackDatabase(asking.url)

    async def __serve_build_asgi_app__(self) -> FastAPI:
        return self._asking.application(self._database)


def prefer_app(asking: Asking) -> Any:
    """The Ray Serve application. The database and key file must be reachable from every node that may run it."""
    deployment: Any = serve.deployment(
        PreferServer,
        name="Prefer",
        num_replicas=1,
        max_ongoing_requests=1000,
        ray_actor_options={"num_cpus": 0},
        logging_config={"enable_access_log": False},
    )
    return deployment.bind(asking)


def deploy(asking: Asking) -> None:
    """Put the page at ROUTE of the connected cluster's service, in place of one that is there.

    Raises StageError if it does not start within START_LIMIT_S.
    """
    serve.run_many(
        [serve.RunTarget(prefer_app(asking), name=PREFER, route_prefix=ROUTE)], wait_for_applications_running=False
    )
    wait_until_running([PREFER], time.monotonic() + START_LIMIT_S)


def deploy_on_cluster(asking: Asking) -> None:
    """As `deploy`, on the cluster at RAY_ADDRESS or of this machine. Raises InputError where none runs."""
    log = Path(tempfile.gettempdir()) / f"rrtf-prefer-{os.getpid()}.log"
    with only_our_lines(str(log)):
        connect()
        deploy(asking)
        say(
            f"prefer: the service has the page at {ROUTE}/ until `serve shutdown`, or `rrtf prefer --serve` replaces it"
        )

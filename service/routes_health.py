"""Whether the service lives, and whether it can take studies."""

from datetime import UTC, datetime

from fastapi import APIRouter

from service.dependencies import StoreGiven
from service.problems import documented
from service.runners import Runners
from service.schemas import Health

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Health:
    """Return 200 as long as the process answers."""
    return Health(status="ok")


@router.get("/readyz", responses=documented())
def ready(store: StoreGiven) -> Health:
    """Return 200 while a runner is at work; 503 with the reason where posted studies would only wait."""
    Runners(store).catalogue()
    Runners(store).require(datetime.now(UTC))
    return Health(status="ok")

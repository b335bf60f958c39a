"""Whether the service lives, and whether it can take studies."""

from datetime import UTC, datetime

from fastapi import APIRouter

from service.dependencies import StoreGiven
from service.problems import documented
from service.schemas import Health

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Health:
    """Return 200 as long as the process answers."""
    return Health(status="ok")


@router.get("/readyz", responses=documented())
def ready(store: StoreGiven) -> Health:
    """Return 200 while a runner is at work; 503 with the reason where posted studies would only wait."""
    store.catalogue()
    store.require_runner(datetime.now(UTC))
    return Health(status="ok")

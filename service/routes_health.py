"""Whether the service lives, and whether it can take studies."""

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
    """Return 200 once studies can be posted; 503 with the reason before."""
    store.catalogue()
    return Health(status="ok")

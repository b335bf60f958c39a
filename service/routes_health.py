"""Whether the service lives, and whether it can take studies."""

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends

from service.access import open_to_all
from service.dependencies import StoreGiven
from service.problems import only
from service.runners import Runners
from service.schemas import Health

router = APIRouter(tags=["health"], dependencies=[Depends(open_to_all)])


@router.get("/healthz", responses=only(HTTPStatus.TOO_MANY_REQUESTS))
async def alive() -> Health:
    """Return 200 as long as the process answers."""
    return Health(status="ok")


@router.get("/readyz", responses=only(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE))
def ready(store: StoreGiven) -> Health:
    """Return 200 while a runner is at work; 503 with the reason where posted studies would only wait."""
    Runners(store).catalogue()
    Runners(store).require(datetime.now(UTC))
    return Health(status="ok")

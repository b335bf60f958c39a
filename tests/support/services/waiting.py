"""Waiting for a deployment that may not answer for a while."""

import time
from collections.abc import Callable

import httpx

from service.client.client import Client
from service.errors import ServiceError
from service.schemas.studies import StudyResponse
from service.states import ENDED

#: So long a small study may take on a busy machine.
SECONDS = 400.0


def answered(ask: Callable[[], StudyResponse]) -> StudyResponse:
    """Ask until there is an answer.

    Args:
        ask: Gives it, or raises as long as nobody answers.
    """
    deadline = time.monotonic() + 120
    while True:
        try:
            return ask()
        except (ServiceError, httpx.HTTPError):
            assert time.monotonic() < deadline
            time.sleep(0.2)


def ended(client: Client, study_id: str) -> StudyResponse:
    """Wait until a study has ended, and return it.

    Args:
        client: Of the deployment.
        study_id: The study.
    """
    deadline = time.monotonic() + SECONDS
    while (found := answered(lambda: client.study(study_id))).state not in ENDED:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    return found

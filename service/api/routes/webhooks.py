"""Webhooks: who is told when a study has a new state."""

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from service.api.authorization import RequireRole
from service.api.body import BodyDep, parse_body
from service.api.dependencies import OutboundDep, StoreDep, WebhookId
from service.api.openapi import request_body
from service.api.problems import BODY_STATUSES, problem_responses
from service.roles import Role
from service.schemas.webhooks import DeliveryResponse, NewWebhookResponse, WebhookRequest, WebhookResponse
from service.storage.entities import Webhook
from service.storage.lifecycle.outbox import body, new_message
from service.webhooks.signing import signed
from service.webhooks.subscriptions import Webhooks

router = APIRouter(tags=["webhooks"], dependencies=[Depends(RequireRole(Role.ADMIN))])


@router.post(
    "/webhooks",
    status_code=HTTPStatus.CREATED,
    openapi_extra=request_body(WebhookRequest),
    responses=problem_responses(*BODY_STATUSES),
)
def add_webhook(posted: BodyDep, store: StoreDep) -> NewWebhookResponse:
    """Add a webhook, and return it with its secret, which is shown this once."""
    asked = parse_body(WebhookRequest, posted)
    added = Webhooks(store).add(asked.url, asked.states, datetime.now(UTC))
    return NewWebhookResponse(**_answer(added).model_dump(), secret=added.secret)


@router.get("/webhooks", responses=problem_responses())
def list_webhooks(store: StoreDep) -> tuple[WebhookResponse, ...]:
    """Return the webhooks, oldest first, and how they are."""
    return tuple(_answer(each) for each in Webhooks(store).all())


@router.delete(
    "/webhooks/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=problem_responses(HTTPStatus.NOT_FOUND)
)
def remove_webhook(webhook_id: WebhookId, store: StoreDep) -> Response:
    """Remove a webhook: it is told nothing more."""
    Webhooks(store).remove(webhook_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/webhooks/{webhook_id}/test", responses=problem_responses(HTTPStatus.NOT_FOUND))
async def send_test(webhook_id: WebhookId, store: StoreDep, outbound: OutboundDep) -> DeliveryResponse:
    """Send a webhook something of the type `webhook.test` now, once, and return what came back."""
    webhook = await run_in_threadpool(Webhooks(store).one, webhook_id)
    now, message = datetime.now(UTC), new_message()
    content = body("webhook.test", now, {"webhook": webhook.id})
    answer = await outbound.post(webhook.url, content, signed(webhook.secret, message, content, now))
    return DeliveryResponse(taken=answer.taken, status=answer.status, detail=answer.detail)


def _answer(webhook: Webhook) -> WebhookResponse:
    return WebhookResponse(
        id=webhook.id,
        url=webhook.url,
        states=webhook.states,
        created_at=webhook.created_at,
        waiting=webhook.waiting,
        failing_since=webhook.failing_since,
        trouble=webhook.trouble,
        dropped=webhook.dropped,
    )

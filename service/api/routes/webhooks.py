"""Webhooks: add, list, remove and test receivers of state changes."""

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from service.api.authorization import RequireRole
from service.api.body import BodyDep, parse_body
from service.api.dependencies import StoreDep, WebhookClientDep, WebhookId
from service.api.openapi import request_body
from service.api.problems import BODY_STATUSES, problem_responses
from service.roles import Role
from service.schemas.webhooks import DeliveryResponse, NewWebhookResponse, WebhookRequest, WebhookResponse
from service.storage.entities import Webhook
from service.storage.lifecycle.outbox import message_body, new_message_id
from service.webhooks.signing import signature_headers
from service.webhooks.subscriptions import Webhooks

router = APIRouter(tags=["webhooks"], dependencies=[Depends(RequireRole(Role.ADMIN))])


@router.post(
    "/webhooks",
    status_code=HTTPStatus.CREATED,
    openapi_extra=request_body(WebhookRequest),
    responses=problem_responses(*BODY_STATUSES),
)
def add_webhook(body: BodyDep, store: StoreDep) -> NewWebhookResponse:
    """Add a webhook, and return it with its secret, which is shown only once."""
    request = parse_body(WebhookRequest, body)
    webhook = Webhooks(store).add(request.url, request.states, datetime.now(UTC))
    return NewWebhookResponse(**_webhook_response(webhook).model_dump(), secret=webhook.secret)


@router.get("/webhooks", responses=problem_responses())
def list_webhooks(store: StoreDep) -> tuple[WebhookResponse, ...]:
    """Return the webhooks, oldest first, with their delivery status."""
    return tuple(_webhook_response(webhook) for webhook in Webhooks(store).list_webhooks())


@router.delete(
    "/webhooks/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=problem_responses(HTTPStatus.NOT_FOUND)
)
def remove_webhook(webhook_id: WebhookId, store: StoreDep) -> Response:
    """Remove a webhook; it receives nothing more."""
    Webhooks(store).remove(webhook_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/webhooks/{webhook_id}/test", responses=problem_responses(HTTPStatus.NOT_FOUND))
async def send_test(webhook_id: WebhookId, store: StoreDep, client: WebhookClientDep) -> DeliveryResponse:
    """Send a message of type `webhook.test` once, now, and return the receiver's response."""
    webhook = await run_in_threadpool(Webhooks(store).get, webhook_id)
    now, message = datetime.now(UTC), new_message_id()
    content = message_body("webhook.test", now, {"webhook": webhook.id})
    delivery = await client.post(webhook.url, content, signature_headers(webhook.secret, message, content, now))
    return DeliveryResponse(taken=delivery.accepted, status=delivery.status, detail=delivery.detail)


def _webhook_response(webhook: Webhook) -> WebhookResponse:
    return WebhookResponse(
        id=webhook.id,
        url=webhook.url,
        states=webhook.states,
        created_at=webhook.created_at,
        waiting=webhook.pending_deliveries,
        failing_since=webhook.failing_since,
        trouble=webhook.last_error,
        dropped=webhook.dropped_deliveries,
    )

"""Webhooks: who is told when a study has a new state."""

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends, Response
from fastapi.concurrency import run_in_threadpool

from service.api.authorization import needs
from service.api.body import PostedBody, read
from service.api.dependencies import OutboundGiven, StoreGiven, WebhookId
from service.api.openapi import body_of
from service.api.problems import BODY_PROBLEMS, documented
from service.roles import Role
from service.schemas.webhooks import DeliveryAnswer, NewWebhookAnswer, WebhookAnswer, WebhookRequest
from service.storage.entities import Webhook
from service.storage.lifecycle.outbox import body, new_message
from service.webhooks.signing import signed
from service.webhooks.subscriptions import Webhooks

router = APIRouter(tags=["webhooks"], dependencies=[Depends(needs(Role.ADMIN))])


@router.post(
    "/webhooks",
    status_code=HTTPStatus.CREATED,
    openapi_extra=body_of(WebhookRequest),
    responses=documented(*BODY_PROBLEMS),
)
def add_webhook(posted: PostedBody, store: StoreGiven) -> NewWebhookAnswer:
    """Add a webhook, and return it with its secret, which is shown this once."""
    asked = read(WebhookRequest, posted)
    added = Webhooks(store).add(asked.url, asked.states, datetime.now(UTC))
    return NewWebhookAnswer(**_answer(added).model_dump(), secret=added.secret)


@router.get("/webhooks", responses=documented())
def list_webhooks(store: StoreGiven) -> tuple[WebhookAnswer, ...]:
    """Return the webhooks, oldest first, and how they are."""
    return tuple(_answer(each) for each in Webhooks(store).all())


@router.delete("/webhooks/{webhook_id}", status_code=HTTPStatus.NO_CONTENT, responses=documented(HTTPStatus.NOT_FOUND))
def remove_webhook(webhook_id: WebhookId, store: StoreGiven) -> Response:
    """Remove a webhook: it is told nothing more."""
    Webhooks(store).remove(webhook_id)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.post("/webhooks/{webhook_id}/test", responses=documented(HTTPStatus.NOT_FOUND))
async def send_test(webhook_id: WebhookId, store: StoreGiven, outbound: OutboundGiven) -> DeliveryAnswer:
    """Send a webhook something of the type `webhook.test` now, once, and return what came back."""
    webhook = await run_in_threadpool(Webhooks(store).one, webhook_id)
    now, message = datetime.now(UTC), new_message()
    content = body("webhook.test", now, {"webhook": webhook.id})
    answer = await outbound.post(webhook.url, content, signed(webhook.secret, message, content, now))
    return DeliveryAnswer(taken=answer.taken, status=answer.status, detail=answer.detail)


def _answer(webhook: Webhook) -> WebhookAnswer:
    return WebhookAnswer(
        id=webhook.id,
        url=webhook.url,
        states=webhook.states,
        created_at=webhook.created_at,
        waiting=webhook.waiting,
        failing_since=webhook.failing_since,
        trouble=webhook.trouble,
        dropped=webhook.dropped,
    )

"""What a study would take, before it is posted."""

from fastapi import APIRouter, Depends

from service.api.authorization import needs
from service.api.body import PostedBody
from service.api.dependencies import StoreGiven
from service.api.openapi import POSTED
from service.api.problems import BODY_PROBLEMS, documented
from service.roles import Role
from service.schemas.studies import PlanAnswer
from service.storage.repositories.estimates import estimated
from service.storage.repositories.runners import Runners
from studies.search import budget
from studies.validation.resolver import resolve

router = APIRouter(tags=["studies"], dependencies=[Depends(needs(Role.READER))])


@router.post(
    "/studies/plan",
    openapi_extra=POSTED,
    responses=documented(*BODY_PROBLEMS),
)
def plan(posted: PostedBody, store: StoreGiven) -> PlanAnswer:
    """Say what a study would train and about how long that would take; it is checked as if posted, and not stored."""
    catalogue = Runners(store).catalogue()
    spec = resolve(posted.parse(), catalogue)
    estimate = estimated(store, spec, catalogue)
    return PlanAnswer(
        spec_hash=spec.content_hash,
        warnings=(*spec.warnings(), *budget.warnings(spec)),
        beyond_budget=budget.beyond(spec, seconds=estimate.expected.seconds, gpu_hours=estimate.expected.gpu_hours),
        estimate=estimate,
    )

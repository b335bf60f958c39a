"""The plan of a study: its estimated cost before it is submitted."""

from fastapi import APIRouter, Depends, Response

from service.api.authorization import ClientDep, RequireRole
from service.api.body import BodyDep, RequestBody
from service.api.dependencies import ComputationsDep, StoreDep
from service.api.openapi import STUDY_REQUEST_BODY
from service.api.problems import BODY_STATUSES, problem_responses
from service.roles import Role
from service.schemas.plans import PlanResponse
from service.storage.repositories.estimates import estimate_study
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.search import budget
from studies.validation.resolver import resolve

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])


@router.post(
    "/studies/plan",
    response_model=PlanResponse,
    openapi_extra=STUDY_REQUEST_BODY,
    responses=problem_responses(*BODY_STATUSES),
)
async def plan(body: BodyDep, client: ClientDep, store: StoreDep, computations: ComputationsDep) -> Response:
    """Return what a study would train and an estimate of its cost; it is validated but not stored."""
    content = await computations.run(client, _plan, body, store)
    return Response(content, media_type="application/json")


def _plan(body: RequestBody, store: Store) -> str:
    """Return the response as JSON: with many workloads and arms it is long."""
    catalogue = Runners(store).catalogue()
    spec = resolve(body.parse(), catalogue)
    estimate = estimate_study(store, spec, catalogue)
    response = PlanResponse(
        spec_hash=spec.content_hash,
        warnings=(*spec.warnings(), *budget.warnings(spec)),
        beyond_budget=budget.exceeded_budgets(
            spec, seconds=estimate.expected.seconds, gpu_hours=estimate.expected.gpu_hours
        ),
        estimate=estimate,
    )
    return response.model_dump_json()

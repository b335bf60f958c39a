"""The workloads and optimizers that a study can use, as the runner published them."""

from fastapi import APIRouter, Depends

from service.api.authorization import RequireRole
from service.api.dependencies import StoreDep
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.catalogue import WorkloadResponse
from service.storage.repositories.runners import Runners
from studies.validation.catalogue import OptimizerEntry

router = APIRouter(tags=["catalogue"], dependencies=[Depends(RequireRole(Role.READER))])


@router.get("/workloads", responses=problem_responses())
def list_workloads(store: StoreDep) -> tuple[WorkloadResponse, ...]:
    """Return the workloads with their options and possible objectives."""
    return tuple(
        WorkloadResponse(
            name=entry.name,
            summary=entry.summary,
            options=entry.options,
            default_steps=entry.default_steps,
            epoch_examples=entry.epoch_examples,
            has_validation=entry.has_validation,
            metrics=entry.metrics,
            objectives=entry.objectives(),
        )
        for entry in Runners(store).catalogue().workloads
    )


@router.get("/optimizers", responses=problem_responses())
def list_optimizers(store: StoreDep) -> tuple[OptimizerEntry, ...]:
    """Return the optimizers with their hyperparameters, defaults and search ranges."""
    return Runners(store).catalogue().optimizers

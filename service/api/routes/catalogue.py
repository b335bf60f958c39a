"""What a study can name: workloads and optimizers, as the runner published them."""

from fastapi import APIRouter, Depends

from service.api.authorization import needs
from service.api.dependencies import StoreGiven
from service.api.problems import documented
from service.roles import Role
from service.schemas.studies import WorkloadAnswer
from service.storage.repositories.runners import Runners
from studies.validation.catalogue import OptimizerEntry

router = APIRouter(tags=["catalogue"], dependencies=[Depends(needs(Role.READER))])


@router.get("/workloads", responses=documented())
def list_workloads(store: StoreGiven) -> tuple[WorkloadAnswer, ...]:
    """Return the workloads with their options, and what can be selected on."""
    return tuple(
        WorkloadAnswer(
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


@router.get("/optimizers", responses=documented())
def list_optimizers(store: StoreGiven) -> tuple[OptimizerEntry, ...]:
    """Return the optimizers with their hyperparameters, defaults and search ranges."""
    return Runners(store).catalogue().optimizers

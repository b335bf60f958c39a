"""Curves of a study while it runs: what its page draws."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.access import needs
from service.curves import read_curves
from service.dependencies import StoreGiven, StudyId
from service.errors import UnknownWorkloadError
from service.problems import documented
from service.roles import Role
from service.schemas import CurvesAnswer
from service.storable import NO_NUL
from service.transitions import shown

router = APIRouter(tags=["studies"], dependencies=[Depends(needs(Role.READER))])

SeriesName = Annotated[
    str, Query(max_length=100, pattern=NO_NUL, description="One of `names` of the answer, as `train_loss`.")
]
WorkloadName = Annotated[str, Path(description="The workload's name within the study.", examples=["digits_mlp"])]


@router.get(
    "/studies/{study_id}/workloads/{workload}/curves",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def show_curves(
    study_id: StudyId, workload: WorkloadName, store: StoreGiven, series: SeriesName = "train_loss"
) -> CurvesAnswer:
    """Return a series of a few runs of each arm on a workload: confirm runs, or those of the best trial so far."""
    study = store.study(study_id)
    names = [each.name for each in study.spec.workloads]
    if workload not in names:
        raise UnknownWorkloadError(f"study {study_id} has no workload {shown(workload)}; it has {', '.join(names)}")
    found = store.progress(study)
    with store.reading() as connection:
        return read_curves(connection, study_id, study.spec, found, workload, series)

"""POST /studies/plan: what a study would take, checked as if posted, and never stored."""

import json
from typing import Any

import httpx
import pytest

from service.api.openapi import STUDY_JSON, STUDY_YAML
from service.schemas.plans import PlanResponse
from service.schemas.studies import StudyResponse
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from service.storage.repositories.throughput import replace_speeds
from studies.planning.estimate import Basis
from studies.planning.throughput import Speed, subject_of
from studies.records.rows import Mode
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue, Machines
from tests.conformance.api.stored_studies import JSON, YAML, problem_of
from tests.conformance.api.test_problems import BAD_STUDIES, UNREADABLE

MACHINES = Machines(hardware="here", code="now", workers=4, gpus=1.0)


def planned(api: httpx.Client, body: object) -> PlanResponse:
    answer = api.post("/studies/plan", json=body)
    assert answer.status_code == 200, answer.text
    return PlanResponse.model_validate_json(answer.content)


@pytest.mark.parametrize(("content", "headers"), [(json.dumps(STUDY_JSON), JSON), (STUDY_YAML, YAML)])
def test_a_plan_is_that_of_the_study_and_stores_nothing(
    api: httpx.Client, store: Store, content: str, headers: dict[str, str]
) -> None:
    answer = api.post("/studies/plan", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    plan = PlanResponse.model_validate_json(answer.content)
    assert store.studies(10).items == ()
    study = StudyResponse.model_validate_json(api.post("/studies", content=content, headers=headers).content)
    assert (plan.spec_hash, plan.warnings) == (study.spec_hash, study.warnings)
    expected, most = plan.estimate.expected, plan.estimate.most
    assert expected.search_runs + expected.confirm_runs == study.progress.total
    assert [(each.workload, each.arm) for each in plan.estimate.arms] == list(study.spec.pairs)
    assert most.search_runs == 2 * (1 + 8 + 2 * 3)
    assert {each.basis for each in plan.estimate.arms} == {Basis.GUESS}
    assert expected.gpu_hours == 0.0


@pytest.mark.parametrize("case", BAD_STUDIES)
def test_faults_are_those_of_posting(api: httpx.Client, store: Store, definition: dict[str, Any], case: str) -> None:
    body = definition | BAD_STUDIES[case][0]
    planned, posted = (problem_of(api.post(path, json=body), 422) for path in ("/studies/plan", "/studies"))
    assert planned == posted
    assert store.studies(1).items == ()


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_refused_as_by_posting(api: httpx.Client, case: str) -> None:
    content, headers, _, _ = UNREADABLE[case]
    planned, posted = (
        problem_of(api.post(path, content=content, headers=headers), 400) for path in ("/studies/plan", "/studies")
    )
    assert planned == posted


def test_other_bodies_are_refused_as_by_posting(api: httpx.Client) -> None:
    problem_of(api.post("/studies/plan", content=b"{}", headers={"Content-Type": "text/plain"}), 415)
    problem_of(api.post("/studies/plan", content=b" " * 262_145, headers=JSON), 413)
    problem_of(api.get("/studies/plan"), 404)  # no study has that id
    refused = api.put("/studies/plan")
    problem_of(refused, 405)
    assert refused.headers["allow"] == "POST"


def test_without_a_catalogue_there_is_no_plan(empty_api: httpx.Client, definition: dict[str, Any]) -> None:
    assert "no runner" in problem_of(empty_api.post("/studies/plan", json=definition), 503).detail


def test_a_plan_goes_by_what_was_measured_on_the_runners_machines(
    api: httpx.Client, store: Store, catalogue: Catalogue, definition: dict[str, Any], spec: StudySpec
) -> None:
    Runners(store).publish(catalogue.model_copy(update={"machines": MACHINES}))
    subject = subject_of(spec, spec.workloads[0], spec.arm("sgd"), hardware="here", code="now")
    with store.writing() as connection:
        replace_speeds(connection, subject, [Speed(lanes=1, mode=Mode.COMPILED, seconds=36.0)])
    found = planned(api, definition).estimate
    own = {(each.workload, each.arm): each for each in found.arms}["digits_mlp", "sgd"]
    assert (found.workers, own.basis, own.source) == (4, Basis.MEASURED, "measured on this machine")
    assert own.expected.pack_seconds == pytest.approx(36.0 * 100 * (4 + 6), rel=1e-3)
    assert own.expected.gpu_hours == pytest.approx(10.0, rel=1e-3)
    assert found.expected.gpu_hours > 10.0


def test_a_plan_says_what_a_budget_leaves_and_what_is_beyond_it(api: httpx.Client, definition: dict[str, Any]) -> None:
    definition["protocol"]["budget"] = {"trials": 2 + 2 * 3, "seconds": 1}
    plan = planned(api, definition)
    assert "the budget leaves each search 3 of 4 trials" in plan.warnings
    (beyond,) = plan.beyond_budget
    assert "seconds, is beyond the budget, 1" in beyond
    sgd = [each for each in plan.estimate.arms if each.arm == "sgd"]
    assert {(each.expected.search_runs, each.most.search_runs) for each in sgd} == {(3, 3)}
    assert "the budget leaves each search 3 of 4 trials" in api.post("/studies", json=definition).json()["warnings"]

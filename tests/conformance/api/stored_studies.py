"""What tests of the HTTP service share: problems read, studies put into the database as a runner would."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import httpx

from service.runner.ledger import StudyLedger
from service.schemas.problems import Problem
from service.storage.entities import Claim
from service.storage.repositories.studies import Store
from studies.planning.planner import plan_next_packs
from studies.records.rows import Outcome, Run, by_arm
from studies.search.selection import SearchState
from studies.spec.study import ArmSpec, StudySpec, WorkloadSpec
from tests.support.training.throughput import all_eager

NOW = datetime(2026, 1, 2, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}


def problem_of(answer: httpx.Response, status: int) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate_json(answer.content)
    assert found.status == status
    assert found.detail
    return found


def claimed(store: Store, spec: StudySpec) -> Claim:
    store.add_study(spec, NOW)
    claim = store.claim(NOW, 1e6)
    assert claim is not None
    return claim


def suggest(workload: WorkloadSpec, arm: ArmSpec, found: SearchState, batch: int, count: int) -> list[dict[str, float]]:
    return [{"lr": 0.01}] * count


def with_runs(store: Store, spec: StudySpec) -> str:
    """Add a study whose fixed arm has been searched; its only run on digits_mlp diverged."""
    claim = claimed(store, spec)
    ledger = StudyLedger(store, claim.study_id, claim.token)
    speeds = all_eager(spec, {"digits_mlp": 8, "linear_regression": 8})
    plan = plan_next_packs(spec, by_arm(ledger.rows()), speeds, suggest)
    ledger.add_plan(plan.trials, plan.packs)
    for pack in (pack for pack in plan.packs if pack.arm == "l4adam"):
        diverged = pack.workload == "digits_mlp"
        run = Run(
            workload=pack.workload,
            arm=pack.arm,
            trial=0,
            seed=0,
            stage=pack.stage,
            outcome=Outcome.DIVERGED if diverged else Outcome.FINISHED,
            steps=20,
            start_loss=1.0,
            train_loss=math.inf if diverged else 0.5,
            metrics={"validation_loss": math.nan, "validation_accuracy": 0.5} if diverged else {},
            pack=pack.number,
            lane=0,
        )
        ledger.finish_pack(replace(pack, done=True, seconds=1.0, host="here"), [run])
    return claim.study_id

"""Curves of a study: whose they are, and what they are of."""

import math
from dataclasses import replace

import httpx

from service.runner.ledger import StudyLedger
from service.schemas.runs import CurvesResponse
from service.storage.repositories.studies import Store
from studies.records.rows import Lane, Outcome, Pack, Run, Series, Trial
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from tests.conformance.api.stored_studies import claimed, problem_of


def run(pack: Pack, lane: int, value: float) -> Run:
    return Run(
        workload=pack.workload,
        arm=pack.arm,
        trial=pack.lanes[lane].trial,
        seed=pack.lanes[lane].seed,
        stage=pack.stage,
        outcome=Outcome.FINISHED,
        steps=20,
        start_loss=2.0,
        train_loss=value,
        metrics={},
        pack=pack.number,
        lane=lane,
        series=(
            Series(name="train_loss", steps=(0, 10, 20), values=(2.0, math.inf, value)),
            Series(name="effective_lr", steps=(10, 20), values=(0.1, 0.2)),
        ),
    )


def test_they_are_the_best_trials_and_then_the_confirm_runs(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    claim = claimed(store, spec)
    ledger = StudyLedger(store, claim.study_id, claim.token)
    path = f"/studies/{claim.study_id}/workloads/digits_mlp/curves"

    def curves(**asked: str) -> CurvesResponse:
        return CurvesResponse.model_validate_json(api.get(path, params=asked).raise_for_status().content)

    assert curves() == CurvesResponse(workload="digits_mlp", names=(), series="train_loss", curves=())
    trials = [
        Trial(workload="digits_mlp", arm="sgd", number=n, batch=0, setting={"lr": 0.01 * (n + 1), "eps": 1e-8})
        for n in range(2)
    ]
    search = Pack(
        workload="digits_mlp",
        arm="sgd",
        number=0,
        stage=Stage.SEARCH,
        batch=0,
        lanes=tuple(Lane(trial=n, seed=0) for n in range(2)),
    )
    confirm = replace(
        search, number=1, stage=Stage.CONFIRM, batch=-1, lanes=tuple(Lane(trial=1, seed=1000 + n) for n in range(5))
    )
    ledger.add_plan(trials, [search, confirm])
    ledger.finish_pack(replace(search, done=True, seconds=1.0, host="here"), [run(search, 0, 1.0), run(search, 1, 0.5)])
    found = curves()
    assert found.names == ("train_loss", "effective_lr")
    (curve,) = found.curves
    assert (curve.arm, curve.stage, curve.trial, curve.seed, curve.run) == ("sgd", Stage.SEARCH, 1, 0, "0-1")
    assert (curve.steps, curve.values) == ((0, 10, 20), (2.0, None, 0.5))
    assert curves(series="effective_lr").curves[0].values == (0.1, 0.2)
    assert curves(series="nothing").curves == ()

    done = replace(confirm, done=True, seconds=1.0, host="here")
    ledger.finish_pack(done, [run(confirm, lane, 0.5) for lane in range(5)])
    assert [(each.stage, each.seed) for each in curves().curves] == [(Stage.CONFIRM, 1000 + n) for n in range(3)]

    found = problem_of(api.get(path.replace("digits_mlp", "nothing")), 404)
    assert "digits_mlp, linear_regression" in found.detail
    problem_of(api.get(path.replace(claim.study_id, "0" * 20)), 404)
    assert problem_of(api.get(path, params={"series": "\0"}), 422).faults[0].pointer == "/query/series"

"""What is said of a study besides its state."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.api.presenters.conditions import conditions
from service.runner.ledger import StudyLedger
from service.states import State
from service.storage.entities import StudyRow
from service.storage.repositories.studies import Store
from studies.planning.progress import ArmKey, SearchProgress
from studies.records.rows import Lane, Limit, Outcome, Pack, Rows, Run, Trial
from studies.spec.definition import Budget
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec
from studies.validation.catalogue import UnusableMachine
from tests.support.progress import progress_of

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def study(store: Store, spec: StudySpec) -> StudyRow:
    return store.study(store.add_study(spec, datetime.now(UTC)))


def searched(best: float) -> Rows:
    """Return the rows of a whole search of `sgd` on `digits_mlp`, from 0.001 to 0.1, with its best learning rate."""
    rates = (0.001, 0.01, 0.05, 0.1)
    lanes = tuple(Lane(trial=number, seed=0) for number in range(len(rates)))
    pack = Pack(workload="digits_mlp", arm="sgd", number=0, stage=Stage.SEARCH, batch=0, lanes=lanes, done=True)
    return Rows(
        trials=tuple(
            Trial(workload="digits_mlp", arm="sgd", number=number, batch=0, setting={"lr": rate, "eps": 1e-8})
            for number, rate in enumerate(rates)
        ),
        packs=(pack,),
        runs=tuple(
            Run(
                workload="digits_mlp",
                arm="sgd",
                trial=number,
                seed=0,
                stage=Stage.SEARCH,
                outcome=Outcome.FINISHED,
                steps=10,
                start_loss=2.0,
                train_loss=abs(rate - best),
                metrics={"validation_loss": 1.0},
                pack=0,
                lane=number,
            )
            for number, rate in enumerate(rates)
        ),
    )


def test_a_search_that_the_budget_cuts_is_named(study: StudyRow) -> None:
    running = replace(study, state=State.RUNNING)
    budget = Budget(trials=2 + 2 * 3)
    limited = study.spec.model_copy(update={"protocol": study.spec.protocol.model_copy(update={"budget": budget})})
    said = conditions(running, progress_of(limited, Rows()).searches, 0, NOW)
    assert said == tuple(
        f"the budget leaves the search for sgd on {workload} 3 of 4 trials"
        for workload in ("digits_mlp", "linear_regression")
    )
    ended = replace(searched(0.01), reached=Limit.SECONDS, runs=searched(0.01).runs[:2])
    own = ("digits_mlp", "sgd")
    assert conditions(running, {own: progress_of(study.spec, ended).searches[own]}, 0, NOW) == (
        "the budget leaves the search for sgd on digits_mlp 2 of 4 trials",
    )


def standing(study: StudyRow, best: float) -> Mapping[ArmKey, SearchProgress]:
    return progress_of(study.spec, searched(best)).searches


def test_a_queued_study_says_how_many_are_before_it(store: Store, study: StudyRow, spec: StudySpec) -> None:
    later = store.study(store.add_study(spec, datetime.now(UTC)))
    assert [each.id for each in store.queue(NOW)] == [study.id, later.id]
    assert conditions(study, {}, 0, NOW) == ("waits for a runner that has room",)
    assert conditions(later, {}, 1, NOW) == ("waits behind 1 in the queue",)


def test_a_running_study_says_what_its_next_pack_waits_for(store: Store, study: StudyRow) -> None:
    claim = store.claim(NOW, 30.0)
    assert claim is not None
    ledger = StudyLedger(store, study.id, claim.token)
    ledger.record_wait("the next waits for a CPU")
    assert conditions(store.study(study.id), {}, 0, NOW) == ("the next waits for a CPU",)
    ledger.release()
    assert conditions(store.study(study.id), {}, 0, NOW) == ("waits for a runner that has room",)


def test_a_paused_study_says_that_its_driver_is_not_done(study: StudyRow) -> None:
    paused = replace(study, state=State.PAUSED, lease_expires_at=NOW)
    assert conditions(paused, {}, 0, NOW) == ("its driver finishes what is in training",)
    assert conditions(paused, {}, 0, NOW + timedelta(seconds=1)) == ()  # its driver died
    assert conditions(replace(paused, lease_expires_at=None), {}, 0, NOW) == ()


def test_an_extended_range_is_named(study: StudyRow) -> None:
    running = replace(study, state=State.RUNNING)
    assert conditions(running, standing(study, 0.01), 0, NOW) == ()
    assert conditions(running, standing(study, 0.1), 0, NOW) == ("range extended for sgd on digits_mlp: lr 0.001 to 1",)


def test_runs_that_are_missing_in_mlflow_are_counted(study: StudyRow) -> None:
    ended = replace(study, state=State.SUCCEEDED)
    assert conditions(ended, {}, 0, NOW) == ()
    for missing, runs in ((1, "1 run"), (4, "4 runs")):
        (said,) = conditions(replace(ended, mlflow_lacks=missing), {}, 0, NOW)
        assert said.startswith(f"MLflow lacks {runs} of it")


@pytest.mark.parametrize(("state", "named"), [(each, each in (State.QUEUED, State.RUNNING)) for each in State])
def test_a_machine_that_takes_no_packs_is_named_while_the_study_may_train(
    study: StudyRow, state: State, named: bool
) -> None:
    machine = UnusableMachine(host="node-7", reason="its driver is old")
    found = conditions(replace(study, state=state), {}, ahead=0, now=NOW, unusable=[machine])
    assert ("node-7 takes no packs: its driver is old" in found) is named

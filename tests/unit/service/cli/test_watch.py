"""What a terminal shows of a study that is watched."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from service.cli.watch import Pace, live_view, render_study
from service.schemas.studies import ArmProgressResponse, BestResponse, Links, ProgressResponse, StudyResponse
from service.states import State
from studies.spec.study import StudySpec

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def study(spec: StudySpec) -> StudyResponse:
    found = {
        ("digits_mlp", "l4adam"): BestResponse(trial=0, score=0.03125, setting={"alpha": 0.15}),
        ("digits_mlp", "sgd"): BestResponse(trial=3, score=0.0457, setting={"lr": 0.0464, "eps": 1e-8}),
        ("linear_regression", "l4adam"): BestResponse(trial=0, score=None, setting={"alpha": 0.15}),
    }
    done = dict(zip([*found, ("linear_regression", "sgd")], (7, 3, 2, 0), strict=True))
    arms = tuple(
        ArmProgressResponse(
            workload=workload,
            arm=arm,
            done=count,
            total=7 if arm == "l4adam" else 10,
            trials_done=min(count, 1 if arm == "l4adam" else 4),
            trials_total=1 if arm == "l4adam" else 4,
            best=found.get((workload, arm)),
        )
        for (workload, arm), count in done.items()
    )
    return StudyResponse(
        id="0" * 20,
        name="A study",
        owner=None,
        priority=0,
        state=State.RUNNING,
        reason="",
        spec_hash="0",
        created_at=NOW,
        started_at=NOW,
        ended_at=None,
        archived_at=None,
        spec=spec,
        warnings=(),
        conditions=("range extended for sgd on digits_mlp: lr 0.001 to 1",),
        progress=ProgressResponse(done=12, total=34, arms=arms),
        links=Links(self="", page="", runs="", events="", report=None, mlflow=None),
    )


def text_of(study: StudyResponse, per_minute: float | None, room: int | None = None) -> str:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(render_study(study, per_minute, NOW + timedelta(minutes=3), room))
    return console.export_text()


def test_a_look_has_progress_pace_and_the_best_of_every_arm(study: StudyResponse) -> None:
    lines = [" ".join(line.split()) for line in text_of(study, 4.0).splitlines()]
    assert "RUNNING" in lines[0]
    assert lines[0].endswith("12 of 34 runs")
    assert lines[1] == "4 runs a minute · about 6 min left · 3 min since its start"
    assert lines[2] == "range extended for sgd on digits_mlp: lr 0.001 to 1"
    assert lines[4:] == [
        "workload arm trials runs best training loss its setting",
        "digits_mlp l4adam 1/1 7/7 0.0312 fixed",
        "sgd 3/4 3/10 0.0457 lr 0.0464",
        "linear_regression l4adam 1/1 2/7 diverged fixed",
        "sgd 0/4 0/10 –",
    ]


def test_where_nothing_is_known_nothing_is_said(study: StudyResponse) -> None:
    assert "a minute" not in text_of(study, None)
    queued = study.model_copy(update={"state": State.QUEUED, "started_at": None, "conditions": ()})
    assert [line for line in text_of(queued, 4.0).splitlines()[1:3] if line.strip()] == [
        "workload           arm     trials  runs  best training loss  its setting"
    ]
    ended = study.model_copy(update={"state": State.FAILED, "ended_at": NOW + timedelta(seconds=90)})
    assert "left" not in text_of(ended, 4.0)
    assert "took 1 min 30 s" in text_of(ended, 4.0)


def test_on_a_low_screen_what_goes_on_is_shown_first(study: StudyResponse) -> None:
    shown = text_of(study, None, room=2)
    assert "0.0457" in shown
    assert "diverged" in shown
    assert "0.0312" not in shown
    assert "… and 2 more" in shown


def test_the_pace_is_that_of_the_last_minutes() -> None:
    pace = Pace()
    assert pace.per_minute is None
    pace.sample(0, 10)
    pace.sample(30, 10)
    assert pace.per_minute is None
    pace.sample(60, 20)
    assert pace.per_minute == 10
    for minute in range(2, 60):
        pace.sample(60 * minute, 20 + minute)
    assert pace.per_minute == pytest.approx(1)
    for minute in range(60, 70):
        pace.sample(60 * minute, 79)
    assert pace.per_minute is None


def test_a_terminal_keeps_the_last_look(study: StudyResponse) -> None:
    console = Console(file=io.StringIO(), width=100, height=30, force_terminal=True, record=True)
    with live_view(console) as follow:
        follow(study)
        follow(study.model_copy(update={"state": State.SUCCEEDED, "ended_at": NOW}))
    shown = console.export_text()
    assert shown.rstrip().splitlines()[-1].split() == ["sgd", "0/4", "0/10", "–"]
    assert "SUCCEEDED" in shown


def test_elsewhere_there_is_a_line_for_each_new_state(study: StudyResponse) -> None:
    console = Console(file=io.StringIO(), width=100, record=True)
    with live_view(console) as follow:
        for state in (State.QUEUED, State.RUNNING, State.RUNNING, State.QUEUED, State.RUNNING, State.SUCCEEDED):
            follow(study.model_copy(update={"state": state}))
    assert console.export_text().splitlines() == [
        f"{state}: 12 of 34 runs"
        for state in (State.QUEUED, State.RUNNING, State.QUEUED, State.RUNNING, State.SUCCEEDED)
    ]

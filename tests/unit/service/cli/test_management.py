"""Cloning, archiving, deleting, finding and cancelling many, with the client and from the command line."""

from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app
from service.client.client import Client
from service.client.connection import RequestRefusedError
from service.states import State
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.unit.service.storage.repositories.test_studies import bring_to

pytestmark = pytest.mark.heavy

Run = Callable[..., Result]


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as made:
        yield made


@pytest.fixture
def run(url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("L4_URL", url)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.mark.usefixtures("published")
def test_a_study_is_cloned(client: Client, run: Run, store: Store, spec: StudySpec) -> None:
    study_id = bring_to(store, spec, State.FAILED)
    first, again = (client.clone(study_id, name="Once more", key="a key, ä") for _ in range(2))
    assert (first.id, first.spec) == (again.id, spec.model_copy(update={"name": "Once more"}))
    assert client.clone(study_id).spec == spec
    with pytest.raises(RequestRefusedError, match="/name"):
        client.clone(study_id, name="<b>")

    printed = [run("clone", study_id, "--name", "From here", "--key", "mine").stdout.strip() for _ in range(2)]
    assert printed[0] == printed[1]
    assert client.study(printed[0]).name == "From here"
    assert run("clone", "nonsense").exit_code == 1
    assert len(list(client.studies())) == 4


def test_studies_are_found_over_all_pages(client: Client, run: Run, store: Store, spec: StudySpec) -> None:
    named = spec.model_copy(update={"name": "Sweep (50%)"})
    failed = bring_to(store, named, State.FAILED)
    ids = [bring_to(store, named, State.QUEUED) for _ in range(130)]
    other = bring_to(store, spec, State.QUEUED)
    assert [study.id for study in client.studies(name="sweep (50%)", states=[State.QUEUED])] == sorted(
        ids, reverse=True
    )
    assert len(list(client.studies(states=[State.QUEUED, State.FAILED]))) == 132
    assert list(client.studies(archived=True)) == []

    listed = run("list", "--state", "FAILED", "--state", "QUEUED", "--name", "SMALL")
    assert other in listed.stdout
    assert failed not in listed.stdout
    assert run("list", "--state", "SLEEPING").exit_code == 2


def test_an_ended_study_is_put_away_and_back(client: Client, run: Run, store: Store, spec: StudySpec) -> None:
    study_id, queued = bring_to(store, spec, State.FAILED), bring_to(store, spec, State.QUEUED)
    assert client.archive(study_id).archived_at is not None
    assert [study.id for study in client.studies()] == [queued]
    assert "archived" in run("show", study_id).stdout
    assert client.unarchive(study_id).archived_at is None

    put_away = run("archive", study_id)
    assert (put_away.exit_code, put_away.stdout.strip()) == (0, "FAILED")
    assert study_id not in run("list").stdout
    assert study_id in run("list", "--archived").stdout
    assert run("unarchive", study_id).exit_code == 0
    assert study_id in run("list").stdout
    refused = run("archive", queued)
    assert refused.exit_code == 1
    assert "cancel it first" in refused.stderr


def test_an_ended_study_is_deleted(client: Client, run: Run, store: Store, spec: StudySpec) -> None:
    ids = [bring_to(store, spec, State.FAILED) for _ in range(3)]
    client.delete(ids[0])
    with pytest.raises(RequestRefusedError, match="no study has the id"):
        client.delete(ids[0])
    client.delete(ids[1], mlflow=True)

    deleted = run("delete", ids[2], "--mlflow")
    assert (deleted.exit_code, deleted.stdout) == (0, f"Deleted {ids[2]}\n")
    assert run("delete", ids[2]).exit_code == 1
    queued = bring_to(store, spec, State.QUEUED)
    refused = run("delete", queued)
    assert refused.exit_code == 1
    assert "cancel it first" in refused.stderr
    assert [study.id for study in client.studies()] == [queued]


def test_many_are_cancelled(
    client: Client, run: Run, store: Store, spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, running = bring_to(store, spec, State.FAILED), bring_to(store, spec, State.RUNNING)
    found = client.cancel_all([failed, running])
    assert [(each.id, each.state) for each in found.studies] == [(failed, None), (running, State.CANCELLING)]
    with pytest.raises(RequestRefusedError, match="give ids, or else state"):
        client.cancel_all()

    queued = [bring_to(store, spec, State.QUEUED) for _ in range(5)]
    said = run("cancel", failed, queued[0], "nonsense")
    assert said.exit_code == 1
    lines = said.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [failed, queued[0], "nonsense"]
    assert "is FAILED" in lines[0]
    assert lines[1].rstrip().endswith(" CANCELLED")
    assert "no study has the id" in lines[2]
    monkeypatch.setattr("service.api.routes.management.MAX_CANCELLED", 2)
    said = run("cancel", "--state", "QUEUED", "--name", "small")
    assert said.exit_code == 0
    assert [line.split()[0] for line in said.stdout.splitlines()] == sorted(queued[1:], reverse=True)
    assert {store.state(study_id) for study_id in queued} == {State.CANCELLED}
    assert run("cancel").exit_code == 1

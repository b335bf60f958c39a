"""The pages as they are answered: what they show, to whom, and that they show it as text."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from service.auth.keys import ApiKeys
from service.roles import Role
from service.runner.ledger import StudyLedger
from service.settings import Settings
from service.states import State
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from studies.validation.catalogue import Catalogue
from tests.conformance.api.stored_studies import NOW, problem_of, with_runs

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def shown(client: httpx.Client, path: str, status: int = 200) -> str:
    """Return a page's source, as a browser gets it."""
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    for script in re.findall(r"<script[^>]*>", answer.text):
        assert 'src="/static/' in script or 'type="application/json"' in script
    assert not re.findall(r' style="| on[a-z]+="|https?://(?!mlflow\.test|127\.)', answer.text)
    return answer.text


def named(spec: StudySpec, name: str) -> StudySpec:
    return spec.model_copy(update={"name": name})


def test_the_list_shows_studies_and_finds_them(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    assert "There are no studies yet" in shown(api, "/")
    names = ("First", "Second", "Third")
    ids = [store.add_study(named(spec, name), NOW + timedelta(seconds=n)) for n, name in enumerate(names)]
    store.transition(ids[1], State.FAILED, "broken")
    page = shown(api, "/")
    places = [page.index(f"/pages/studies/{each}") for each in ids]
    assert places == sorted(places, reverse=True)
    found = shown(api, "/?name=ir&state=QUEUED")
    assert [name in found for name in ("First", "Second", "Third")] == [True, False, True]
    assert found.count(" checked") == 1
    assert "Second" in shown(api, "/?state=FAILED&state=PAUSED")
    assert "No study is like that" in shown(api, "/?archived=true")
    assert "The query has faults" in shown(api, "/?state=NONE", 422)


def test_the_list_goes_on_to_older_studies_with_the_same_search(
    api: httpx.Client, store: Store, spec: StudySpec
) -> None:
    for number in range(53):
        store.add_study(named(spec, f"Study {number:02d}"), NOW + timedelta(seconds=number))
    store.add_study(named(spec, "Another"), NOW)
    page = shown(api, "/?name=study&state=QUEUED")
    assert len(re.findall(r"Study \d\d<", page)) == 50
    (older,) = re.findall(r'rel="next" href="([^"]+)"', page)
    last = shown(api, older.replace("&amp;", "&"))
    assert re.findall(r"Study \d\d", last) == ["Study 02", "Study 01", "Study 00"]
    assert 'rel="next"' not in last
    assert 'href="/?state=QUEUED&amp;name=study"' in last


def test_what_people_wrote_is_text(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    store.transition(study_id, State.FAILED, "<script>alert(1)</script>")
    assert "&lt;script&gt;alert(1)" in shown(api, f"/pages/studies/{study_id}")
    assert 'value="&#34;&gt;&lt;b&gt;"' in shown(api, "/?name=%22%3E%3Cb%3E")


def test_a_study_is_shown_with_its_progress_its_buttons_and_where_more_is(
    api: httpx.Client, store: Store, spec: StudySpec
) -> None:
    study_id = with_runs(store, spec)
    page = shown(api, f"/pages/studies/{study_id}")
    assert re.search(r"\b2 of \d+ runs", page)
    assert "Best training loss" in page
    assert "diverged" in page
    assert re.findall(r'data-verb="(\w+)"', page) == ["pause", "cancel", "clone"]
    assert 'href="http://mlflow.test/#/experiments?' in page
    assert "#/experiments/" not in page
    store.set_experiment(study_id, "17")
    now = shown(api, f"/pages/studies/{study_id}/now")
    assert now.startswith('<div data-part="top">')
    wanted = "searchFilter=tags.workload%20%3D%20%22digits_mlp%22%20and%20tags.stage%20%3D%20%22confirm%22"
    assert f"#/experiments/17/runs?workflowType=machine_learning&amp;{wanted}&amp;compareRunsMode=CHART" in now


@pytest.mark.parametrize(
    ("state", "verbs"),
    [
        (State.PAUSED, ["resume", "cancel", "clone"]),
        (State.FAILED, ["retry", "clone", "archive", "delete"]),
        (State.CANCELLED, ["clone", "archive", "delete"]),
    ],
)
def test_the_buttons_are_what_the_state_allows(
    api: httpx.Client, store: Store, spec: StudySpec, state: State, verbs: list[str]
) -> None:
    study_id = store.add_study(spec, NOW)
    if state is State.PAUSED:
        api.post(f"/studies/{study_id}/pause")
    else:
        store.transition(study_id, state, "")
    assert re.findall(r'data-verb="(\w+)"', shown(api, f"/pages/studies/{study_id}")) == verbs
    for verb in {"archive"} & {*verbs}:
        api.post(f"/studies/{study_id}/{verb}")
        assert 'data-verb="unarchive"' in shown(api, f"/pages/studies/{study_id}")


def test_the_buttons_are_what_the_key_allows(
    keyed_api: httpx.Client, store: Store, spec: StudySpec, catalogue: Catalogue
) -> None:
    study_id = store.add_study(spec, NOW, owner="ada")
    allowed = {
        "ada": ["pause", "cancel", "clone"],
        "bob": ["clone"],
        "reader": [],
        "admin": ["pause", "cancel", "clone"],
    }
    roles = {"reader": Role.READER, "admin": Role.ADMIN}
    for name, verbs in allowed.items():
        key = ApiKeys(store).create(name, roles.get(name, Role.SUBMITTER), NOW)
        keyed_api.headers["Authorization"] = f"Bearer {key}"
        page = shown(keyed_api, f"/pages/studies/{study_id}")
        assert re.findall(r'data-verb="(\w+)"', page) == verbs, name
        assert f"{name}, {roles.get(name, 'submitter')}" in page
        assert ("A reader's key submits nothing" in shown(keyed_api, "/pages/new")) == (name == "reader")


def test_a_report_is_linked_and_may_be_shown_within_its_study(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    assert "<iframe" not in shown(api, f"/pages/studies/{study_id}")
    claim = store.claim(NOW, 1e6)
    assert claim is not None
    StudyLedger(store, study_id, claim.token).save_report({"report.html": b"<p>done</p>"})
    store.transition(study_id, State.SUCCEEDED, "")
    path = f"/studies/{study_id}/report.html"
    page = shown(api, f"/pages/studies/{study_id}")
    assert f'<iframe title="Report" src="{path}"' in page
    assert f'href="/studies/{study_id}/report.csv"' in page
    headers = api.get(path).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_what_is_not_there_is_told_in_a_page_to_browsers_only(api: httpx.Client) -> None:
    for path in (f"/pages/studies/{'0' * 20}", "/pages/studies/nothing", "/pages/nothing"):
        assert "To the studies" in shown(api, path, 404)
        problem_of(api.get(path), 404)
    problem_of(api.get(f"/studies/{'0' * 20}", headers=BROWSER), 404)


def test_a_database_that_does_not_answer_is_told_in_a_page(api: httpx.Client, store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE studies RENAME TO gone")
    assert "The database does not answer" in shown(api, "/", 503)


def test_a_fault_of_the_service_is_told_in_a_page(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE studies SET spec = 'nonsense'")
    assert "An error of the service" in shown(api, f"/pages/studies/{study_id}", 500)


def test_without_a_runner_the_pages_are_there(empty_api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    for path in ("/", "/pages/new", f"/pages/studies/{study_id}"):
        shown(empty_api, path)
    Runners(store).heartbeat("runner", datetime.now(UTC), seconds=1)


def test_static_files_are_those_of_the_pages(api: httpx.Client) -> None:
    types = {"pages.css": "text/css", "study.js": "text/javascript", "icon.svg": "image/svg+xml"}
    for file, media_type in types.items():
        answer = api.get(f"/static/{file}")
        assert answer.headers["content-type"].startswith(media_type)
        assert answer.headers["cache-control"] == "no-cache"
    for file in ("__init__.py", "nothing.css", "..%2fapp.py", "%2e%2e%2fapp.py", ""):
        assert api.get(f"/static/{file}").status_code == 404


def test_mlflow_may_be_elsewhere_for_browsers() -> None:
    for given, pages in (
        ("", "http://127.0.0.1:8450"),
        ("/mlflow/", "/mlflow"),
        ("https://x.test/m", "https://x.test/m"),
    ):
        assert Settings(mlflow_public_url=given).mlflow_browser_url == pages
    for bad in ("mlflow", "ftp://x", "javascript:alert(1)", "/a b"):
        with pytest.raises(ValueError, match="mlflow_public_url"):
            Settings(mlflow_public_url=bad)

"""Browsers without a key at hand: sent to the login, in and out of a session, and what a session may ask."""

from datetime import UTC, datetime

import httpx
import pytest

from service.api.middleware.authentication import FAILURES_PER_MINUTE
from service.app import create_app
from service.auth.keys import ApiKeys
from service.auth.sessions import COOKIE_NAME
from service.roles import Role
from service.settings import Access, Settings
from service.storage.repositories.studies import Store
from tests.conformance.api.stored_studies import NOW, problem_of
from tests.support.services.http_server import serve_app

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def key(store: Store) -> str:
    return ApiKeys(store).create("ada", Role.SUBMITTER, NOW)


def log_in(client: httpx.Client, key: str, next: str = "/", **headers: str) -> httpx.Response:
    return client.post("/login", data={"key": key, "next": next}, headers=OWN | headers)


def test_a_browser_is_sent_to_the_login_and_comes_back_with_a_session(keyed_api: httpx.Client, key: str) -> None:
    asked = "/studies?name=a%20b&state=QUEUED"
    sent = keyed_api.get(asked, headers=BROWSER)
    assert sent.status_code == 303
    form = keyed_api.get(sent.headers["location"])
    assert form.status_code == 200
    assert 'value="/studies?name=a%20b&amp;state=QUEUED"' in form.text
    answer = log_in(keyed_api, f" {key}\n", asked)
    assert (answer.status_code, answer.headers["location"]) == (303, asked)
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"} <= {each.strip() for each in cookie.split(";")}
    assert "Secure" not in cookie
    assert key not in cookie
    assert keyed_api.get(asked, headers=BROWSER).status_code == 200
    out = keyed_api.post("/logout", headers=OWN)
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert COOKIE_NAME not in keyed_api.cookies
    # the token that the browser had is worth nothing either
    problem_of(keyed_api.get("/studies", headers={"Cookie": cookie.split(";")[0]}), 401)


def test_behind_a_proxy_with_tls_the_cookie_is_secure(keyed_api: httpx.Client, key: str) -> None:
    answer = log_in(keyed_api, key, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("/studies?x=1#y", "/studies?x=1#y"),
        ("/", "/"),
        *((each, "/") for each in ("", "//elsewhere.test", "/\\elsewhere.test", "https://elsewhere.test", "studies")),
        *((each, "/") for each in ("/\t/elsewhere.test", "/\r\nSet-Cookie: x", "javascript:alert(1)", "/é", "/ x")),
    ],
)
def test_the_login_leads_to_this_service_only(keyed_api: httpx.Client, key: str, given: str, path: str) -> None:
    assert log_in(keyed_api, key, given).headers["location"] == path
    form = keyed_api.get("/login", params={"next": given})
    assert f'name="next" value="{path}"' in form.text


def test_only_what_a_browser_shows_is_redirected(keyed_api: httpx.Client) -> None:
    for headers in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}, {"Accept": "text/event-stream"}):
        problem_of(keyed_api.get("/studies", headers=headers), 401)
    problem_of(keyed_api.post("/studies", headers=BROWSER | OWN), 401)
    # a proxy that asks for a browser is told so, and not sent elsewhere
    problem_of(keyed_api.get("/caller", headers=BROWSER), 401)
    for path in ("/docs", "/nothing"):
        assert keyed_api.get(path, headers=BROWSER).headers["location"].startswith("/login?next=%2F")


def test_a_wrong_key_is_no_session_and_a_wrong_cookie_is_none_either(keyed_api: httpx.Client, key: str) -> None:
    for wrong in ("", "nonsense", key[:-1], key + "0", f"{key} {key}", "x" * 4000):
        answer = log_in(keyed_api, wrong)
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text
        assert "set-cookie" not in answer.headers
        assert not wrong or wrong not in answer.text
    assert log_in(keyed_api, "x" * 5000).status_code == 413
    problem_of(keyed_api.get("/studies", headers={"Cookie": f"{COOKIE_NAME}=nonsense"}), 401)


def test_a_session_ends_with_its_key(keyed_api: httpx.Client, store: Store, key: str) -> None:
    log_in(keyed_api, key)
    assert keyed_api.get("/caller").json() == {"name": "ada", "role": "submitter", "key_id": key.split("_")[1]}
    ApiKeys(store).revoke(key.split("_")[1], datetime.now(UTC))
    problem_of(keyed_api.get("/caller"), 401)
    assert keyed_api.get("/docs", headers=BROWSER).status_code == 303


def test_a_key_that_is_sent_counts_and_not_the_session(keyed_api: httpx.Client, store: Store, key: str) -> None:
    log_in(keyed_api, key)
    other = ApiKeys(store).create("bob", Role.READER, NOW)
    assert keyed_api.get("/caller", headers={"Authorization": f"Bearer {other}"}).json()["name"] == "bob"
    problem_of(keyed_api.get("/caller", headers={"Authorization": "Bearer nonsense"}), 401)


def test_what_changes_something_by_session_comes_from_this_service(keyed_api: httpx.Client, key: str) -> None:
    log_in(keyed_api, key)
    own = str(keyed_api.base_url).rstrip("/")
    path = f"/studies/{'0' * 20}/cancel"
    refused: tuple[dict[str, str], ...] = (
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": own},
        {"Origin": "https://elsewhere.test"},
        {"Origin": "null"},
        {"Origin": own.replace("http:", "https:")},
        {"Origin": own + "1"},
    )
    for headers in refused:
        assert "no cookie" in problem_of(keyed_api.post(path, headers=headers), 403).detail
    for headers in (OWN, {"Origin": own}):
        problem_of(keyed_api.post(path, headers=headers), 404)
    assert keyed_api.get("/studies", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200
    # a page elsewhere can neither log a browser in nor out
    foreign = {"Sec-Fetch-Site": "cross-site"}
    problem_of(keyed_api.post("/logout", headers=foreign), 403)
    problem_of(log_in(keyed_api, key, **foreign), 403)
    assert keyed_api.get("/caller").status_code == 200


def test_where_no_key_is_needed_a_page_elsewhere_changes_nothing_either(api: httpx.Client) -> None:
    path = f"/studies/{'0' * 20}/cancel"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.test"}, {"Origin": "null"}):
        problem_of(api.post(path, headers=headers), 403)
    for headers in ({}, OWN, {"Origin": str(api.base_url).rstrip("/")}):
        problem_of(api.post(path, headers=headers), 404)


def test_where_no_key_is_needed_there_is_no_login(api: httpx.Client) -> None:
    assert api.get("/docs", headers=BROWSER).status_code == 200
    assert api.get("/login", params={"next": "/docs"}).headers["location"] == "/docs"
    assert api.get("/caller").json() == {"name": None, "role": "admin", "key_id": None}


@pytest.mark.parametrize(("role", "statuses"), [(Role.READER, (200, 403, 403)), (Role.ADMIN, (200, 200, 200))])
def test_a_proxy_asks_who_is_there(
    keyed_api: httpx.Client, store: Store, role: Role, statuses: tuple[int, int, int]
) -> None:
    log_in(keyed_api, ApiKeys(store).create("eve", role, NOW))
    found = tuple(keyed_api.get("/caller", params={"role": each}, headers=BROWSER).status_code for each in Role)
    assert found == statuses
    assert keyed_api.get("/caller", params={"role": "king"}).status_code == 422


def test_guesses_at_the_login_are_few(store: Store, key: str) -> None:
    app = create_app(Settings(access=Access.KEYS), store)
    with serve_app(app) as url, httpx.Client(base_url=url) as client:
        found = [log_in(client, "nonsense").status_code for _ in range(FAILURES_PER_MINUTE + 3)]
        assert found.count(401) in (FAILURES_PER_MINUTE, FAILURES_PER_MINUTE + 1)
        assert found[-1] == 429
        assert log_in(client, key).status_code == 303  # a right key is never refused for them


def test_a_browser_that_shows_nothing_finds_the_login_whatever_its_address_has_tried(store: Store) -> None:
    app = create_app(Settings(access=Access.KEYS), store)
    with serve_app(app) as url, httpx.Client(base_url=url) as client:
        for _ in range(FAILURES_PER_MINUTE + 3):
            assert client.get("/studies", headers=BROWSER).status_code == 303
        # none of those was a failure
        found = [client.get("/studies").status_code for _ in range(FAILURES_PER_MINUTE + 3)]
        assert found.count(401) in (FAILURES_PER_MINUTE, FAILURES_PER_MINUTE + 1)
        assert client.get("/studies", headers=BROWSER).status_code == 303
        # what guesses at a session is refused all the same, and so is a guess at a key
        for guess in ({"Cookie": f"{COOKIE_NAME}=nonsense"}, {"Authorization": "Bearer nonsense"}):
            problem_of(client.get("/studies", headers=BROWSER | guess), 429)


def test_a_browser_that_shows_nothing_is_sent_to_the_login_so_often_a_minute(store: Store) -> None:
    app = create_app(Settings(access=Access.KEYS, rate_limit=5), store)
    with serve_app(app) as url, httpx.Client(base_url=url) as client:
        assert [client.get("/studies", headers=BROWSER).status_code for _ in range(7)] == [303] * 5 + [429] * 2

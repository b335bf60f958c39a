"""The pages in a real browser, over the real service: a study is made, followed, read and cancelled; then MLflow."""

import re
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from service.auth.keys import open_api_keys
from service.client.client import Client
from service.roles import Role
from service.settings import Access, Settings
from service.states import ENDED, State
from tests.support.services.browsing import ELSEWHERE, WIDTHS, Watched, chromium, grave, overflow, picture, watched
from tests.support.services.serving import serving, settings_in, wait_for
from tests.support.services.waiting import SECONDS

pytestmark = pytest.mark.slow

TINY = """
name: Digits, a small comparison
workloads: [{name: digits_mlp, epochs: 2}]
arms: [{name: l4adam}, {name: sgd, search: {lr: {low: 0.01, high: 1.0}}}]
protocol: {trials: 3, confirm_seeds: 3}
"""
#: Long enough to be cancelled.
LONG = """
name: Long enough
workloads: [{name: linear_regression, steps: 5000000}]
arms: [{name: sgd, search: {lr: {}}}]
protocol: {trials: 4, confirm_seeds: 3}
"""
ARMS = ("l4adam", "sgd")


@dataclass(frozen=True, kw_only=True)
class Running:
    """The service of these tests.

    Args:
        settings: Its settings.
        key: An admin's.
    """

    settings: Settings
    key: str

    @property
    def url(self) -> str:
        """Where it is."""
        return self.settings.url

    @property
    def hosts(self) -> tuple[str]:
        """Where its pages may ask."""
        return (f"127.0.0.1:{self.settings.port}",)

    def client(self) -> Client:
        """Return a client of it."""
        return Client(self.url, key=self.key)


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    expect.set_options(timeout=60_000)
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    folder = tmp_path_factory.mktemp("browser")
    settings = settings_in(folder).model_copy(update={"access": Access.KEYS})
    with open_api_keys(settings) as keys:
        key = keys.create("ada", Role.ADMIN, datetime.now(UTC))
    with serving(settings, folder / "serve.txt") as process:
        running = Running(settings=settings, key=key)
        with running.client() as client:
            study = client.submit(TINY)
            wait_for(lambda: client.study(study.id).state in ENDED, process, SECONDS)
            assert client.study(study.id).state is State.SUCCEEDED
        yield running


@pytest.fixture(scope="module")
def done(service: Running) -> str:
    """The study that has succeeded."""
    with service.client() as client:
        return next(each.id for each in client.studies(name="Digits"))


def log_in(page: Page, service: Running, path: str = "/") -> None:
    page.goto(service.url + path)
    page.get_by_label("API key").fill(service.key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(service.url + path)


@pytest.fixture
def desk(browser: Browser, service: Running) -> Generator[Watched]:
    """A page at a desk, logged in; nothing may go wrong in it."""
    with watched(browser, service.hosts, 1400) as found:
        log_in(found.page, service)
        yield found
    assert found.errors == []
    assert found.foreign == []


def test_a_reader_logs_in_and_out(browser: Browser, service: Running) -> None:
    with watched(browser, service.hosts, 380) as found:
        page = found.page
        page.goto(f"{service.url}/pages/new")
        expect(page).to_have_title("Log in – L4 Studies")
        page.get_by_label("API key").fill("l4_wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("no key of this service")
        page.get_by_label("API key").fill(service.key)
        page.keyboard.press("Enter")
        page.wait_for_url(f"{service.url}/pages/new")
        expect(page.get_by_text("ada, admin")).to_be_visible()
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{service.url}/login")
        page.goto(service.url)
        expect(page).to_have_title("Log in – L4 Studies")
        assert found.foreign == []
        assert [each for each in found.errors if "401" not in each] == []


def test_a_study_left_open_when_its_session_ends_goes_to_the_login_and_back(
    browser: Browser, service: Running, done: str
) -> None:
    with watched(browser, service.hosts, 1400) as found:
        page, path = found.page, f"/pages/studies/{done}"
        log_in(page, service, path)
        page.context.clear_cookies()
        page.wait_for_url(f"{service.url}/login?next=%2Fpages%2Fstudies%2F{done}", timeout=60_000)
        assert len([each for each in found.errors if "401" in each]) == 1  # it asked once
        page.get_by_label("API key").fill(service.key)
        page.keyboard.press("Enter")
        page.wait_for_url(service.url + path)


def test_over_plain_http_in_a_network_it_is_the_same(browser: Browser, service: Running) -> None:
    # a browser says less of where a request comes from then, and has no clipboard for pages
    place = f"{ELSEWHERE}:{service.settings.port}"
    with watched(browser, (place,), 1400) as found:
        page = found.page
        page.goto(f"http://{place}/pages/new")
        page.get_by_label("API key").fill(service.key)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#cost")).to_contain_text("50 (18 in searches, 32 to confirm)")
        page.get_by_role("button", name="Copy").first.click()
        assert page.evaluate("getSelection().toString()").startswith("name: L4 against tuned SGD\nworkloads:")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"http://{place}/login")
        assert found.errors == []
        assert found.foreign == []


def test_a_study_is_made_by_the_form_followed_and_read(desk: Watched, service: Running) -> None:
    page = desk.page
    page.get_by_role("link", name="New study").first.click()
    expect(page.locator("#cost")).to_contain_text("50 (18 in searches, 32 to confirm)")
    page.get_by_label("Name", exact=True).fill("By the form")
    page.get_by_role("button", name="Remove workload linear_regression").click()
    page.get_by_role("group", name="digits_mlp").get_by_label("Length").fill("3")
    page.get_by_label("Optimizer to add").select_option("adam")
    page.get_by_role("button", name="Add arm").click()
    adam = page.get_by_role("group", name="adam", exact=True)
    adam.get_by_label("How lr is set").select_option("searched")
    adam.get_by_label("lr, from").fill("1e-3")
    page.get_by_label("Trials of a search").fill("3")
    page.get_by_label("Confirm seeds").fill("4")
    expect(page.locator("#cost")).to_contain_text("19 (7 in searches, 12 to confirm)")
    yaml = page.locator("#yaml").inner_text()
    assert "- name: adam\n    search: {lr: {low: 0.001}}" in yaml
    with service.client() as client:
        assert client.plan(yaml).estimate.expected.confirm_runs == 12
    picture(page, "new-study")
    page.get_by_role("button", name="Submit the study").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("By the form")

    state, runs = page.locator("#facts .state"), page.locator("#facts")
    seen = {state.inner_text(), runs.inner_text()}
    expect(state).to_have_text("running", timeout=60_000)
    seen |= {runs.inner_text()}
    expect(page.locator("#chart path").first).to_be_attached(timeout=SECONDS * 1000)
    seen |= {runs.inner_text()}
    expect(state).to_have_text("succeeded", timeout=SECONDS * 1000)
    expect(runs).to_contain_text(re.compile(r"(\d+) of \1 runs"))
    assert len(seen) >= 3, "the page did not change while the study ran"
    expect(page.locator("#chart path")).to_have_count(9)
    page.get_by_label("Series").select_option("effective_lr")
    expect(page.locator("#chart svg")).to_have_attribute("aria-label", re.compile("effective learning rate"))
    report = page.frame_locator("iframe[title=Report]")
    expect(report.get_by_role("heading", level=1)).to_have_text("By the form")
    expect(report.locator("body")).to_contain_text("adam")
    page.get_by_role("link", name="Open it on its own").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("By the form")


def test_a_fault_is_told_at_its_field(browser: Browser, service: Running) -> None:
    with watched(browser, service.hosts, 1400) as found:
        page = found.page
        log_in(page, service, "/pages/new")
        length = page.get_by_role("group", name="digits_mlp").get_by_label("Length")
        length.fill("a few")
        expect(page.locator("#faults")).to_contain_text("/workloads/1/epochs")
        expect(length).to_have_attribute("aria-invalid", "true")
        page.get_by_role("button", name="Submit the study").click()
        expect(page.locator("#faults")).to_contain_text("/workloads/1/epochs")
        page.locator("#faults a").first.click()
        expect(length).to_be_focused()
        length.fill("2")
        expect(page.locator("#faults")).to_be_hidden()
        assert [each for each in found.errors if "422" not in each] == []


def test_a_study_is_paused_resumed_cancelled_cloned_and_deleted(desk: Watched, service: Running) -> None:
    page = desk.page
    with service.client() as client:
        study = client.submit(LONG)
    page.goto(service.url)
    page.get_by_role("link", name="Long enough").click()
    state = page.locator("#facts .state")
    expect(state).to_have_text("running", timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    page.get_by_role("button", name="Resume").click()
    expect(state).to_have_text(re.compile("running|queued"))
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(state).to_have_text(re.compile("running|queued"))
    page.get_by_role("button", name="Cancel …").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Cancel this study?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel the study").click()
    expect(state).to_have_text("cancelled", timeout=60_000)

    page.get_by_role("button", name="Clone …").click()
    page.get_by_label("Name of the new study").fill("Once more")
    page.get_by_role("button", name="Submit the clone").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Once more")
    expect(page.get_by_text(f"clone of {study.id}").first).to_be_visible()
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("button", name="Cancel the study").click()
    expect(state).to_have_text("cancelled", timeout=60_000)
    page.get_by_role("button", name="Delete …").click()
    page.get_by_role("button", name="Delete the study").click()
    page.wait_for_url(f"{service.url}/")
    expect(page.get_by_role("link", name="Once more")).to_have_count(0)
    page.get_by_label("Part of the name").fill("long")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tbody tr")).to_have_count(1)


@pytest.mark.parametrize(("width", "scheme"), [(WIDTHS[0], "light"), (WIDTHS[1], "light"), (WIDTHS[1], "dark")])
def test_everybody_can_use_every_page(browser: Browser, service: Running, done: str, width: int, scheme: str) -> None:
    with watched(browser, service.hosts, width, "dark" if scheme == "dark" else "light") as found:
        page = found.page
        page.goto(f"{service.url}/login")
        bad = grave(page)
        log_in(page, service)
        for path, there in (
            ("/", "table"),
            ("/?name=nothing+is+called+so", ".empty"),
            ("/pages/new", "#cost dl"),
            (f"/pages/studies/{done}", "#chart path"),
            (f"/studies/{done}/report.html", "table"),
        ):
            page.goto(service.url + path)
            page.locator(there).first.wait_for()
            for summary in page.locator("summary").all():
                summary.click()
            bad += grave(page)
            bad += [f"{path} is {wider} px wider than {width}"] if (wider := overflow(page)) > 0 else []
        page.goto(f"{service.url}/pages/studies/{done}")
        page.locator("#chart path").first.wait_for()
        picture(page, f"study-{width}-{scheme}")
        page.get_by_role("button", name="Delete …").click()
        bad += grave(page)
        page.goto(service.url)
        picture(page, f"studies-{width}-{scheme}")
        assert bad == []
        assert found.errors == []
        assert found.foreign == []


def test_what_is_not_there_is_told_in_a_page(browser: Browser, service: Running) -> None:
    with watched(browser, service.hosts, 1400) as found:
        log_in(found.page, service)
        found.page.goto(f"{service.url}/pages/studies/{'0' * 20}")
        expect(found.page.get_by_role("heading", level=1)).to_have_text("No such study")
        assert grave(found.page) == []


def test_a_page_is_used_by_keyboard(desk: Watched, service: Running, done: str) -> None:
    page = desk.page
    page.goto(f"{service.url}/pages/studies/{done}")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    reached: list[str] = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(str(page.evaluate("document.activeElement.textContent.trim()")))
    assert {"Studies", "New study", "Log out", "Clone …", "Archive", "Delete …"} <= {*reached}


def test_runs_are_looked_at_in_mlflow(browser: Browser, service: Running, done: str) -> None:
    hosts = (*service.hosts, f"127.0.0.1:{service.settings.mlflow_port}")
    with watched(browser, hosts, 1400) as found:
        page = found.page
        log_in(page, service, f"/pages/studies/{done}")
        parent = page.get_by_role("link", name="study Digits, a small comparison")
        # nested runs
        page.get_by_role("link", name="experiment", exact=True).click()
        rows = page.locator(".ag-row")
        rows.filter(has=parent).get_by_role("button").first.click()
        nested = {arm: rows.filter(has=page.get_by_role("link", name=f"digits_mlp {arm} confirm")) for arm in ARMS}
        for arm in ARMS:
            expect(nested[arm]).to_have_count(3)
        picture(page, "mlflow-runs")
        # two of them side by side
        for arm in ARMS:
            nested[arm].first.get_by_role("checkbox", name="toggle row selection").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_text("Comparing 2 Runs")).to_be_visible()
        for arm in ARMS:
            expect(page.get_by_text(f"digits_mlp {arm} confirm").first).to_be_attached()
        # the report among the parent's artifacts
        page.go_back()
        parent.click()
        page.get_by_role("tab", name="Artifacts").click()
        page.get_by_text("report", exact=True).first.click()
        page.get_by_text("report.html", exact=True).first.click()
        report = page.frame_locator("iframe").get_by_role("heading", level=1)
        expect(report).to_have_text("Digits, a small comparison")
        picture(page, "mlflow-report")
        # series, by the study's own link
        page.goto(f"{service.url}/pages/studies/{done}")
        page.get_by_role("link", name="digits_mlp, confirm runs").click()
        expect(page.get_by_text("6 matching runs")).to_be_visible()
        for arm in ARMS:
            expect(page.get_by_role("link", name=f"digits_mlp {arm} confirm").first).to_be_visible()
        expect(page.locator(".js-plotly-plot .scatterlayer path.js-line").first).to_be_attached()
        picture(page, "mlflow-charts")
        assert found.foreign == []

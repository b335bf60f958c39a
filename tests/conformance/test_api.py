"""Every documented endpoint over HTTP, and everything that a client can get wrong."""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from service.entities import Claim
from service.examples import STUDY_JSON, STUDY_YAML
from service.ledger import StudyLedger
from service.schemas import Problem, RunPage, StudyAnswer, StudyPage, WorkloadAnswer
from service.states import State
from service.store import Store
from studies.catalogue import Catalogue, OptimizerEntry
from studies.choose import Search
from studies.plan import additions
from studies.rows import Outcome, Run
from studies.spec import ArmSpec, StudySpec, WorkloadSpec

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


def suggest(workload: WorkloadSpec, arm: ArmSpec, found: Search, batch: int, count: int) -> list[dict[str, float]]:
    return [{"lr": 0.01}] * count


def with_runs(store: Store, spec: StudySpec) -> str:
    """Add a study whose fixed arm has been searched; its only run on digits_mlp diverged."""
    claim = claimed(store, spec)
    ledger = StudyLedger(store, claim.study_id, claim.token)
    plan = additions(spec, ledger.rows(), {"digits_mlp": 8, "linear_regression": 8}, suggest)
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


# --- the endpoints ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (json.dumps(STUDY_JSON), "application/json"),
        (json.dumps(STUDY_JSON), "Application/JSON; charset=UTF-8"),
        (STUDY_YAML, "application/yaml"),
        (STUDY_YAML, "application/x-yaml"),
        (STUDY_YAML, "text/yaml; charset=utf-8"),
        (STUDY_YAML, "text/x-yaml"),
    ],
)
def test_a_study_is_accepted(api: httpx.Client, content: str, content_type: str) -> None:
    answer = api.post("/studies", content=content, headers={"Content-Type": content_type})

    assert answer.status_code == 202, answer.text
    study = StudyAnswer.model_validate_json(answer.content)
    assert answer.headers["location"] == f"/studies/{study.id}" == study.links.self
    assert (study.state, study.reason, study.name) == (State.QUEUED, "", "L4 against tuned SGD")
    assert (study.progress.done, study.progress.total) == (0, 2 * (1 + 8) + 2 * (8 + 8))
    assert (study.links.report, study.links.mlflow) == (None, None)
    assert study.spec.arm("sgd").search["lr"].low == 0.001
    assert api.get(answer.headers["location"]).json() == answer.json()


def test_json_and_yaml_give_the_same_study(api: httpx.Client) -> None:
    hashes = {
        api.post("/studies", content=content, headers=headers).json()["spec_hash"]
        for content, headers in ((json.dumps(STUDY_JSON), JSON), (STUDY_YAML, YAML))
    }
    assert len(hashes) == 1


def test_many_clients_at_once_each_get_their_study(api: httpx.Client, definition: dict[str, Any]) -> None:
    def submit_and_read() -> str:
        study_id = api.post("/studies", json=definition).json()["id"]
        assert api.get(f"/studies/{study_id}").status_code == 200
        return study_id

    with ThreadPoolExecutor(16) as pool:
        ids = [found.result() for found in [pool.submit(submit_and_read) for _ in range(48)]]

    assert len(set(ids)) == 48
    assert {study["id"] for study in api.get("/studies", params={"limit": 200}).json()["studies"]} == set(ids)


def test_too_few_seeds_are_warned_of(api: httpx.Client, definition: dict[str, Any]) -> None:
    definition["protocol"]["confirm_seeds"] = 3
    assert "3 confirm seeds" in api.post("/studies", json=definition).json()["warnings"][0]


def test_studies_are_listed_newest_first_in_pages(api: httpx.Client, definition: dict[str, Any]) -> None:
    ids = [api.post("/studies", json=definition).json()["id"] for _ in range(5)]

    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = StudyPage.model_validate(
            api.get("/studies", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        )
        assert len(page.studies) <= 2
        found += [study.id for study in page.studies]
        cursor = page.next_cursor

    assert found == ids[::-1]


def test_a_study_with_runs(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = with_runs(store, spec)
    store.set_experiment(study_id, "17")

    study = StudyAnswer.model_validate(api.get(f"/studies/{study_id}").json())
    first = RunPage.model_validate(api.get(f"/studies/{study_id}/runs", params={"limit": 1}).json())
    second = RunPage.model_validate(
        api.get(f"/studies/{study_id}/runs", params={"limit": 1, "cursor": first.next_cursor}).json()
    )

    assert study.state is State.RUNNING
    assert study.progress.done == 2
    assert study.links.mlflow == "http://mlflow.test/#/experiments/17"
    diverged, finished = first.runs[0], second.runs[0]
    assert (diverged.workload, diverged.outcome, diverged.train_loss) == ("digits_mlp", Outcome.DIVERGED, None)
    assert diverged.metrics == {"validation_loss": None, "validation_accuracy": 0.5}
    assert (finished.workload, finished.train_loss) == ("linear_regression", 0.5)
    assert finished.setting == {"alpha": 0.15}
    assert second.next_cursor is None


REPORT = {
    "report.json": b'{"verdict": "tie"}',
    "report.html": b"<!doctype html><p>tie",
    "report.md": b"# tie",
    "report.csv": b"arm,verdict\n",
    "curves.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}


@pytest.fixture
def reported(api: httpx.Client, store: Store, spec: StudySpec) -> str:
    claim = claimed(store, spec)
    StudyLedger(store, claim.study_id, claim.token).save_report(REPORT)
    store.transition(claim.study_id, State.SUCCEEDED, "", claim.token)
    return f"/studies/{claim.study_id}"


@pytest.mark.parametrize(
    ("accept", "file", "media_type"),
    [
        ("application/json", "report.json", "application/json"),
        ("*/*", "report.json", "application/json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "report.html", "text/html"),
        ("text/markdown", "report.md", "text/markdown"),
        ("text/csv;q=0.5, text/markdown;q=0.4", "report.csv", "text/csv"),
        ("text/*", "report.html", "text/html"),
        ("text/html;q=0, text/*", "report.md", "text/markdown"),
    ],
)
def test_a_report_by_accept(api: httpx.Client, reported: str, accept: str, file: str, media_type: str) -> None:
    answer = api.get(f"{reported}/report", headers={"Accept": accept})

    assert (answer.status_code, answer.content) == (200, REPORT[file])
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert answer.headers["vary"] == "Accept"


@pytest.mark.parametrize("accept", ["image/png", "application/pdf, text/html;q=0", "text/html;q=nonsense"])
def test_a_report_in_no_form_that_there_is(api: httpx.Client, reported: str, accept: str) -> None:
    found = problem_of(api.get(f"{reported}/report", headers={"Accept": accept}), 406)
    assert "text/html" in found.detail


@pytest.mark.parametrize(
    ("path", "file", "media_type"),
    [
        ("report.json", "report.json", "application/json"),
        ("report.html", "report.html", "text/html"),
        ("report.md", "report.md", "text/markdown"),
        ("report.csv", "report.csv", "text/csv"),
        ("report/curves.svg", "curves.svg", "image/svg+xml"),
    ],
)
def test_a_report_by_extension(api: httpx.Client, reported: str, path: str, file: str, media_type: str) -> None:
    answer = api.get(f"{reported}/{path}", headers={"Accept": "nothing/known"})

    assert (answer.status_code, answer.content) == (200, REPORT[file])
    assert answer.headers["content-type"].split(";")[0] == media_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]
    assert api.get(reported).json()["links"]["report"] == f"{reported}/report"


@pytest.mark.parametrize("path", ["report/unknown.svg", "report/..%2Freport.svg", "report.pdf", "report/curves.png"])
def test_a_report_has_no_other_files(api: httpx.Client, reported: str, path: str) -> None:
    problem_of(api.get(f"{reported}/{path}"), 404)


def test_a_report_that_is_not_there_yet(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    for path in ("report", "report.html", "report/curves.svg"):
        found = problem_of(api.get(f"/studies/{study_id}/{path}"), 409)
        assert "QUEUED" in found.detail

    store.transition(study_id, State.FAILED, "the data are missing")
    assert "the data are missing" in problem_of(api.get(f"/studies/{study_id}/report"), 409).detail


def test_cancelling(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    running = claimed(store, spec).study_id
    queued = store.add_study(spec, NOW)

    for _ in range(2):
        assert api.post(f"/studies/{queued}/cancel").json()["state"] == "CANCELLED"
        assert api.post(f"/studies/{running}/cancel").json()["state"] == "CANCELLING"


@pytest.mark.parametrize("ended", [State.SUCCEEDED, State.FAILED])
def test_what_has_ended_is_not_cancelled(api: httpx.Client, store: Store, spec: StudySpec, ended: State) -> None:
    claim = claimed(store, spec)
    store.transition(claim.study_id, ended, "")

    assert ended in problem_of(api.post(f"/studies/{claim.study_id}/cancel"), 409).detail


def test_the_catalogue_is_shown(api: httpx.Client, catalogue: Catalogue) -> None:
    workloads = [WorkloadAnswer.model_validate(found) for found in api.get("/workloads").json()]
    optimizers = [OptimizerEntry.model_validate(found) for found in api.get("/optimizers").json()]

    assert [found.name for found in workloads] == ["digits_mlp", "linear_regression"]
    assert workloads[0].objectives == catalogue.workloads[0].objectives()
    assert workloads[0].options == catalogue.workloads[0].options
    assert tuple(optimizers) == catalogue.optimizers


def test_without_a_runner_it_is_alive_but_not_ready(
    empty_api: httpx.Client, store: Store, catalogue: Catalogue, definition: dict[str, Any]
) -> None:
    assert empty_api.get("/healthz").json() == {"status": "ok"}
    for answer in (
        empty_api.get("/readyz"),
        empty_api.get("/workloads"),
        empty_api.get("/optimizers"),
        empty_api.post("/studies", json=definition),
    ):
        assert "no runner" in problem_of(answer, 503).detail

    store.publish_catalogue(catalogue)
    assert empty_api.get("/readyz").json() == {"status": "ok"}


# --- what a client can get wrong --------------------------------------------------------------------------------------


def arms(*given: dict[str, Any]) -> dict[str, Any]:
    return {"arms": list(given)}


SGD = {"name": "sgd"}
BAD_STUDIES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown workload": ({"workloads": [{"name": "imagenet"}]}, ["/workloads/0/name"]),
    "unknown workload by its other name": (
        {"workloads": [{"name": "a", "workload": "imagenet"}]},
        ["/workloads/0/workload"],
    ),
    "unknown optimizer": (arms({"name": "sdg"}), ["/arms/0/name"]),
    "unknown hyperparameter": (arms(SGD | {"fixed": {"learning_rate": 0.1}}), ["/arms/0/fixed/learning_rate"]),
    "unknown searched hyperparameter": (arms(SGD | {"search": {"beta": {}}}), ["/arms/0/search/beta"]),
    "unknown option": (
        {"workloads": [{"name": "digits_mlp", "options": {"size": 3}}]},
        ["/workloads/0/options/size"],
    ),
    "option out of its choices": (
        {"workloads": [{"name": "linear_regression", "options": {"matrix": "odd"}}]},
        ["/workloads/0/options/matrix"],
    ),
    "option out of bounds": (
        {"workloads": [{"name": "digits_mlp", "options": {"batch_size": 0}}]},
        ["/workloads/0/options/batch_size"],
    ),
    "no arms": ({"arms": []}, ["/arms"]),
    "no workloads": ({"workloads": []}, ["/workloads"]),
    "low = high": (arms(SGD | {"search": {"lr": {"low": 0.1, "high": 0.1}}}), ["/arms/0/search/lr/low"]),
    "low > high": (arms(SGD | {"search": {"lr": {"low": 1, "high": 0.1}}}), ["/arms/0/search/lr/low"]),
    "zero lr": (arms(SGD | {"search": {"lr": {"low": 0}}}), ["/arms/0/search/lr/low"]),
    "negative lr": (arms(SGD | {"search": {"lr": {"low": -1.0}}}), ["/arms/0/search/lr/low"]),
    "negative fixed lr": (arms(SGD | {"fixed": {"lr": -0.1}}), ["/arms/0/fixed/lr"]),
    "fixed and searched": (arms(SGD | {"fixed": {"lr": 0.1}, "search": {"lr": {}}}), ["/arms/0/search/lr"]),
    "two arms of one name": (arms(SGD, SGD), ["/arms/1/name"]),
    "zero seeds": (
        {"protocol": {"search_seeds": 0, "confirm_seeds": 0}},
        ["/protocol/confirm_seeds", "/protocol/search_seeds"],
    ),
    "zero trials": ({"protocol": {"trials": 0}}, ["/protocol/trials"]),
    "misspelt field": ({"protocl": {}}, ["/protocl"]),
    "misspelt field inside": ({"protocol": {"trails": 3}}, ["/protocol/trails"]),
    "unknown objective": ({"protocol": {"objective": "test_loss"}}, ["/protocol/objective"]),
    "unknown reference": ({"protocol": {"reference": "adam"}}, ["/protocol/reference"]),
    "number as text": (arms(SGD | {"fixed": {"lr": "0.1"}}), ["/arms/0/fixed/lr"]),
    "seeds as a fraction": ({"protocol": {"confirm_seeds": 2.5}}, ["/protocol/confirm_seeds"]),
    "true as a number": ({"protocol": {"trials": True}}, ["/protocol/trials"]),
    "huge whole number": ({"protocol": {"trials": 10**250}}, ["/protocol/trials"]),
    "NUL in a name": ({"name": "a\x00b"}, ["/name"]),
    "line feed after a name": (arms(SGD | {"name": "sgd\n", "optimizer": "sgd"}), ["/arms/0/name"]),
    "markup in a name": ({"name": "<script>alert(1)</script>"}, ["/name"]),
    "emoji key": ({"\U0001f600/~": 1}, ["/\U0001f600~1~0"]),
    "many faults at once": (
        {"name": "", "arms": [{"name": "sdg"}, SGD | {"fixed": {"x": 1}}], "protocol": {"trials": 0}, "extra": 1},
        ["/arms/0/name", "/arms/1/fixed/x", "/extra", "/name", "/protocol/trials"],
    ),
}


def assert_unharmed(api: httpx.Client) -> None:
    assert api.get("/studies").json() == {"studies": [], "next_cursor": None}
    assert api.get("/readyz").status_code == 200


@pytest.mark.parametrize("case", BAD_STUDIES)
def test_every_fault_is_named_and_nothing_stored(api: httpx.Client, definition: dict[str, Any], case: str) -> None:
    changes, pointers = BAD_STUDIES[case]

    found = problem_of(api.post("/studies", json=definition | changes), 422)

    assert sorted({fault.pointer for fault in found.faults}) == pointers
    assert all(fault.detail for fault in found.faults)
    assert_unharmed(api)


@pytest.mark.parametrize("document", [None, 1, "study", [], [{}], {}, True])
def test_what_is_no_study_at_all(api: httpx.Client, document: Any) -> None:
    for content, headers in ((json.dumps(document), JSON), (json.dumps(document), YAML)):
        found = problem_of(api.post("/studies", content=content, headers=headers), 422)
        assert found.faults
    assert_unharmed(api)


EXPLODING = "\n".join(
    ["a0: &a0 [x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
).encode()
UNREADABLE: dict[str, tuple[bytes, dict[str, str], str, list[str]]] = {
    "not JSON": (b"{name: x}", JSON, "line 1, column 2", []),
    "not YAML": (b"a: b: c", YAML, "line 1, column 5", []),
    "empty JSON": (b"", JSON, "empty", []),
    "empty YAML": (b"\n", YAML, "empty", []),
    "not UTF-8": (b'{"name": "\xff"}', JSON, "UTF-8", []),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), JSON, "UTF-8", []),
    "NaN": (b'{"arms": [{"fixed": {"lr": NaN}}]}', JSON, "values", ["/arms/0/fixed/lr"]),
    "Infinity": (b'{"protocol": {"margin": -Infinity}}', JSON, "values", ["/protocol/margin"]),
    "1e999": (b'{"protocol": {"margin": 1e999}}', JSON, "values", ["/protocol/margin"]),
    "5000 digits": (b'{"protocol": {"trials": ' + b"9" * 5000 + b"}}", JSON, "values", ["/protocol/trials"]),
    "NaN in YAML": (b"protocol: {margin: .nan}", YAML, "values", ["/protocol/margin"]),
    "half a surrogate pair": (rb'{"name": "\ud800"}', JSON, "values", ["/name"]),
    "half a surrogate pair as a key": (rb'{"\ud800": 1}', JSON, "values", [""]),
    "a key twice": (b'{"name": "a", "name": "b"}', JSON, "'name' is given twice", []),
    "a key twice in YAML": (b"name: a\nname: b", YAML, "'name' is given twice at line 2", []),
    "exploding aliases": (EXPLODING, YAML, "anchors are refused", []),
    "a tag": (b"name: !!python/object/apply:os.system [ls]", YAML, "tags are refused", []),
    "nested deeply": (b"[" * 200_000, JSON, "nested deeper", []),
    "nested deeply in YAML": (b"[" * 200_000, YAML, "nested deeper", []),
    "NUL bytes": (b"\x00" * 1000, JSON, "line 1, column 1", []),
    "NUL bytes in YAML": (b"\x00" * 1000, YAML, "not YAML", []),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_cannot_be_read_is_refused_with_its_place(api: httpx.Client, case: str) -> None:
    content, headers, message, pointers = UNREADABLE[case]

    found = problem_of(api.post("/studies", content=content, headers=headers), 400)

    assert message in found.detail
    assert [fault.pointer for fault in found.faults] == pointers
    assert_unharmed(api)


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded", "json", "a/b/c; d"])
def test_other_content_types_are_refused(api: httpx.Client, content_type: str) -> None:
    answer = api.post("/studies", content=json.dumps(STUDY_JSON), headers={"Content-Type": content_type})

    assert "application/yaml" in problem_of(answer, 415).detail
    assert "application/json" in answer.headers["accept-post"]
    assert_unharmed(api)


def test_other_encodings_of_text_are_refused(api: httpx.Client) -> None:
    answer = api.post("/studies", content=b"{}", headers={"Content-Type": "application/json; charset=latin-1"})
    problem_of(answer, 415)


def fifty_megabytes() -> Iterator[bytes]:
    for _ in range(50):
        yield b" " * 2**20


@pytest.mark.parametrize("headers", [JSON, YAML])
def test_a_body_of_50_megabytes_is_refused(api: httpx.Client, headers: dict[str, str]) -> None:
    for body in (b" " * (50 * 2**20), fifty_megabytes()):  # with a length, and in chunks without one
        answer = api.post("/studies", content=body, headers=headers)
        assert "larger than 262144 bytes" in problem_of(answer, 413).detail
    assert_unharmed(api)


def test_a_body_of_just_the_allowed_length_is_read(api: httpx.Client) -> None:
    content = json.dumps(STUDY_JSON).encode()
    assert api.post("/studies", content=content.ljust(262_144), headers=JSON).status_code == 202
    assert api.post("/studies", content=content.ljust(262_145), headers=JSON).status_code == 413


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("limit=many", "/query/limit"),
        ("cursor=nonsense", "/query/cursor"),
        ("cursor=" + "0" * 100, "/query/cursor"),
        ("cursor=%00%ff", "/query/cursor"),
        ("cursor=", "/query/cursor"),
    ],
)
def test_bad_queries_are_named(api: httpx.Client, store: Store, spec: StudySpec, query: str, pointer: str) -> None:
    study_id = store.add_study(spec, NOW)
    for path in ("/studies", f"/studies/{study_id}/runs"):
        found = problem_of(api.get(f"{path}?{query}"), 422)
        assert [fault.pointer for fault in found.faults] == [pointer]


@pytest.mark.parametrize("study_id", ["0" * 20, "abc", "%00", "%ff%fe", "' OR 1=1 --", "x" * 5000, "..%2f.."])
def test_unknown_studies(api: httpx.Client, study_id: str) -> None:
    for path in ("", "/runs", "/report", "/report.html", "/report/a.svg"):
        problem_of(api.get(f"/studies/{study_id}{path}"), 404)
    problem_of(api.post(f"/studies/{study_id}/cancel"), 404)


def test_unknown_paths_and_methods(api: httpx.Client) -> None:
    problem_of(api.get("/nothing"), 404)
    problem_of(api.get("/studies/"), 404)
    refused = api.delete("/studies")
    problem_of(refused, 405)
    assert refused.headers["allow"] == "GET, POST"
    problem_of(api.get("/studies/abc/cancel"), 405)


def test_errors_of_the_service_show_nothing_of_it(empty_api: httpx.Client, store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("INSERT INTO catalogue VALUES (1, 'secret nonsense')")

    answer = empty_api.get("/workloads")

    problem_of(answer, 500)
    assert "secret" not in answer.text
    with httpx.Client(base_url=empty_api.base_url) as another:
        assert another.get("/healthz").status_code == 200


def test_a_database_that_does_not_answer_is_a_503(empty_api: httpx.Client, store: Store) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE catalogue")

    found = problem_of(empty_api.get("/readyz"), 503)

    assert "database" in found.detail
    assert "SELECT" not in found.detail

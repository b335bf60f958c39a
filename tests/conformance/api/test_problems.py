"""Everything that a client of the HTTP service can get wrong."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service.api.openapi import STUDY_JSON
from service.storage.repositories.studies import Store
from studies.spec.study import StudySpec
from tests.conformance.api.stored_studies import JSON, NOW, YAML, problem_of


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
    "budget of nothing": ({"protocol": {"budget": {}}}, ["/protocol/budget"]),
    "budget of other things": ({"protocol": {"budget": {"hours": 1}}}, ["/protocol/budget/hours"]),
    "budget of no trials": ({"protocol": {"budget": {"trials": 0}}}, ["/protocol/budget/trials"]),
    "budgets that suffice for no study": (
        {"protocol": {"budget": {"trials": 3, "run_steps": 10}}},
        ["/protocol/budget/run_steps", "/protocol/budget/trials"],
    ),
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


def test_no_figure_has_a_nul_in_its_name(api: httpx.Client, store: Store, spec: StudySpec) -> None:
    study_id = store.add_study(spec, NOW)
    problem_of(api.get(f"/studies/{study_id}/report/a.svg"), 409)
    problem_of(api.get(f"/studies/{study_id}/report/a%00.svg"), 404)


def test_unknown_paths_and_methods(api: httpx.Client) -> None:
    problem_of(api.get("/nothing"), 404)
    problem_of(api.get("/studies/"), 404)
    refused = api.delete("/studies")
    problem_of(refused, 405)
    assert refused.headers["allow"] == "GET, POST"
    problem_of(api.get("/studies/abc/cancel"), 405)
    for path, methods in {
        "/studies/abc": "GET, DELETE",
        "/studies/cancel": "POST",
        "/studies/abc/cancel": "POST",
    }.items():
        assert api.put(path).headers["allow"] == methods


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

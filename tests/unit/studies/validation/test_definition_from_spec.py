"""From a spec to a definition and back is the same spec."""

from importlib.resources import files

import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from service.api.parsers import parse_yaml
from studies.registry import build_catalogue
from studies.spec.study import StudySpec
from studies.validation.definition_from_spec import definition_from_spec
from studies.validation.faults import InvalidStudyError
from studies.validation.resolver import resolve

CATALOGUE = build_catalogue()
READY = sorted(each.name for each in files("studies.definitions").iterdir() if each.name.endswith(".yaml"))


def again(spec: StudySpec) -> StudySpec:
    return resolve(definition_from_spec(spec).model_dump(mode="json"), CATALOGUE)


@pytest.mark.parametrize("name", READY)
def test_every_ready_study_is_the_same_again(name: str) -> None:
    spec = resolve(parse_yaml(files("studies.definitions").joinpath(name).read_bytes()), CATALOGUE)
    assert again(spec) == spec
    assert again(spec).content_hash == spec.content_hash


@example(steps=200, scale=1.0, search_length=1.0, trials=1, seeds=1, sampler="random", pruner="asha", part=None)
@example(steps=200, scale=0.9, search_length=1.0, trials=5, seeds=1, sampler="random", pruner="asha", part=0.9)
@given(
    steps=st.integers(1, 100_000),
    scale=st.one_of(st.just(1.0), st.floats(1e-4, 1.0)),
    search_length=st.one_of(st.just(1.0), st.floats(0.01, 1.0)),
    trials=st.integers(1, 10_000),
    seeds=st.integers(1, 1000),
    sampler=st.sampled_from(["grid", "random", "tpe"]),
    pruner=st.sampled_from(["none", "asha"]),
    part=st.one_of(st.none(), st.floats(0.01, 0.99)),
)
def test_a_study_that_is_accepted_is_the_same_again(
    steps: int,
    scale: float,
    search_length: float,
    trials: int,
    seeds: int,
    sampler: str,
    pruner: str,
    part: float | None,
) -> None:
    body = {
        "name": "shortened",
        "workloads": [{"name": "digits_mlp", "steps": steps, "lanes": 4}],
        "arms": [
            {"name": "l4adam"},
            {"name": "sgd", "search": {"lr": {"low": 1e-3}}, "schedule": {"lr": {"kind": "cosine"}}},
        ],
        "protocol": {
            "sampler": sampler,
            "trials": trials,
            "batch": None if part is None else max(1, int(part * trials)),
            "pruner": pruner,
            "search_seeds": 1 if pruner == "asha" else seeds,
            "confirm_seeds": seeds,
            "scale": scale,
            "search_length": search_length,
            "budget": {"seconds": 5.0},
        },
    }
    try:
        spec = resolve(body, CATALOGUE)
    except InvalidStudyError:
        reject()
    assert again(spec) == spec

"""The complete spec: its hash, its seeds, its warnings."""

import pytest

from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, Planted, planted_spec

L4 = Planted(log_loss=-3.0)


def changed(spec: StudySpec, **protocol: object) -> StudySpec:
    return spec.model_copy(update={"protocol": spec.protocol.model_copy(update=protocol)})


def test_the_hash_leaves_out_the_title_alone(spec: StudySpec) -> None:
    assert spec.model_copy(update={"name": "Another title"}).content_hash == spec.content_hash
    others = [
        changed(spec, trials=5),
        changed(spec, margin=0.06),
        changed(spec, batch=3),
        spec.model_copy(update={"arms": spec.arms[:1]}),
        spec.model_copy(update={"workloads": spec.workloads[::-1]}),
    ]
    assert len({each.content_hash for each in (spec, *others)}) == 1 + len(others)


def test_the_hash_survives_json_and_the_order_of_keys(spec: StudySpec) -> None:
    again = StudySpec.model_validate_json(spec.model_dump_json())
    arm = again.arms[1]
    turned = arm.model_copy(update={"fixed": dict(reversed(arm.fixed.items()))})
    again = again.model_copy(update={"arms": (again.arms[0], turned)})
    assert again.content_hash == spec.content_hash
    assert len(spec.content_hash) == 64


@pytest.mark.parametrize(("search", "confirm"), [(1, 1), (3, 10), (1000, 1000)])
def test_confirm_seeds_are_fresh(spec: StudySpec, search: int, confirm: int) -> None:
    found = changed(spec, search_seeds=search, confirm_seeds=confirm)
    assert (len(set(found.search_seeds)), len(set(found.confirm_seeds))) == (search, confirm)
    assert not set(found.search_seeds) & set(found.confirm_seeds)


def test_an_arm_is_searched_where_anything_of_it_is(spec: StudySpec) -> None:
    assert [arm.kind for arm in spec.arms] == ["fixed", "searched"]
    assert spec.arm("sgd").optimizer == "sgd"
    assert spec.workload("digits_mlp").steps == 100


# the smallest p-value of n pairs is 2 / 2^n, times the m tests of Holm's first step
@pytest.mark.parametrize(("arms", "workloads", "needed"), [(2, 1, 6), (4, 1, 7), (5, 1, 8), (5, 2, 9)])
def test_too_few_seeds_for_any_significance_are_a_warning(arms: int, workloads: int, needed: int) -> None:
    def spec(seeds: int) -> StudySpec:
        some = dict(list(OUTCOMES.items())[:arms])
        return planted_spec(some, workloads=("bowl", "valley")[:workloads], confirm_seeds=seeds)

    assert spec(needed).warnings() == ()
    (warning,) = spec(needed - 1).warnings()
    assert f"{needed - 1} confirm seeds" in warning
    assert f"at least {needed} are needed" in warning
    assert ("1 test:" in warning) == (arms == 2)


def test_an_arm_by_itself_compares_nothing() -> None:
    assert planted_spec({"l4": L4}, confirm_seeds=1).warnings() == ()


def test_a_thousand_seeds_are_enough() -> None:
    assert planted_spec(OUTCOMES, confirm_seeds=1000).warnings() == ()

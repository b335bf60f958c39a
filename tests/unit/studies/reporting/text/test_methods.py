from studies.reporting.text.methods import methods_paragraphs
from studies.spec.definition import Budget, Pruner, Sampler
from studies.spec.parameters import Precision
from studies.spec.study import StudySpec
from tests.support.planted_studies import OUTCOMES, planted_spec

SPEC = planted_spec(OUTCOMES)


def text(**protocol: object) -> str:
    spec = SPEC.model_copy(update={"protocol": SPEC.protocol.model_copy(update=protocol)})
    return " ".join(methods_paragraphs(spec))


def test_it_says_what_was_trained_searched_and_compared() -> None:
    trained, searched, compared = methods_paragraphs(SPEC)
    assert trained.startswith(
        "Compared are the untuned l4 (alpha = 0.15) and same (alpha = 0.15), and the tuned better ("
    )
    assert "lr searched in 0.001 to 1; momentum = 0.9" in trained
    assert "on bowl (200 steps, 10 epochs; batch_size 8) and valley" in trained
    assert "9 trials for each arm and workload, on the final training loss" in searched
    assert "No decision read test data." in searched
    assert "12 fresh seeds (1000 to 1011)" in compared
    assert "10 tests in all with Holm's correction at 0.05" in compared
    assert "within ±0.1" in compared


def test_it_says_what_a_protocol_changes() -> None:
    assert "tree-structured Parzen" in text(sampler=Sampler.TPE)
    assert "successive halving" in text(pruner=Pruner.ASHA)
    assert "0.5 of the length" in text(search_length=0.5)
    assert "computed in tf32" in text(precision=Precision.TF32)
    assert "a budget of 44 trials and 60.0 seconds" in text(budget=Budget(trials=44, seconds=60.0))
    assert "validation accuracy, which is to be high" in " ".join(
        methods_paragraphs(planted_spec(OUTCOMES, objective="validation_accuracy"))
    )


def test_without_a_search_it_says_so() -> None:
    fixed: StudySpec = planted_spec({"l4": OUTCOMES["l4"]})
    trained, searched, compared = methods_paragraphs(fixed)
    assert "tuned better" not in trained
    assert searched == "Nothing was searched."
    assert "Holm" not in compared

"""Evidently's page of a classifier, whatever its labels are called."""

import pandas as pd
import pytest

from mlops_assets.resources.evidently_pages import performance_page


@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes"], [False, True], [1, 2], [-1, 1]], ids=str)
def test_a_binary_classifier_has_a_page_whatever_its_labels(labels: list[object]) -> None:
    right = pd.DataFrame({"target": labels * 20, "prediction": labels * 20})
    wrong = right.assign(prediction=labels[::-1] * 20)
    assert "<html" in performance_page("binary", right, wrong, seed=0)


def test_three_classes_have_a_page() -> None:
    frame = pd.DataFrame({"target": list("abc") * 20, "prediction": list("acb") * 20})
    assert "<html" in performance_page("multiclass", frame, frame, seed=0)

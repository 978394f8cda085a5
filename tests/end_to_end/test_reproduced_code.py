"""Code that is not as it was when a version was fitted is named."""

import pytest

from support.reproduced import again, named
from support.synthetic import rows

FEATURES = """
FACTOR = 2.0

def scaled(x):
    return x * FACTOR

def made(batch, history):
    return batch[["x", "z"]].assign(more=(scaled(batch["x"]) + 1) ** 2)
"""


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [("** 2", "** 3", "made"), ("x * FACTOR", "x * FACTOR + 1", "scaled"), ("FACTOR = 2.0", "FACTOR = 3.0", "FACTOR")],
)
def test_features_function_that_changed_is_why(deployment, deployed, name, module, before, after, part):
    declared = {"estimator": "sklearn.svm.SVR"}
    deployed(features=module(FEATURES).made, **declared)
    changed = deployment.model(name, features=module(FEATURES.replace(before, after)).made, **declared)
    found = again(changed)
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert f"features: of_{name}.{part} (changed since)" in named(found, "code")
    assert found.agreements["holdout"].identical and not found.anew["holdout"].identical
    assert "features computed anew of batches 'b1', 'b2', 'b3' (other values in 'more')" in named(found, "code")
    assert f"of_{name}.{part} (changed since)" in found.reason


@pytest.mark.slow
def test_features_function_that_changed_to_no_effect_is_listed(deployment, deployed, name, module):
    deployed(features=module(FEATURES).made)
    found = again(deployment.model(name, features=module(FEATURES.replace("x * FACTOR", "FACTOR * x")).made))
    assert (found.verdict, found.because, found.anew) == ("identical", (), {})
    assert named(found, "code") == [f"features: of_{name}.scaled (changed since)"]


@pytest.mark.slow
def test_features_function_that_fails_now_is_why(deployment, deployed, name, module):
    deployed(features=module(FEATURES).made)
    found = again(deployment.model(name, features=module(FEATURES.replace('"z"', '"gone"')).made))
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert "raised KeyError" in found.reason


@pytest.mark.slow
def test_features_that_use_something_outside_their_module_are_told(deployment, deployed, name, module, tmp_path):
    text = "import json\n\n\ndef made(batch, history):\n    return batch[['x', 'z']] ** json.loads(open(PATH).read())\n"
    text = text.replace("PATH", repr(str(tmp_path / "power.json")))
    (tmp_path / "power.json").write_text("1")
    model = deployed(features=module(text).made)
    (tmp_path / "power.json").write_text("2")
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert "something changed that it uses and that is not in its module" in found.reason


@pytest.mark.slow
def test_history_is_that_of_the_batches_of_then(deployment, deployed, name, module):
    text = """
def made(batch, history):
    return batch[["x"]].assign(before=history["y"].mean() if len(history) else 0.0)
"""
    model = deployed(features=module(text).made, lookback="2D")
    assert again(model).verdict == "identical"
    assert model.materialize("dataset", batch=model.land("b2", rows(2, noise=9.0))).success
    found = again(model)
    assert found.verdict == "identical"
    assert [each.what for each in found.differences] == ["batch b2: source"] or found.differences == ()


ESTIMATOR = """
from sklearn.linear_model import Ridge

def ridge(alpha):
    return Ridge(alpha=alpha)
"""


@pytest.mark.slow
def test_estimator_of_ones_own_that_changed_is_why(deployment, deployed, name, module):
    declared = {"params": {"alpha": 1.0}}
    deployed(estimator=module(ESTIMATOR).ridge, **declared)
    found = again(deployment.model(name, estimator=module(ESTIMATOR).ridge, **declared))
    assert found.verdict == "identical" and found.differences == ()
    changed = module(ESTIMATOR.replace("alpha=alpha", "alpha=alpha * 100")).ridge
    found = again(deployment.model(name, estimator=changed, **declared))
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert found.reason == f"differs because of code: estimator: of_{name}.ridge (changed since)"

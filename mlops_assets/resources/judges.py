"""A digest of what judges the batches of a model: a change leads to a new look at rejected batches."""

import hashlib
import json
from dataclasses import asdict

from mlops_assets.declaration import Declaration
from mlops_assets.validation.suites import from_objects

_FIELDS = ("where", "target", "key", "time", "group", "slices", "drop", "extra_columns", "known_at")


def judged_by(model: Declaration, learnt_anew: int, inferred_suite: str = "") -> str:
    """Return 16 hex digits that change with the reading of batches, the contract and the suite.

    learnt_anew: how often kinds of columns were replaced by kinds that were learnt anew. inferred_suite: the version
    of the inferred suite, which counts where the suite file does not exist.

    A function counts by its name: its effect is not known before it runs.
    """
    fields = {name: getattr(model, name) for name in _FIELDS}
    if model.optional:
        fields["optional"] = model.optional
    judges = [model.source.digest_of(), fields, model.outcomes is not None, _suite(model) or inferred_suite]
    if model.features is not None:  # then columns may hold times, which no estimator takes directly
        judges.append("features")
    if learnt_anew:
        judges.append(learnt_anew)
    return hashlib.sha256(json.dumps(judges, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _suite(model: Declaration) -> str:
    """Return a digest of the current suite file, "" for a file that is missing or unreadable; else name or objects."""
    path, expectations = model.suite_path(), model.expectations
    if path is not None:
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        except OSError:
            return ""
    if expectations is None or callable(expectations):
        return getattr(expectations, "__qualname__", "")
    return json.dumps([asdict(item) for item in from_objects(expectations)], sort_keys=True, default=str)

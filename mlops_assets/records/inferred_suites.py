"""The suite inferred from a model's first batches: a document in the storage, and a record of which one is in force."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mlops_assets.errors import DamagedRecordError, ExpectationsError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.validation.suites import Expectation, suite_in

SUITES = "suites"
"""The kind of the documents."""
_KEY = "suite"


@dataclass(frozen=True)
class InferredSuite:
    """The suite in force: its digest, and the version of each batch that it was inferred from.

    stored: whether the digest names a document. In records of earlier releases it is that of a file beside the code.
    """

    KIND: ClassVar[str] = "inferred_suites"

    digest: str
    batches: Mapping[str, str]
    stored: bool = False


def inferred_suite(records: ModelRecords) -> InferredSuite | None:
    """Return the record of the inferred suite, None before the first."""
    recorded = records.of(InferredSuite).sound(_KEY)
    return recorded if recorded is not None and recorded.stored else None


def inferred_version(records: ModelRecords) -> str:
    """Return the version of the inferred suite, "" before the first."""
    recorded = inferred_suite(records)
    return "" if recorded is None else recorded.digest


def keep_inferred(records: ModelRecords, expectations: Sequence[Any], batches: Mapping[str, str]) -> None:
    """Store inferred expectations and put them in force; every machine of the deployment sees them."""
    digest = hashlib.sha256(json.dumps(expectations, sort_keys=True).encode()).hexdigest()[:16]
    document = {"name": records.name, "expectations": list(expectations)}
    records.storage.write_document(records.name, SUITES, digest, document)
    records.of(InferredSuite).put(_KEY, InferredSuite(digest, dict(batches), stored=True))


def inferred_document(records: ModelRecords) -> dict[str, Any] | None:
    """Return the inferred suite in the form of a suite file, None before the first.

    Raise `ExpectationsError` if its document is gone or damaged.
    """
    recorded = inferred_suite(records)
    if recorded is None:
        return None
    place = records.storage.document_place(records.name, SUITES, recorded.digest)
    try:
        document: dict[str, Any] | None = records.storage.read_document(records.name, SUITES, recorded.digest)
    except DamagedRecordError as error:
        raise ExpectationsError(f"{error}, or run {records.name}_relearn") from error
    if document is None:
        raise ExpectationsError(f"{place}: the inferred suite is gone. Restore it, or run {records.name}_relearn.")
    return document


def inferred_expectations(records: ModelRecords) -> tuple[Expectation, ...]:
    """Return the expectations of the inferred suite, () before the first; raise as `inferred_document` does."""
    document = inferred_document(records)
    return () if document is None else suite_in(document, f"inferred suite of {records.name}")

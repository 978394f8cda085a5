"""What the tests of reproduced versions share: a model with a version, the refit, and a past that was another."""

from mlops_assets.modelling.recipe import digest_of
from mlops_assets.reproduction.reproduce import reproduce
from support.deployment import failed, why
from support.ledger_rows import put_value, value_of
from support.synthetic import rows

FOREST = "sklearn.ensemble.RandomForestRegressor"


def trained(deployment, name, overrides=None, batches=3, **declared):
    """A model with a registered version of three batches, the newest of which is the holdout."""
    model = deployment.model(name, **declared)
    model.prepare(**{f"b{number}": rows(number) for number in range(1, batches + 1)})
    result = model.challenge(**(overrides or {}))
    assert model.registry.versions(name), why(result) or failed(result)
    return model


def again(model, **options):
    version = model.registry.versions(model.name)[0]
    return reproduce(model.records, model.registry, version, **options)


def stored(model, kind, batch):
    """The path of a stored frame as the newest version's manifest names it."""
    version = model.registry.versions(model.name)[0]
    manifest = model.storage.read_document(model.name, "training_set", version.tags["data_version"])
    named = {each["key"]: each["version"].split("-") for role in ("train", "holdout") for each in manifest[role]}
    part = {"dataset": 0, "features": 1, "labels": 2}[kind]
    return model.home / "storage" / model.name / kind / batch / f"{named[batch][part]}.parquet", named[batch][part]


def then(model, **changed):
    """Let the recipe of the newest version tell of another past."""
    version = model.registry.versions(model.name)[0]
    recipe = value_of(model.storage, model.name, "recipes", version.tags["recipe"])["recipe"]
    for name, values in changed.items():
        recipe[name] = {**recipe[name], **values}
    put_value(model.storage, model.name, "recipes", digest_of(recipe), {"recipe": recipe})
    model.registry.tag(model.name, version.version, {"recipe": digest_of(recipe)})


def named(found, kind):
    return [each.sentence for each in found.differences if each.kind == kind]

"""`mlops-assets suite export MODEL`: write the inferred suite beside the code, where a person edits it."""

from mlops_assets.cli.code_location import Directory, ModelName, Module, PythonFile, located
from mlops_assets.cli.output import AsJson, console, say_json
from mlops_assets.errors import ExpectationsError
from mlops_assets.records.inferred_suites import inferred_document
from mlops_assets.validation.suites import write_suite


def export(
    model: ModelName,
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Write the inferred suite of a model to the file that its declaration names; from then on the file is in force.

    An existing file is never overwritten.
    """
    with located(module, python_file, directory) as location:
        records = location.records(model)
        path = records.model.suite_path()
        if path is None:
            raise ExpectationsError(
                f"{model}: there is no inferred suite: `expectations` names no file. Declare a path that does not "
                "exist yet, such as expectations='expectations.yaml'"
            )
        path = path.absolute()
        document = inferred_document(records)
        if document is None:
            raise ExpectationsError(
                f"{model}: no suite is inferred yet: this happens when the third batch is accepted, unless "
                f"{path} exists"
            )
        write_suite(path, model, document["expectations"])
    number = len(document["expectations"])
    if as_json:
        say_json({"model": model, "path": str(path), "expectations": number})
    else:
        console().print(
            f"{number} expectations are written to {path}. The file is in force from now on: edit it, and reload the "
            "code location to give each expectation a check of its own."
        )

"""`mlops-assets backtest MODEL`: replay the model's past under other rules of retraining."""

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import dagster as dg
import typer
from rich.console import Console

from mlops_assets.assets.backtest.policy_backtest import BacktestConfig
from mlops_assets.cli.code_location import Directory, Location, ModelName, Module, PythonFile, located
from mlops_assets.cli.dagster_events import plain
from mlops_assets.cli.output import AsJson, console, literal, quietly, say_json, table
from mlops_assets.errors import MlopsAssetsError

_POLL_SECONDS = 0.5


def backtest(
    model: ModelName,
    price: Annotated[float, typer.Option(min=0, help="What a retraining costs; 0: 1% of the error of 10 batches.")] = 0,
    newest: Annotated[int, typer.Option(min=0, help="Score only so many of the newest batches; 0: all.")] = 0,
    policy: Annotated[list[str] | None, typer.Option(help="Replay this policy; may be repeated. Default: all.")] = None,
    search: Annotated[
        bool, typer.Option("--search", help="Search parameters once, on the first training set.")
    ] = False,
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Replay a model's past under other rules of retraining, and show which would have been best. Change nothing."""
    with located(module, python_file, directory) as location:
        location.model(model)
        config = BacktestConfig(price=price, newest=newest, policies=policy or [], search="once" if search else "off")
        results = _replayed(location, model, config)
    if as_json:
        say_json(results)
    else:
        _show(results)


def _replayed(location: Location, model: str, config: BacktestConfig) -> dict[str, Any]:
    """Run `<model>_backtest` once, recorded in the instance; return its results."""
    job, run_id = location.repository.get_job(f"{model}_backtest"), str(uuid.uuid4())
    with _progress(location.instance, run_id), quietly(log=logging.NOTSET):
        result = job.execute_in_process(
            instance=location.instance,
            run_id=run_id,
            run_config={
                "ops": {f"{model}__policy_backtest": {"config": config.model_dump()}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            tags={".dagster/repository": f"{location.repository.name}@{location.target.location_name}"},
            raise_on_error=False,
        )
    if not result.success:
        raise MlopsAssetsError(f"the back-test of {model} failed (run {run_id}): {_reason(result)}")
    [event] = result.get_asset_materialization_events()
    results = plain(event.materialization.metadata)
    code = {name: "\n".join(results[name].splitlines()[1:-1]) for name in ("python", "yaml")}  # without the fence
    return {"model": model, "run_id": run_id, **results, **code}


@contextmanager
def _progress(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """Show the last log message of the run on stderr if it is a terminal."""
    screen, ended = Console(stderr=True, highlight=False), threading.Event()
    if not screen.is_terminal:
        yield
        return
    with screen.status("replaying ...") as status:

        def watch() -> None:
            cursor: str | None = None
            while not ended.wait(_POLL_SECONDS):
                page = instance.get_records_for_run(run_id, cursor=cursor)
                cursor, entries = page.cursor, [record.event_log_entry for record in page.records]
                if messages := [entry.user_message for entry in entries if entry.dagster_event is None]:
                    status.update(literal(messages[-1]))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _reason(result: dg.ExecuteInProcessResult) -> str:
    """Return the message of the error that stopped the step."""
    failures = (event.step_failure_data.error for event in result.all_events if event.is_step_failure)
    error = next(failures, None)
    while error is not None and error.cause is not None:
        error = error.cause
    if error is None:
        return "see the run in the UI"
    before, name, message = " ".join(error.message.split()).partition(f"{error.cls_name}: ")
    return message or before + name


def _show(results: Mapping[str, Any]) -> None:
    screen, policies = console(), results["policies"]
    first, *others = policies[0]
    columns = [*others, first]
    screen.print(table(columns, ([row[name] for name in columns] for row in policies)))
    screen.print(f"Best is {literal(results['why'])}")
    screen.print(f"A model is useful for {literal(results['useful_life_batches'])} batches. To declare it:\n")
    screen.print(literal(results["yaml"]))
    screen.print(f"\nrun {results['run_id']}", style="dim")

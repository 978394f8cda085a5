"""Dagster on servers: its database, the logs of its steps, where its runs are, and what they reach from there."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from mlops_assets.background_call import within
from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.cli.output import one_line
from mlops_assets.dagster_private import ComputeIOType, LocalComputeLogManager
from mlops_assets.file_systems import is_local, without_secrets
from mlops_assets.launcher import WarmRunLauncher
from mlops_assets.launcher.warm_place import WarmPlace
from mlops_assets.text import listed, reason

_DRIVER = "postgresql+psycopg2"
_POSTGRES = (
    "on more than one machine (pip install dagster-postgres):\nstorage:\n  postgres:\n    postgres_url:\n"
    f"      env: DAGSTER_DATABASE\nwhere DAGSTER_DATABASE begins with {_DRIVER}://"
)
_LOGS = (
    "keep them on a store that the webserver reaches (pip install dagster-aws):\ncompute_logs:\n"
    "  module: dagster_aws.s3.compute_log_manager\n  class: S3ComputeLogManager\n  config:\n    bucket: your-bucket"
)
READ_ONLY = "make room on its disk, or name the server that is primary now; then let it take writes again"
_SECONDS = 15.0
"""How long a server may take to answer: the clients of Amazon's store and of PostgreSQL wait for minutes or longer."""
_UNLIKE_UTC = (
    "SELECT bool_or(extract(timezone FROM day) <> 0) FROM (VALUES (timestamptz '2026-01-01'), ('2026-07-01')) AS x(day)"
)
_HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0", None)


def way_to_open(error: Exception) -> str:
    """Return what to do about an instance that does not open."""
    if "No module named 'psycopg'" in str(error):
        return f"begin the URL of PostgreSQL in dagster.yaml, or `scheme` of postgres_db, with {_DRIVER}"
    if "connection" in str(error) or "no answer" in str(error):
        return "look at the server of the database that `storage` in dagster.yaml names, and at the network"
    return "export DAGSTER_HOME=/path/to/the/folder/of/dagster.yaml"


def dagster_database(instance: dg.DagsterInstance) -> Finding:
    """Check that Dagster's database serves more than one machine, and that events can be written to it."""
    name, stores = "stores of Dagster", (instance.run_storage, instance.event_log_storage)
    kinds = sorted({type(store).__name__ for store in stores})
    if any("Sqlite" in kind or "InMemory" in kind for kind in kinds):
        why = "SQLite serves one machine and few runs at once; over a network file system it breaks."
        if elsewhere(instance):
            return fault(name, f"SQLite on this machine, and runs are {elsewhere(instance)}", why, _POSTGRES)
        return advice(name, "SQLite", why, _POSTGRES)
    address = getattr(instance.event_log_storage, "postgres_url", None)
    if address is None:
        return advice(name, f"{listed(kinds)}: not a store that is looked into", "Whether it works is not known.")
    return _notified(name, sa.make_url(address), kinds)


def _notified(name: str, url: sa.URL, kinds: list[str]) -> Finding:
    """Send PostgreSQL a notification as Dagster does at each event, on a channel that nobody listens to."""
    shown = url.set(query={}).render_as_string()  # without its password
    try:
        version, reads_only, zone = within(_SECONDS, lambda: _notify(url))
    except Exception as error:  # drivers raise kinds of their own
        driver = url.get_dialect().driver
        why = "Each event of a run is written with a notification: no run gets beyond its start."
        if driver != "psycopg2":
            found = f"{shown} is read by SQLAlchemy {sa.__version__} as the driver {driver}, which cannot notify"
            mend = f"begin the URL with {_DRIVER}:// (pip install psycopg2-binary): {shown} becomes "
            mend += url.set(drivername=_DRIVER, query={}).render_as_string()
            return fault(name, found, why, f"{mend}\nwith `postgres_db` in dagster.yaml: scheme: {_DRIVER}")
        found = f"{shown} does not take a notification: {without_secrets(one_line(error))}"
        return fault(name, found, why, "mend what it says")
    if reads_only:
        why = "No run, event or tick is recorded: nothing starts, and a run that goes on fails at its next event."
        return fault(name, f"{shown} takes no writes: it is read-only", why, READ_ONLY)
    if zone:
        why = "Dagster compares its times with UTC: the slots of a dead run are freed hours late."
        found = f"sessions at {shown} have the time zone {zone}"
        return fault(name, found, why, "end the URL of Dagster's database with ?options=-ctimezone%3DUTC")
    server = ".".join(map(str, version or ()))
    return fine(
        name, f"{listed(kinds)} at {shown}: PostgreSQL {server} takes notifications by {url.get_dialect().driver}"
    )


def _notify(url: sa.URL) -> tuple[Sequence[object] | None, bool, str]:
    """Send the notification; return the server's version, whether it refuses writes, and a time zone unlike UTC."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("NOTIFY mlops_assets_doctor, :said"), {"said": "1"})
        reads_only = connection.execute(sa.text("SHOW transaction_read_only")).scalar() == "on"
        zone = str(connection.execute(sa.text("SHOW timezone")).scalar())
        unlike = connection.execute(sa.text(_UNLIKE_UTC)).scalar()
        return connection.dialect.server_version_info, reads_only, zone if unlike else ""


def compute_logs(instance: dg.DagsterInstance) -> Finding:
    """Check that what steps print is kept where the webserver finds it."""
    name, logs = "compute logs", instance.compute_log_manager
    kind, where = type(logs).__name__, elsewhere(instance)
    why = "What a step printed lies on the disk of its machine: the UI does not show it, and it is lost with the disk."
    if isinstance(logs, LocalComputeLogManager):
        local = f"{kind}: on this machine's disk"
        return advice(name, f"{local}, and runs are {where}", why, _LOGS).unless(not where, f"{local}, as are runs")
    if "NoOp" in kind:
        return advice(
            name, f"{kind}: what steps print is not kept", "An error outside of a step leaves no trace.", _LOGS
        )
    try:
        within(_SECONDS, lambda: logs.get_log_keys_for_log_key_prefix(["mlops_assets_doctor"], ComputeIOType.STDERR))
    except NotImplementedError:
        return advice(name, f"{kind}: not looked into", "Whether logs can be read and written is not known.")
    except Exception as error:  # each store has errors of its own
        found = f"{kind}: its store does not answer: {without_secrets(reason(error))}"
        return fault(name, found, "What steps print is lost, and each step waits for the store.", "mend what it says")
    return fine(name, f"{kind}: its store answers; that it can be written to was not tried")


def launcher(instance: dg.DagsterInstance) -> Finding:
    """Check which machine each run is a process of, and whether a run whose process died is noticed."""
    name, launcher = "run launcher", instance.run_launcher
    kind = type(launcher).__name__
    if kind == "DefaultRunLauncher":
        where = elsewhere(instance) or "a process of the code server's machine"
        return fine(name, f"{kind}: each run is {where.removeprefix('processes of ')}")
    if isinstance(launcher, WarmRunLauncher):
        return _warm(instance)
    health = (
        "can be asked whether a run lives"
        if launcher.supports_check_run_worker_health
        else ("cannot be asked whether a run lives: one whose machine died ends by max_runtime_seconds")
    )
    why = "Each run imports all packages anew and needs the variables and keys of the code server; this was not tried."
    return advice(name, f"{kind}: each run is a container or task of its own; the launcher {health}", why)


def _warm(instance: dg.DagsterInstance) -> Finding:
    """Check the warm processes of this machine, from which runs are forked."""
    name, kind = "run launcher", "WarmRunLauncher"
    if where := elsewhere(instance):
        return fine(name, f"{kind}: runs are {where}, and start as those of DefaultRunLauncher")
    if sys.platform != "linux":
        why = "Runs start as those of DefaultRunLauncher, which imports everything anew for each."
        return advice(name, f"{kind}: it works on Linux only", why, "remove `run_launcher` from dagster.yaml")
    told = []
    for place in WarmPlace.all(Path(instance.root_directory)):
        with suppress(OSError):  # nobody listens there any more
            told.append((place, place.state(_SECONDS)))
    if not told:
        return fine(name, f"{kind}: no warm process runs; the first tick of a sensor or the first run starts it")
    for place, state in told:
        if len(state["threads"]) > 1:
            why = "A process with threads cannot be forked: each run imports everything anew."
            threads = f"{kind}: process {state['pid']} has {len(state['threads'])} threads: {listed(state['threads'])}"
            mend = f"take the module that starts a thread when it is imported out of `preload`; see {place.log}"
            return advice(name, threads, why, mend)
    texts = [f"process {state['pid']} with {state['memory_mb']} MB and one thread" for _, state in told]
    return fine(name, f"{kind}: runs are forked from {' and '.join(texts)}")


def reached(instance: dg.DagsterInstance, root: str, records: Path | None, tracking_uri: str) -> Iterator[Finding]:
    """Check that what runs on other machines read and write is not on this machine's disk.

    records: the file of the database of records, None for one on a server.
    """
    launcher = type(instance.run_launcher).__name__
    if isinstance(instance.run_launcher, dg.DefaultRunLauncher):
        return
    name, why = "reached by runs", f"{launcher} starts each run with a disk of its own: what it writes is lost with it."
    if records is not None:
        found = f"records are in SQLite, {records}"
        yield fault(name, found, why, "export MLOPS_ASSETS_DATABASE=postgresql+psycopg://user:password@host/name")
    if not tracking_uri.startswith(("http://", "https://", "postgresql", "mysql", "mssql", "databricks")):
        yield fault(name, f"MLflow is at {tracking_uri}", why, "export MLFLOW_TRACKING_URI=https://your-mlflow-server")
    if is_local(root):
        found = f"the storage is a folder, {root}: whether runs share that disk was not tried"
        yield advice(name, found, why, "export MLOPS_ASSETS_STORAGE=s3://bucket/folder")


def elsewhere(instance: dg.DagsterInstance) -> str:
    """Return where runs are if not on this machine, "" if they are: by launcher, else by the newest run's server."""
    kind = type(instance.run_launcher).__name__
    if not isinstance(instance.run_launcher, dg.DefaultRunLauncher) and kind != "SyncInMemoryRunLauncher":
        return f"where {kind} puts them"
    for run in instance.get_runs(limit=1):
        host = json.loads(run.tags.get(".dagster/grpc_info", "{}")).get("host")
        if host not in _HERE:
            return f"processes of the code server at {host}"
    return ""

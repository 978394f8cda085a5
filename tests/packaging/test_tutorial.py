"""docs/tutorial.md, step for step as it stands, and what comes of it: paths of the wheel and the CSV are put in."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pandas as pd
import pytest

from mlops_assets.assets.shared.keys import KIND, TRIGGER
from mlops_assets.records.reports import BatchReports
from mlops_assets.records.trainings import TrainingLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from support.clean_project import REPOSITORY, CleanProject, months_of_rentals, stop, wait_until

PAGE = REPOSITORY / "docs" / "tutorial.md"
CSV = "/data/rentals.csv"
DECAYED = "2025-06"
RUNS = "{runsOrError{...on Runs{results{status runId tags{key value}}}}}"
CHAMPION = '{assetOrError(assetKey:{path:["bikes","champion"]}){...on Asset{assetMaterializations(limit:1){runId}}}}'

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Step:
    """A numbered section: its one command, or the one file that it edits, and what it shows as output."""

    number: int
    command: str
    file: str
    content: str
    shown: tuple[str, ...]


def steps() -> list[Step]:
    """The numbered sections of the page."""
    found = []
    for number, text in re.findall(r"^## (\d+)\. .*?\n(.*?)(?=^## )", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        commands = re.findall(r"^```bash\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
        files = re.findall(r'^```yaml title="(.*?)"\n(.*?)^```$', text, re.DOTALL | re.MULTILINE)
        shown = re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        assert len(commands) + len(files) == 1, f"step {number} is not one command or one edit"
        file, content = files[0] if files else ("", "")
        found.append(Step(int(number), commands[0] if commands else "", file, content, tuple(shown)))
    return found


class Newcomer:
    """Somebody who does as the page says, in a terminal that keeps what is exported."""

    def __init__(self, project: CleanProject, wheel: Path, csv: Path) -> None:
        self.project, self.wheel, self.csv = project, wheel, csv
        self.log = project.home / "dev.log"
        self.running: subprocess.Popen[bytes] | None = None

    def take(self, step: Step) -> str:
        """What a step says; `dg dev` goes on, and says nothing until there is a champion."""
        if step.file:
            self.project.write(step.file, step.content.replace(CSV, str(self.csv)))
            return ""
        if step.command == "dg dev":
            self.running = self.project.start("dg", "dev", log=self.log)
            wait_until(lambda: self.running.poll() is not None or bool(self.seen_in_the_ui()), "a champion", self.log)
            return ""
        after = self.project.home / "environment"
        command = step.command.replace("mlops_assets-*.whl", str(self.wheel))
        said = self.project.run("bash", "-ec", f"{command}\nenv -0 > {after}")
        self.project.environment = dict(pair.split("=", 1) for pair in after.read_text().split("\0") if pair)
        return said

    def seen_in_the_ui(self) -> list[str]:
        """The runs that made a champion, as the UI is told them."""
        if "Serving dagster-webserver" not in self.log.read_text():
            return []
        try:
            asset = self._ask(CHAMPION)["assetOrError"]
        except URLError:  # the line is written a moment before the server listens
            return []
        return [each["runId"] for each in asset.get("assetMaterializations", [])]

    def runs(self) -> list[tuple[str, dict[str, str]]]:
        """Status and tags of all runs."""
        results = self._ask(RUNS)["runsOrError"]["results"]
        return [(each["status"], {tag["key"]: tag["value"] for tag in each["tags"]}) for each in results]

    def _ask(self, query: str) -> dict:
        (address,) = re.findall(r"Serving dagster-webserver on (http://\S+)", self.log.read_text())
        body = json.dumps({"query": query}).encode()
        with urlopen(Request(f"{address}/graphql", body, {"Content-Type": "application/json"})) as answer:
            return json.load(answer)["data"]

    @property
    def storage(self) -> Storage:
        """Where the project keeps its records."""
        home = self.project.root / ".mlops"
        return Storage(root=str(home / "storage"), database=f"sqlite:///{home / 'records.db'}")

    def land(self, rows: pd.DataFrame) -> None:
        """The CSV is replaced by one with these rows, at once."""
        rows.to_csv(self.csv.with_suffix(".new"), index=False)
        self.csv.with_suffix(".new").rename(self.csv)

    def has_judged(self, months: set[str]) -> bool:
        """Whether these months were held against their labels, a second training was decided on, and nothing runs."""
        judged = BatchReports(self.storage, "bikes").all("performance")
        trainings = [each for each in TrainingLedger(self.storage, "bikes").all() if each.status == "judged"]
        done = {"SUCCESS", "FAILURE", "CANCELED"}
        return judged.keys() >= months and len(trainings) > 1 and {status for status, _ in self.runs()} <= done

    def champion(self) -> int | None:
        """The version that is champion in the registry."""
        database = self.project.root / ".mlops/mlflow.db"
        found = MlflowRegistry(tracking_uri=f"sqlite:///{database}", artifact_root="unused").champion("bikes")
        return None if found is None else found.version

    def stop(self) -> None:
        """Ctrl-C."""
        if self.running is not None:
            stop(self.running)


def decayed(rows: pd.DataFrame) -> pd.DataFrame:
    """In one month people take to the cold: as many rentals as ever, at the other temperatures."""
    other = rows["hour"].dt.strftime("%Y-%m") == DECAYED
    return rows.assign(rentals=rows["rentals"].where(~other, rows["rentals"] - 18 * (rows["temperature"] - 12)).round())


@pytest.fixture(scope="module")
def newcomer(folder, wheel):
    project = CleanProject(folder)
    # What pip would fetch is installed before, at the tested versions; the step itself installs the wheel alone.
    project.install(wheel)
    project.run("pip", "uninstall", "--yes", "mlops-assets")
    csv = folder / "rentals.csv"
    made = Newcomer(project, wheel, csv)
    made.land(months_of_rentals(4))
    yield made
    made.stop()


def test_ten_commands_and_edits_lead_from_a_csv_to_a_champion(newcomer):
    way = steps()
    assert [step.number for step in way] == list(range(1, len(way) + 1)) and len(way) <= 10
    assert all("\n" not in step.command and "&&" not in step.command for step in way)
    said = {step.command: newcomer.take(step) for step in way}
    assert newcomer.champion() == 1 and len(newcomer.seen_in_the_ui()) == 1
    for step in way:
        for shown in step.shown:
            assert headings(shown) <= headings(said[step.command]), said[step.command]


def test_four_more_months_of_which_one_decayed_need_no_hand(newcomer):
    """The project goes on from the test above, `dg dev` still running."""
    newcomer.land(decayed(months_of_rentals(8)))
    new = {f"2025-{month:02d}" for month in range(5, 9)}
    wait_until(lambda: newcomer.has_judged(new), "four more months judged, and a retraining", newcomer.log)
    judged = BatchReports(newcomer.storage, "bikes").all("performance")
    assert [month for month, report in judged.items() if report.verdict == "decay"] == [DECAYED]
    assert [tags for status, tags in newcomer.runs() if status != "SUCCESS"] == []
    trainings = {tags[TRIGGER] for _, tags in newcomer.runs() if tags.get(KIND) == "training"}
    assert "first training" in trainings and len(trainings) > 1
    assert "decay" in newcomer.project.run("mlops-assets", "why", "bikes")


def headings(text: str) -> set[str]:
    """The words of an output that do not depend on the day and on the data."""
    return set(re.findall(r"\b[A-Za-z]{3,}\b", text))

"""How sure a drift alarm of a batch must be for a model's false alarms to stay within the declared number."""

from mlops_assets.decisions.drift.error_budget import Level, allowed_level
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords


def alarm_level(records: ModelRecords, record: BatchRecord) -> Level:
    """Return the level of a batch, from the number of batches and of alarms in the period up to it.

    A batch is placed in time by its rows; a batch without a time, by its scoring.
    """
    model = records.model
    drift, scored = records.reports.all("drift"), records.reports.all("predictions")
    moments = {
        other.batch: pd.Timestamp(other.start or scored[other.batch].at).tz_localize(None)
        for other in records.batches.all()
        if other.status == "accepted" and (other.start or other.batch in scored)
    }
    newest = max(moments.values(), default=pd.Timestamp(0))
    moment = moments.pop(record.batch, newest)  # a batch without a time that is not scored yet is the newest
    since = moment - pd.Timedelta(model.drift.period)
    recent = [batch for batch, other in moments.items() if since < other <= moment]
    alarms = sum(batch in drift and drift[batch].verdict == "drift" for batch in recent)
    return allowed_level(model.drift.alpha, model.drift.false_alarms, len(recent) + 1, alarms, model.drift.period)

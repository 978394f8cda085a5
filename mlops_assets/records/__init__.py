"""The pack's own records of batches, reports, trainings, promotions and alerts, in one SQL database."""

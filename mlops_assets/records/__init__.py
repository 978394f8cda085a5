"""What the pack remembers: batches, reports, trainings, promotions, alerts; in one SQL database."""

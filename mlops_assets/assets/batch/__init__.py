"""Assets of each batch: dataset, outcomes, features, predictions, drift, performance, and what they share."""

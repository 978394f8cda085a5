"""Seeded rows as a batch of a landing folder holds them: `y` is 3 x plus noise, and more likely above 0 is `bought`."""

import numpy as np
import pandas as pd


def rows(number: int, count: int = 60, noise: float = 1.0) -> pd.DataFrame:
    """Batch `number` of `count` rows: id, day (one minute apart, batch n on day n of 2024), x, z, colour, y, bought."""
    random = np.random.default_rng(number)
    x, z = random.normal(size=count), random.normal(size=count)
    minutes = pd.to_timedelta(number * 24 * 60 + np.arange(count), unit="min")
    return pd.DataFrame(
        {
            "id": np.arange(count) + 1_000 * number,
            "day": pd.Timestamp("2024-01-01") + minutes,
            "x": x,
            "z": z,
            "colour": random.choice(["red", "green", "blue"], count),
            "y": 3 * x + noise * random.normal(size=count),
            "bought": np.where(x + random.normal(size=count) > 0, 1, 0),
        }
    )

"""A process that writes records one by one: `store_writer.py NAME COUNT`, to the database in $RECORDS."""

import os
import sys

from mlops_assets.records.store import store_at

if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2])
    store = store_at(os.environ["RECORDS"])
    for number in range(count):
        store.put("tides", "batches", f"{name}-{number}", {"by": name})

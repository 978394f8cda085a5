"""How often each decision errs, and what retraining policies would have done: the tables of docs/decisions.md.

    python benchmarks/decisions.py --draws 2000

Runs the four programs beside this one: promotion gate, drift alarms, decay and estimates without labels, policies.
"""

import argparse
import sys

import alarm_errors
import decay_errors
import gate_errors
import policies


def main() -> int:
    """Print all tables, one program after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2_000, help="simulated nulls for each figure")
    asked = parser.parse_args()
    for program in (gate_errors, alarm_errors, decay_errors):
        program.main(["--draws", str(asked.draws)])
    return policies.main(["bike_demand", "electricity", "hotel_cancellations"])


if __name__ == "__main__":
    sys.exit(main())

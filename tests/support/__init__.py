"""What tests share: deployments, servers, made-up rows, projects and pages.

A program among them is started as `python -m support.<program>` in the folder `TESTS`.
"""

from pathlib import Path

TESTS = Path(__file__).parents[1]

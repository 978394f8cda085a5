"""`mlops-assets doctor`: report what an instance lacks for the promises of the pack to hold."""

from mlops_assets.cli.doctor.command import doctor

__all__ = ["doctor"]

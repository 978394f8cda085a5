"""`mlops-assets doctor`: report what an instance lacks for the promises of the pack to hold."""

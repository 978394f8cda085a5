"""`mlops-assets` on the command line: one file for each command."""

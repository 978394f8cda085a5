"""`mlops-assets` on the command line: each command is a file."""

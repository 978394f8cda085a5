"""`alerts`: what a person should know now, and the run that sends it."""

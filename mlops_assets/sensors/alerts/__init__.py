"""`alerts`: the alarms that a person should know now, and the run that sends them."""

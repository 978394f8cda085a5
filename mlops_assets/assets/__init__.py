"""What Dagster materialises: thin steps that fetch, call and record."""

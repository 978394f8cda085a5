"""An asset of the project as a source."""

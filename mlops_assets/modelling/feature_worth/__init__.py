"""What each feature is worth: importance, refits without it, what it costs."""

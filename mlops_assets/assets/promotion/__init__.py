"""The champion: the verdict on a challenger, the move of the alias, what a person may ask, the model card."""

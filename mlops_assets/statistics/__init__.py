"""Statistics that decisions and modelling share: resampling, standard errors, corrections for several tests."""

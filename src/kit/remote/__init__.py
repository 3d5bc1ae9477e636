"""Carry: bundle the sources, push them to Kaggle, follow the run, bring the results home."""

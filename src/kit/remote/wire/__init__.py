"""Speak to Kaggle: log in, ask again, fetch a file whole."""

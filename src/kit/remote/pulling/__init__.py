"""Bring home what a run left, each file proved."""

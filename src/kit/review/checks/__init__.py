"""Everything that can be wrong with a submission, found in one pass."""

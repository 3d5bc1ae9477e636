"""A run on one page: report.html, which needs no network, no script and no other file."""

"""Look at everything that can be seen before a push."""

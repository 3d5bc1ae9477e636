"""Follow a session to its end, show what it says, or end it."""

"""How a completion is read: what is cut off first, its sentences, and the rules that leave it unread."""

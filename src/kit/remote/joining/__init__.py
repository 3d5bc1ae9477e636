"""Join a competition: its files, its columns, and the settings that they show."""

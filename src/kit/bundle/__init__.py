"""Put the sources into one script, with the metadata that goes with it."""

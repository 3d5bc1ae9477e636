"""Put rows to a trained model, in batches that fit."""

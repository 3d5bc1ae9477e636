"""Ask a question of each row, answer it with a fine-tuned LLM on Kaggle, carry the answer home, judge it."""

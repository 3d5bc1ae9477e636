"""The question and its answer: rows, prompt, parser, metrics, submission. No torch, no Kaggle client."""

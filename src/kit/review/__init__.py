"""Judge what came back: check submissions, draw runs, compare them. No torch, no Kaggle client."""

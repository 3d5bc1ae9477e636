"""Push a build, and hold Kaggle's answer to account."""

"""Fine-tune one member: in time, within memory, and again from a checkpoint."""

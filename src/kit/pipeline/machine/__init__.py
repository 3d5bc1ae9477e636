"""What the kernel finds and brings: cards, inputs, packages, the base model."""

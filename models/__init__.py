"""Machine learning: scorers, the registry of weights, training, evaluation. Never HTTP or SQL."""

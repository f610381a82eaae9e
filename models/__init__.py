"""Machine learning: scorers, the registry of weights, training and evaluation. Neither HTTP nor SQL."""

"""A simulated bad day, to count how often a person is told: with grouping and inhibition, and without."""

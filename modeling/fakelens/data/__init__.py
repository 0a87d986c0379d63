"""Sources -> clean, split, decoded examples."""

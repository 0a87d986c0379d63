"""What the classes of a model mean: their names, or texts that an image is compared with."""

"""A recipe: all there is to say about a training run.

`recipe` has the keys, `phase` those of one phase, `keys` reads the file.
"""

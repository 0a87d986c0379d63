"""Scores -> numbers, their tables and images.

Read `summary` first. `comparison` tests models against each other, `coverage` is about the uncertain band,
`reliability` about calibration, `attribution` about which generator made an image.
"""

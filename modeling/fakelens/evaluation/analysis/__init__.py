"""Scores -> numbers, their tables and plots.

Read `summary` first. `comparison` tests models against each other, `coverage` is about the uncertain band,
`reliability` about calibration, `attribution` about which generator made an image.
"""

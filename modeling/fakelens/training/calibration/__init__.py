"""Temperature, thresholds and uncertain band, from validation scores.

Read `calibration` first; `temperature`, `platt` and `thresholds` are its parts. `refit` does it to a detector that was
calibrated before.
"""

"""One training run, from recipe to pushable model.

Read `run` first, then `phases`, each with a `trainer`. `initialisation` gives the network, `freezing` what of it
learns, `validation` its calibration, `record` the run's record; `members` trains an ensemble, `fine_tuning` and
`continual` say what further training gained and lost.
"""

"""Recipes -> trained checkpoints.

Read `recipe` first, then `loop`, which runs it on the streams of `data` and ends with `calibration`. `attacks` and
`cutmix` change batches; `dry_run` tries a recipe out.
"""

"""The `fakelens` command, and the frame of the scripts.

Read `app` first: the command itself. `detect` turns inputs into rows, `submission` a folder into a challenge's file,
`script` is what every file in `scripts/` runs in. `inputs` is what a person may name, `output` what they get to see.
"""

"""The `fakelens` command, its verbs, and the frame that they run in.

Read `app` first: the command itself. `verbs` has a module for each verb, `verb` says what one is, `script` is what it
runs in, `waiting` what a person sees meanwhile. `detect` turns inputs into rows, `submission` a folder into a
challenge's file. `inputs` is what a person may name, `output` what they get to see.
"""

"""What a file states of its own origin, which never enters a score.

Read `read` first. `metadata`, `prompts` and `credentials` each read one kind of statement, as `claims`.
"""

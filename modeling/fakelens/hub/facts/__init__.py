"""What a model's folder, and a report about it, say.

Read `checkpoint` and `report` first. `results` puts numbers into the Hub's own forms, `public_name` says what a data
set may be called in public, `local_models` lists the models on this machine.
"""

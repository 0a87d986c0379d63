"""What a recipe says of data -> batches.

Read `training_data` first. `mixing` joins sources, `examples` turns rows into tensors, `stream` is the endless stream
of them, `progress` how far it has been read.
"""

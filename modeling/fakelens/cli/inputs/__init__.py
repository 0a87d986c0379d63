"""What a person names on the command line -> images.

`expand` sorts out files, folders and addresses; it uses `archives` for zips and `web` for addresses.
"""

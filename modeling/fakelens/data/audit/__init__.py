"""How well a detector could do on a data set without looking at the image.

`audit` asks, of the facts that `file_facts` reads off a file.
"""

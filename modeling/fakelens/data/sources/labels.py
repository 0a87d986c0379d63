"""The two labels, their numbers and names. What models and data sets call them: `vocabulary.py`. Never by index.

`imagefolder` sorts class names, so that its 0 is "fake" in one data set and "camera" in the next; a name is the only
thing that means the same everywhere.
"""

REAL, FAKE = 0, 1
ID2LABEL = {REAL: "real", FAKE: "fake"}

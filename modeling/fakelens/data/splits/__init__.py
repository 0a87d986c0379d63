"""A data set -> splits that share no image.

`prepare` is the whole of it: `fingerprints` of all images, `duplicates` among them, a `copy` without these, and a
`prepare_report`. `protocols` holds the published splits by name.
"""

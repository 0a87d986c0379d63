"""Sources -> clean, split, decoded examples, and the same image as others would see it.

Read `sources` first (a SOURCE string to rows), then `decode` (bytes to an image). `sample` is the embedded data set,
`frequency` measures an image's spectrum. `transforms` changes images, `splits` prepares data sets, `aligned` makes
fakes from photographs, `audit` asks what a data set gives away.
"""

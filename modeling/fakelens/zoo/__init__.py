"""Name -> network.

Read `registry` first. `pretrained` fits weights in, `ensembles` joins trained detectors, `facts` counts parameters,
`shipped` knows the model inside this package.
"""

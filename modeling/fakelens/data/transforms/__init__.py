"""What may happen to an image, as data: names and numbers become seeded functions.

`transforms` reads such lists. `augmentation` and `degradations` are the two vocabularies; the latter is made of
`codecs`, `corruptions`, `spectra` and `social_media`. `views` are the fixed forms in which images are evaluated.
"""

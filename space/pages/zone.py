"""Where an image comes in: a zone to choose, drop, paste or photograph one, as HTML; `page.js` does the rest."""

PRIVACY = (
    "Your image is deleted from this server as soon as it is scored. Neither the image nor its verdict is stored, "
    "logged or passed on."
)


def zone(name: str, busy: str) -> str:
    """Return a zone.

    Args:
        name: What tells it from the app's other zones.
        busy: What is said while its image is worked on.
    """
    return (
        f'<div class="fl-zone" id="zone-{name}" data-zone="{name}">'
        '<button type="button" class="fl-primary" data-fl="choose">Choose an image</button>'
        '<button type="button" class="fl-secondary" data-fl="camera">Take a photo</button>'
        '<p class="fl-quiet fl-by-mouse">or drop one here, or paste one</p>'
        f'<p class="fl-busy" role="status"><span class="fl-turning" aria-hidden="true"></span>{busy}</p>'
        '<input type="file" accept="image/*" tabindex="-1" aria-label="Image file" hidden>'
        '<input type="file" accept="image/*" capture="environment" tabindex="-1" aria-label="Photo" hidden></div>'
        f'<p class="fl-quiet fl-privacy">{PRIVACY}</p>'
    )

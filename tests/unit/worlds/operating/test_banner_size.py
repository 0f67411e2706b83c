"""What the form of a world's page promises of its picture, a body of the site lets through."""

from waystone.bodies import MAX_BYTES
from worlds.operating.keeping_forms import BannerForm
from worlds.operating.texts import MAX_UPLOAD

FRAME = 20_000  # bytes: the form's other field, the boundaries, a long name of the file


def test_the_largest_picture_that_is_promised_fits_into_a_body():
    assert MAX_UPLOAD + FRAME < MAX_BYTES
    assert f"at most {MAX_UPLOAD / 1e6:g} MB" in BannerForm.base_fields["banner"].help_text

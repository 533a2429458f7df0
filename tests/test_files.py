"""Names near the limit of the file system: shortened where we choose them, and nothing is lost in between."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import InputError
from impasto.files import atomic_file, beside, check_name, fitting, length_of, longest_name, shortened
from impasto.names import as_plain_name, is_plain_name

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=300)


@given(NAMES, st.integers(20, 255))
def test_shortened_names_fit_and_are_whole_characters(name, most):
    found = shortened(name, most)
    assert length_of(found) <= most
    assert found.encode().decode() == found
    assert found == name or length_of(name) > most


def test_names_that_begin_and_end_alike_stay_distinct():
    names = {shortened(f"{'写' * 40}{number}{'写' * 60}", 200) for number in range(100)}
    assert len(names) == 100


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "写" * 83 + "-starry-night.png", "é" * 200 + ".tiff", "x" * 300 + ".mp4"])
def test_a_chosen_name_can_be_written(tmp_path, name):
    path = fitting(tmp_path / name)
    with atomic_file(path) as part:
        part.write_bytes(b"x")
    assert path.suffix == Path(name).suffix
    assert (path.name == name) == (len(os.fsencode(name)) <= longest_name(tmp_path))


def test_what_lies_beside_a_file_has_a_short_name(tmp_path):
    assert beside(tmp_path / "a.mp4", "parts").name == ".a.mp4.parts"
    one, other = (beside(tmp_path / f"{'x' * 250}{end}.mp4", "parts") for end in "ab")
    one.mkdir()
    assert one != other


def test_every_new_folder_of_a_path_is_looked_at(tmp_path):
    check_name(tmp_path / "new" / "deep" / "a.png")
    for path in (tmp_path / ("x" * 256) / "a.png", tmp_path / "new" / ("x" * 256) / "a.png", tmp_path / ("写" * 86)):
        with pytest.raises(InputError, match="is too long"):
            check_name(path)


def test_names_of_styles_and_uploads_leave_room_for_suffixes():
    assert not is_plain_name("写" * 70)
    assert is_plain_name("写" * 60)
    for name in ("写" * 90 + ".mp4", "x" * 250 + ".mp4"):
        plain = as_plain_name(name)
        assert is_plain_name(plain)
        assert plain.endswith(".mp4")

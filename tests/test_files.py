"""Files appear whole or not at all, and replace nothing unasked."""

import pytest

from drone_formation.files import replace_atomically


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "policy.npz"
    with replace_atomically(path) as partial:
        partial.write_text("half")
        assert partial.suffix == ".npz"  # for writers that append a suffix they miss
        assert not path.exists()
        partial.write_text("whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "000012"
    with replace_atomically(path) as partial:
        partial.mkdir()
        (partial / "state").write_text("1")
        assert not path.exists()
    assert (path / "state").read_text() == "1"
    with pytest.raises(FileExistsError), replace_atomically(path, force=True):
        pass
    assert (path / "state").read_text() == "1"


def test_nothing_is_replaced_unasked(tmp_path):
    path = tmp_path / "mine"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="mine exists"), replace_atomically(path) as partial:
        partial.write_text("yours")
    assert path.read_text() == "mine"
    with replace_atomically(path, force=True) as partial:
        partial.write_text("yours")
    assert path.read_text() == "yours"


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_all_as_it_was(folder, tmp_path):
    path = tmp_path / "mine"
    if not folder:
        path.write_text("mine")

    def fail() -> None:
        with replace_atomically(path, force=True) as partial:
            partial.mkdir() if folder else partial.write_text("half")
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ([] if folder else ["mine"])
    assert folder or path.read_text() == "mine"

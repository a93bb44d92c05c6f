import pytest

from gangda.data.sample_set.png import class_folders


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        (("ant", "bee", "cat"), ("ant", "bee", "cat")),
        (tuple("0123456789"), tuple("0123456789")),
        (("cat", "ant"), ("0-cat", "1-ant")),
        (("T-shirt/top", "Trouser"), ("0-T-shirt_top", "1-Trouser")),
        (("..", "a"), ("0-", "1-a")),
        (("A", "a"), ("0-A", "1-a")),  # one folder on a disk that ignores case
        (("a" * 300, "b"), ("0-" + "a" * 40, "1-b")),
        ((".hidden", "x"), ("0-.hidden", "1-x")),
        (("Ärger", "Öl"), ("Ärger", "Öl")),
        (("a\nb", "c"), ("0-a_b", "1-c")),
    ],
)
def test_class_folders_are_safe_and_in_label_order(names: tuple[str, ...], folders: tuple[str, ...]) -> None:
    assert class_folders(names) == folders
    assert list(folders) == sorted(folders)


def test_many_classes_get_numbers_of_one_width() -> None:
    folders = class_folders([f"class {label}" for label in range(100, 0, -1)])
    assert folders[0] == "00-class 100"
    assert list(folders) == sorted(folders)


def test_no_class_folder_is_called_as_a_device_of_windows() -> None:
    assert class_folders(("aux", "con.1", "lpt1x")) == ("0-aux", "1-con.1", "2-lpt1x")
    assert class_folders(("connect", "lpt1x")) == ("connect", "lpt1x")

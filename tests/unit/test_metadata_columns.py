"""Names of the columns of labels in metadata.jsonl."""

from batchrunner.output.export.metadata import metadata_columns


def test_no_two_labels_share_a_column() -> None:
    """Whatever they end with: a column that names files would be read as further videos, so it is renamed."""
    names = [f"a_file_name{'_' * more}" for more in range(4)] + ["a_file_names", "a_file_names_", "a", "a_"]
    columns = metadata_columns(names)
    assert len(set(columns.values())) == len(names)
    assert not [one for one in columns.values() if one.endswith(("_file_name", "_file_names"))]
    assert columns["a_"] == "label.a_"

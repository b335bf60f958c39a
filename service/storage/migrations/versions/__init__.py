"""The revisions, one numbered file each."""

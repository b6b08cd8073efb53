"""The patterns of this group: one stub a file. Fill them in, and wire them into the service."""

"""Where finished files go: part file, fsync, rename."""

"""The command line. Options die here: what is below gets plain values. Nothing heavy is imported at start."""

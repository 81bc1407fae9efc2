"""Output for users: results.csv, the progress display and run.log."""

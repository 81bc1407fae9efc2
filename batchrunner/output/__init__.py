"""What people read: results.csv, the progress display and run.log."""

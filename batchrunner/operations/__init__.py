"""What a person does to a run directory between runs."""

"""What the model takes: limits of requests, inputs and prompts."""

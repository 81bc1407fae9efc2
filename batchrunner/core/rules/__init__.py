"""What the model accepts: limits of requests, inputs and prompts."""

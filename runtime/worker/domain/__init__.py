"""What the runtime is about: values and rules; pure, imports no library."""

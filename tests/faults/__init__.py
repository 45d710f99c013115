"""What must survive: inputs that nobody thought of, and processes that are killed."""

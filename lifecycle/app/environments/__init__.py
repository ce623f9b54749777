"""What runs in each environment, now and at any past time."""

"""What is watched, and what to do when it breaks."""

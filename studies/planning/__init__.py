"""What a study still has to train, and how long that takes."""

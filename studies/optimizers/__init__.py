"""The optimizers, one in each module; the folder is their registry."""

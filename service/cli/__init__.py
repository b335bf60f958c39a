"""The command line `l4-studies`, and programs of a deployment."""

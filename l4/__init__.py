"""L4: loss-based step sizes for gradient descent (Rolinek and Martius, NIPS 2018)."""

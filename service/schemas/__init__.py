"""Request and response models, shared by the service and its client."""

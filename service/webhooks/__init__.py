"""Webhooks: subscriptions, signing and delivery."""

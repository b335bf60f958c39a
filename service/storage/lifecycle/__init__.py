"""The lifecycle of studies: transitions, commands, leases, queue order, quotas and the webhook outbox."""

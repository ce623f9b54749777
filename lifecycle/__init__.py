"""What may run where: specs, versions, environments, approvals and audit. Knows no engine."""

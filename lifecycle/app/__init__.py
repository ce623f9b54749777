"""The approvals app: REST routes, pages, sign-in, roles. It sees ports, never their adapters."""

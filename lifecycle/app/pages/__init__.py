"""The pages that people see: server-rendered, quick, and complete without scripts."""

"""Agents: how a program that speaks for a person reads, runs, explains, builds and proposes. It never approves."""

"""Policies, people, teams and notifications."""

"""Serving one app from several processes that share nothing but the store.

Python uses one processor per process. The parent listens and hands every connection to a worker in turn (the
kernel would give most of them to whichever worker is awake); workers answer, and are replaced when they die.
"""

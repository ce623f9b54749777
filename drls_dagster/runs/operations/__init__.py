"""What a run may ask of the platform. Each operation is for the run of the token that it is asked with, never another.

`table.OPERATIONS` has them all: the service, the client and the server read that table.
"""

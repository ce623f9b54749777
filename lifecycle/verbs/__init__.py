"""What can be asked of the lifecycle: one verb a function, one file a noun, one row a verb in `table`.

REST, the command line's client and whatever else lets people or programs in call the same functions.
"""

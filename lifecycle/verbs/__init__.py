"""What each role may call, over REST and from commands: one function a verb, one file a noun, one row each in `table`.

REST, the command line's client and whatever else lets people or programs in call the same functions.
"""

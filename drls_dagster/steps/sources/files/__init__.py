"""File sources: which files a path means, what is in them, and how Spark reads them."""

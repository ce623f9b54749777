"""What confines the code that pipelines bring: which files, sockets and processes it can reach."""

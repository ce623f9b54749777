"""`drls up`: code servers, daemon and web as one thing that starts, stops and is watched together."""

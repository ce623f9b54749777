"""The plumbing that every room shares: guards, rendering, links, words, REST's door. It knows no room."""

"""`socialflow seed`: fills a fresh site through its own API, as its users would."""
